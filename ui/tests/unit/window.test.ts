import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { tick } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import App from '../../src/App.svelte';
import OpenFailure from '../../src/frame/OpenFailure.svelte';
import SkewBanner from '../../src/frame/SkewBanner.svelte';
import Toasts from '../../src/frame/Toasts.svelte';
import type { Adjustment } from '../../src/host/generated/contract';
import type { AppState, FailureCode, Settled, SettledChange } from '../../src/host/generated/ipc';
import { mockHost } from '../../src/host/mock';
import Unsettled from '../../src/screens/Activity/Unsettled.svelte';
import Activity from '../../src/screens/Activity/Activity.svelte';
import Connections from '../../src/screens/Connections/Connections.svelte';
import ProfileCard from '../../src/screens/Connections/ProfileCard.svelte';
import ProfileForm from '../../src/screens/Connections/ProfileForm.svelte';
import FirstRun from '../../src/screens/FirstRun/FirstRun.svelte';
import { app } from '../../src/state/app.svelte';
import { changes } from '../../src/state/changes.svelte';
import { clock } from '../../src/state/clock.svelte';
import { useHost } from '../../src/state/host';
import { toasts } from '../../src/state/toasts.svelte';
import { clockTime } from '../../src/text/format';
import { DAY, failure, freshness, HOUR, MINUTE, NOW, plain, source } from './given';
import { find, open } from './page';

afterEach(() => {
  vi.useRealTimers();
  app.freshness = null;
  clock.follow(null);
});

/** An adjustment that this window made. */
async function made(of: Partial<Adjustment> = {}): Promise<Adjustment> {
  const host = await open();
  const { rows } = await host.activityPage('staff', '', null);
  const body = rows.find(({ entry: { body: each } }) => each.kind === 'adjustment' && each.adjustment.ticket)
    ?.entry.body;
  if (body?.kind !== 'adjustment') throw new Error('no adjustment');
  return { ...body.adjustment, ...of };
}
const lost = (settled: Settled, key = 'k-lost'): SettledChange => ({
  change: {
    key,
    tenant_id: 't-1',
    tenant_name: 'Acme',
    change: { kind: 'extend_trial', target: { days: 7 } },
    sent_at: NOW,
    instance: 'db-1',
    undoes: null,
  },
  settled,
});

describe('a change that was settled in the background', () => {
  beforeEach(() => (toasts.list = []));
  const shown = () => plain(screen.getByTestId('toast').textContent ?? '').replace(/\s+/g, ' ');

  it('was made: that stays until it is closed, with Undo', async () => {
    changes.settled(lost({ outcome: 'made', adjustment: await made() }));
    render(Toasts);
    expect(shown()).toContain('✓ Extend trial for Acme was made after all.');
    expect(toasts.list[0]?.lasting).toBe(true);
    expect(screen.getByTestId('toast-undo')).toBeTruthy();
    expect(screen.queryByTestId('toast-open')).toBeNull();
    for (const text of ['one', 'two', 'three', 'four']) toasts.show({ text });
    expect(toasts.list.map((it) => plain(it.text))).toEqual([
      'Extend trial for Acme was made after all.',
      'two',
      'three',
      'four',
    ]);
  });

  it('was not made, or nobody can tell: leads to the tenant', async () => {
    await open();
    changes.settled(lost({ outcome: 'not_made' }));
    render(Toasts);
    expect(shown()).toContain('▲ Extend trial for Acme was not made. Nothing was changed.');
    expect(screen.queryByTestId('toast-undo')).toBeNull();
    await userEvent.click(screen.getByTestId('toast-open'));
    expect(app.route.tenant).toBe('t-1');
    expect(toasts.list).toEqual([]);
    changes.settled(lost({ outcome: 'other_database' }));
    await tick();
    expect(shown()).toContain('nobody can tell whether it was made');
  });

  it('says the same where it is asked for in Activity, whose own line is gone then', async () => {
    const change = { ...lost({ outcome: 'not_made' }).change, key: 'k-asked' };
    await open({ settle: async () => ({ outcome: 'not_made' }) });
    const onsettled = vi.fn();
    const { unmount } = render(Unsettled, { change, onsettled });
    await userEvent.click(screen.getByRole('button', { name: 'Ask the server' }));
    await waitFor(() => expect(onsettled).toHaveBeenCalled());
    unmount();
    render(Toasts);
    expect(shown()).toContain('Extend trial for Acme was not made.');
    expect(toasts.list[0]?.lasting).toBe(true);
  });

  it('says it once to who asks late', async () => {
    await open({ settle: () => Promise.reject(failure({ code: 'not_found' })) });
    changes.settled(lost({ outcome: 'not_made' }, 'k-late'));
    expect(toasts.list).toHaveLength(1);
    expect(await changes.outcome('k-late')).toEqual({ outcome: 'not_made' });
    expect(toasts.list).toEqual([]);
  });

  it('hands it to who is asking right now', async () => {
    await open({ settle: () => new Promise(() => undefined) });
    const asked = changes.outcome('k-now');
    changes.settled(lost({ outcome: 'other_database' }, 'k-now'));
    expect(await asked).toEqual({ outcome: 'other_database' });
    expect(toasts.list).toEqual([]);
  });
});

describe('an undo whose answer was lost', () => {
  it('is never offered for undo itself, neither by its message nor by the key', async () => {
    toasts.list = [];
    const first = await made();
    const undo = { ...first, id: 'a-undo', undoes: first.id };
    const ordered: string[] = [];
    await open({
      undoApply: ({ adjustment_id, key }) => {
        ordered.push(adjustment_id);
        return Promise.reject(failure({ code: 'unsettled', key }));
      },
      settle: async () => ({ outcome: 'made', adjustment: undo }),
    });
    changes.made(first, 'Acme');
    expect(await changes.undo(first, 'Acme')).toBe(true);
    expect(plain(toasts.list.at(-1)?.text ?? '')).toMatch(/^Undone: the trial of Acme ends /);
    expect(toasts.list.at(-1)?.undo).toBeNull();
    changes.undoLatest();
    // What other tests made can be undone yet, but neither of these two.
    expect(ordered.filter((id) => [first.id, undo.id].includes(id))).toEqual([first.id]);
  });
});

describe('the clock', () => {
  it('goes by the server’s, and on from there', async () => {
    vi.useFakeTimers({ now: NOW + DAY });
    const stop = clock.start();
    clock.follow(NOW);
    expect(clock.now).toBe(NOW);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(clock.now).toBe(NOW + 2 * MINUTE);
    // An instant of today is written as one of today.
    expect(clockTime(NOW)).toMatch(/^\d\d:\d\d$/);
    clock.follow(null);
    expect(clock.now).toBe(NOW + DAY + 2 * MINUTE);
    stop();
  });

  it('is taken with every freshness, and the difference is said until that is closed', async () => {
    await open({}, `tenants=40&skew=${DAY}`);
    expect(Math.abs(clock.now - (Date.now() - DAY))).toBeLessThan(5000);
    render(SkewBanner);
    const banner = screen.getByTestId('skew-banner');
    expect(plain(banner.textContent ?? '')).toContain('clock is 1 d ahead of the paywall server.');
    await userEvent.click(screen.getByRole('button', { name: 'Close this message' }));
    expect(screen.queryByTestId('skew-banner')).toBeNull();
    app.freshness = freshness({ clock_skew_ms: -DAY });
    await tick();
    expect(screen.queryByTestId('skew-banner')).toBeNull();
    app.skewClosed = false;
  });

  it('that agrees is not worth a word', async () => {
    await open();
    render(SkewBanner);
    expect(screen.queryByTestId('skew-banner')).toBeNull();
  });
});

describe('how the last profile was opened', () => {
  const WORDS: [FailureCode, RegExp][] = [
    [{ code: 'profiles_unreadable', kept_as: '/d/profiles.json.old' }, /put aside whole as \/d\/profiles/],
    [{ code: 'cache_broken' }, /is being fetched again: there is nothing to do\..*check in Activity/],
    [{ code: 'cache_newer' }, /written by a newer console/],
    [{ code: 'cache_in_use' }, /Another console has this profile open/],
    [{ code: 'keyring', state: 'locked' }, /The keyring is locked/],
    [{ code: 'keyring', state: 'missing' }, /no keyring service/],
  ];

  it.each(WORDS)('%j is said, and can be closed', async (code, words) => {
    const openFailure = failure(code, { at: WORDS.findIndex(([each]) => each === code) });
    await open((world) => ({
      appState: async (): Promise<AppState> => ({ ...(await world.appState()), open_failure: openFailure }),
    }));
    render(OpenFailure);
    expect(plain(screen.getByTestId('open-failure').textContent ?? '').replace(/\s+/g, ' ')).toMatch(words);
    await userEvent.click(screen.getByRole('button', { name: 'Close this message' }));
    expect(screen.queryByTestId('open-failure')).toBeNull();
    await app.reload();
    await tick();
    expect(screen.queryByTestId('open-failure')).toBeNull();
  });
});

describe('while the last profile opens', () => {
  it('the frame is there at once, and after two seconds it says what the system may be asking', async () => {
    vi.useFakeTimers();
    app.state = null;
    app.failure = null;
    const world = mockHost(new URLSearchParams('tenants=40'));
    useHost({ ...world, appState: () => new Promise(() => undefined) });
    const { unmount } = render(App);
    expect(screen.getByTestId('opening')).toBeTruthy();
    await vi.advanceTimersByTimeAsync(1900);
    expect(screen.queryByText(/Opening…/)).toBeNull();
    await vi.advanceTimersByTimeAsync(200);
    expect(screen.getByText('Opening… your system may be asking you to unlock the keyring.')).toBeTruthy();
    unmount();
  });
});

describe('Sync now', () => {
  const said = () => screen.getByTestId('profile-said').textContent ?? '';
  async function card(query = 'tenants=40') {
    const host = await open({ syncNow: async () => undefined }, query);
    const profile = app.profile;
    if (!profile) throw new Error('no profile');
    render(ProfileCard, { profile });
    await userEvent.click(screen.getByTestId('sync-now'));
    return host;
  }

  it('says that it asks until the copy is as new as the asking', async () => {
    await card();
    expect(said()).toBe('Asking…');
    const asOf = clock.current();
    app.freshness = freshness({ as_of: asOf - MINUTE, now: asOf });
    await tick();
    expect(said()).toBe('Asking…');
    app.freshness = freshness({ as_of: asOf + 10, now: asOf + 20 });
    await tick();
    expect(said()).toBe(`Up to date as of ${clockTime(asOf)}.`);
  });

  it('says why not where a source could not be read, and not what failed before', async () => {
    await card();
    const failing = (at: number) =>
      freshness({
        sources: [
          source({ state: 'failing', failure: failure({ code: 'unreachable', source: 'server' }, { at }) }),
        ],
      });
    app.freshness = failing(Date.now() - HOUR);
    await tick();
    expect(said()).toBe('Asking…');
    app.freshness = failing(Date.now());
    await tick();
    expect(said()).toBe('');
    expect(screen.getByRole('alert').textContent).toContain('Paywall server cannot be reached.');
  });

  it('says at once that there is no token to ask with', async () => {
    await card('tenants=40&scenario=no-token');
    expect(said()).toBe('');
    expect(screen.getByRole('alert').textContent).toContain('There is no token for this profile.');
  });
});

describe('a profile that is closed', () => {
  it('does not say of its copy what is not known', async () => {
    await open();
    const closed = app.state?.profiles.find((it) => it.id !== app.state?.open);
    if (!closed) throw new Error('no other profile');
    render(ProfileCard, { profile: closed });
    const text = plain(screen.getByTestId(`profile-${closed.id}`).textContent ?? '').replace(/\s+/g, ' ');
    expect(text).toContain('Not open: what is in it, and how old it is, shows once it is opened.');
    expect(text).not.toContain('no full pass yet');
  });

  it('counts its tenants with those left out once it is open', async () => {
    await open();
    await waitFor(() => expect(app.count('deleted')).toBe(1));
    if (app.profile) render(ProfileCard, { profile: app.profile });
    expect(plain(screen.getByRole('article').textContent ?? '')).toContain(
      '39 tenants (1 deleted tenant not counted) ·',
    );
  });
});

describe('a profile that cannot be opened after the former was closed', () => {
  async function refused() {
    let closed = false;
    await open((world) => ({
      appState: async () => ({ ...(await world.appState()), ...(closed ? { open: null } : {}) }),
      profileOpen: () => {
        closed = true;
        return Promise.reject(failure({ code: 'keyring', state: 'locked' }));
      },
    }));
    expect(app.profile).not.toBeNull();
  }

  it('leaves none that is said to be open, from its card', async () => {
    await refused();
    render(Connections);
    expect(screen.getByText('Open now')).toBeTruthy();
    await userEvent.click(screen.getAllByTestId('profile-open')[0]!);
    await waitFor(() => expect(app.profile).toBeNull());
    expect(screen.queryByText('Open now')).toBeNull();
    expect(screen.getAllByRole('alert').length).toBeGreaterThan(0);
  });

  it('leaves none that is said to be open, once it was added', async () => {
    await refused();
    render(Connections);
    await userEvent.click(screen.getByTestId('profile-new'));
    const form = within(screen.getByRole('region', { name: 'New profile' }));
    await userEvent.type(form.getByTestId('profile-name'), 'Third');
    await userEvent.click(form.getByTestId('profile-mode-test'));
    await userEvent.type(form.getByTestId('server-url'), 'https://third.example.com');
    await userEvent.type(form.getByTestId('server-token'), `pwt_${'a'.repeat(49)}`);
    await userEvent.click(form.getByTestId('profile-save'));
    await waitFor(() => expect(app.profile).toBeNull());
    expect(screen.queryByText('Open now')).toBeNull();
    expect(screen.getAllByRole('alert').length).toBeGreaterThan(0);
  });
});

describe('the token that is asked for', () => {
  it('is said to go where it goes', async () => {
    await open({}, 'scenario=keyring-locked');
    render(ProfileForm, { onsaved: () => undefined, oncancel: () => undefined });
    expect(screen.getByText(/It goes into the keyring/)).toBeTruthy();
    await userEvent.click(screen.getByTestId('session-only'));
    expect(screen.queryByText(/goes into the keyring/)).toBeNull();
    expect(screen.getByText(/It is kept in memory for this session only/)).toBeTruthy();
  });
});

describe('sample data without a keyring', () => {
  it('is said to be kept until the app is closed, and only then', async () => {
    for (const [scenario, said] of [
      ['keyring-missing', 1],
      ['keyring-locked', 1],
      ['first-run', 0],
    ] as const) {
      await open({}, `scenario=${scenario}`);
      const { unmount } = render(FirstRun);
      expect(screen.queryAllByText(/kept until you close the app/)).toHaveLength(said);
      unmount();
    }
  });
});

describe('while the first copy is read', () => {
  it('an empty list says so, in place of that nothing has happened', async () => {
    await open({}, 'tenants=40&scenario=first-sync&hold');
    render(Activity);
    expect(await screen.findByText('The first copy is still under way')).toBeTruthy();
    expect(screen.queryByText(/Nothing has happened|has not changed|No one/)).toBeNull();
  });
});

describe('a profile without a token', () => {
  it('can be looked at, and says why nothing can be changed', async () => {
    await open({}, 'tenants=40&scenario=no-token');
    expect(app.noChange).toContain('no token');
    expect(app.unread?.text).toContain('There is no token for this profile.');
    await expect(find(mockHost(new URLSearchParams('tenants=40')), 'Contoso')).resolves.toBeTruthy();
  });
});
