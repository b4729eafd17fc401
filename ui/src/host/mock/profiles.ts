import type { AppState, ProfileView, SecretView } from '../generated/ipc';
import type { Host } from '../host';
import { check, findings, mask, testSteps } from './check';
import { fail, pause } from './fail';
import type { State } from './state';

type Profiles = Pick<
  Host,
  | 'appState'
  | 'settingsSet'
  | 'profileCheck'
  | 'profileSave'
  | 'profileRemove'
  | 'profileOpen'
  | 'connectionTest'
  | 'cacheClear'
  | 'sampleStart'
  | 'samplePause'
  | 'sampleResume'
>;

/** The app, its profiles and the sample server. */
export function profilesOf(state: State): Profiles {
  const { profiles, settings, keyring } = state;
  const runs = (running: boolean) => {
    const it = profiles.find((each) => each.mode === 'sample');
    if (it) it.sample_running = running;
    state.offline = !running;
  };
  return {
    async appState(): Promise<AppState> {
      await pause(Number(state.query.get('slow') ?? 0));
      return {
        version: '0.1.0',
        profiles: structuredClone(profiles),
        open: state.open,
        open_failure: state.openFailure,
        keyring,
        settings: { ...settings },
        system_dark: null,
      };
    },
    async settingsSet(next) {
      Object.assign(settings, next);
      return { ...settings };
    },
    async profileCheck(draft) {
      return check(draft, profiles);
    },
    async profileSave(draft) {
      const left = findings(draft, profiles).filter(
        (it) => !draft.accepted.includes(it.code) || !it.acceptable,
      );
      if (left.length > 0) fail({ code: 'profile_rejected' }, left.map((it) => it.code).join(', '));
      if (keyring !== 'available' && !draft.session_only)
        fail({ code: 'keyring', state: keyring }, 'secret service');
      const old = profiles.find((it) => it.id === draft.id);
      const id = old?.id ?? `p${profiles.length + 10}`;
      const kept = (given: string | null, before: SecretView | null | undefined): SecretView | null =>
        given
          ? {
              hint: mask(given),
              added_at: state.present(),
              store: draft.session_only ? 'session' : 'keyring',
            }
          : (before ?? null);
      const made: ProfileView = {
        ...state.makeProfile(id, draft.name.trim(), draft.mode, true),
        write_mode: draft.write_mode,
        server_url: draft.server_url,
        stripe_url: draft.stripe_url || 'https://api.stripe.com',
        server_token: kept(draft.server_token, old?.server_token),
        stripe_key: kept(draft.stripe_key, old?.stripe_key),
      };
      if (old) profiles[profiles.indexOf(old)] = made;
      else profiles.push(made);
      state.stripe = made.stripe_key !== null;
      state.open ??= id;
      state.generation += 1;
      return structuredClone(made);
    },
    async profileRemove(id) {
      profiles.splice(profiles.indexOf(state.profileOf(id)), 1);
      if (state.open === id) state.open = null;
    },
    async profileOpen(id) {
      const it = state.profileOf(id);
      const before = profiles.find((each) => each.id === state.open);
      if (before && before !== it) before.cache = { ...before.cache, tenants: null, full_sync_at: null };
      state.open = id;
      it.cache = state.openCache();
      return structuredClone(it);
    },
    connectionTest: (draft, onStep) => testSteps(draft, profiles, state.offline, state.health(), onStep),
    async cacheClear(id) {
      state.profileOf(id).cache = { tenants: 0, bytes: null, full_sync_at: null, encrypted: true };
      state.emit('data-changed', null);
    },
    async sampleStart() {
      await pause(50);
      let it = profiles.find((each) => each.mode === 'sample');
      if (!it) {
        it = state.makeProfile('sample', 'Sample data', 'sample', true);
        profiles.push(it);
      }
      runs(true);
      state.open = it.id;
      return structuredClone(it);
    },
    async samplePause() {
      runs(false);
      state.asOf = state.present() - 1000;
      state.emit('freshness', state.freshness());
    },
    async sampleResume() {
      runs(true);
      state.asOf = state.present();
      state.emit('freshness', state.freshness());
      state.emit('data-changed', null);
    },
  };
}
