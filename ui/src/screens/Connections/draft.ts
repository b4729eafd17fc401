import type { ProfileDraft, ProfileView } from '../../host/generated/ipc';

/** A draft for a new profile. */
export function newDraft(sessionOnly: boolean): ProfileDraft {
  return {
    id: null,
    name: '',
    mode: 'live',
    write_mode: 'review',
    server_url: '',
    server_token: null,
    stripe_url: null,
    stripe_key: null,
    session_only: sessionOnly,
    accepted: [],
  };
}

/** A draft to change a profile. Its secrets stay as they are unless new ones are pasted. */
export function draftOf(profile: ProfileView): ProfileDraft {
  return {
    id: profile.id,
    name: profile.name,
    mode: profile.mode,
    write_mode: profile.write_mode,
    server_url: profile.server_url,
    server_token: null,
    stripe_url: profile.stripe_url,
    stripe_key: null,
    session_only: profile.server_token?.store === 'session',
    accepted: [],
  };
}
