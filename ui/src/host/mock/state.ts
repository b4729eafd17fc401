import type { Adjustment, Problem, ServerHealth } from '../generated/contract';
import type { Plan, TenantId, Timestamp } from '../generated/domain';
import type {
  Failure,
  FailureCode,
  Freshness,
  KeyringState,
  Mode,
  ProfileView,
  SecretView,
  Settings,
} from '../generated/ipc';
import type { HostEvents } from '../host';
import { healthOf } from './health';
import { fail, pause } from './fail';
import { DAY } from './rules';
import { makeWorld, type Person, type World } from './world';

/** What the page can be asked to be, by `?scenario=`. */
export type Scenario =
  | 'live'
  | 'test-mode'
  | 'sample'
  | 'offline'
  | 'first-run'
  | 'empty'
  | 'first-sync'
  | 'stripe-missing'
  | 'stripe-partial'
  | 'no-token'
  | 'keyring-locked'
  | 'keyring-missing'
  | 'server-error';

export const ACTOR = 'mia';
const INTERVAL = 60_000;

const OPEN_FAILURES: Record<string, FailureCode> = {
  profiles_unreadable: {
    code: 'profiles_unreadable',
    kept_as: '/home/mia/.local/share/paywall-console/profiles.json.unreadable-1764000000000',
  },
  keyring: { code: 'keyring', state: 'locked' },
  cache_broken: { code: 'cache_broken' },
  cache_newer: { code: 'cache_newer' },
  cache_in_use: { code: 'cache_in_use' },
};

type Listeners = { [E in keyof HostEvents]: Set<(payload: HostEvents[E]) => void> };

/** All that the host in the page knows and changes: the world, the profiles, and how well it is reached. */
export class State {
  readonly scenario: Scenario;
  readonly keyring: KeyringState;
  /** A Stripe key that may not read every list. */
  readonly partial: boolean;
  readonly tokenless: boolean;
  readonly started: Timestamp;
  readonly world: World;
  readonly profiles: ProfileView[] = [];
  readonly settings: Settings;
  readonly openFailure: Failure | null;
  readonly adjustments = new Map<string, Adjustment>();
  /** The adjustment that was made under each key. */
  readonly byKey = new Map<string, Adjustment>();
  readonly listeners: Listeners = {
    freshness: new Set(),
    'data-changed': new Set(),
    settled: new Set(),
    menu: new Set(),
  };
  open: string | null = null;
  stripe: boolean;
  offline: boolean;
  /** Whether the first copy is still being read, and how many tenants of it were. */
  loading: boolean;
  read = 0;
  asOf: Timestamp;
  /** Grows with each change of the world. */
  generation = 0;
  #requests = 0;
  /** How far this machine's clock is ahead of the server's. */
  #skew: number;

  constructor(readonly query: URLSearchParams) {
    const scenario = (query.get('scenario') ?? 'live') as Scenario;
    this.scenario = scenario;
    this.#skew = Number(query.get('skew') ?? 0);
    this.started = this.present();
    this.keyring =
      scenario === 'keyring-locked' ? 'locked' : scenario === 'keyring-missing' ? 'missing' : 'available';
    this.stripe = scenario !== 'stripe-missing';
    this.partial = scenario === 'stripe-partial';
    this.offline = scenario === 'offline';
    this.tokenless = scenario === 'no-token';
    this.loading = scenario === 'first-sync' || this.tokenless;
    this.asOf =
      this.started +
      Number(query.get('ahead') ?? 0) -
      (this.offline ? 2 * 3_600_000 : scenario === 'server-error' ? 3 * 60_000 : 40_000);
    const size = Number(query.get('tenants') ?? (scenario === 'empty' ? 0 : 1200));
    this.world = makeWorld(this.started, size, this.stripe);
    if (scenario === 'empty' || this.tokenless) {
      this.world.people.clear();
      this.world.entries.length = 0;
    }
    this.settings = {
      theme: (query.get('theme') ?? 'system') as Settings['theme'],
      single_keys: true,
    };
    const why = OPEN_FAILURES[query.get('open_failure') ?? ''];
    this.openFailure = why ? { ...why, detail: 'at the start', request_id: null, at: Date.now() } : null;
    this.#makeProfiles();
  }

  /** The server's clock. */
  present(): Timestamp {
    return Date.now() - this.#skew;
  }

  emit<E extends keyof HostEvents>(event: E, payload: HostEvents[E]): void {
    for (const heard of this.listeners[event]) heard(payload);
  }

  // ── Profiles ───────────────────────────────────────────────────────────────────────────────────

  #makeProfiles(): void {
    const { scenario } = this;
    if (scenario === 'first-run' || scenario.startsWith('keyring-')) return;
    const mode: Mode = scenario === 'test-mode' ? 'test' : scenario === 'sample' ? 'sample' : 'live';
    const name = mode === 'test' ? 'staging' : mode === 'sample' ? 'Sample data' : 'production';
    this.profiles.push(this.makeProfile('p1', name, mode, this.stripe));
    if (scenario === 'live')
      this.profiles.push({
        ...this.makeProfile('p2', 'staging', 'test', true),
        cache: { tenants: null, bytes: 12_600_000, full_sync_at: null, encrypted: true },
      });
    this.open = 'p1';
  }

  makeProfile(id: string, name: string, mode: Mode, withStripe: boolean): ProfileView {
    const secret = (hint: string): SecretView => ({
      hint,
      added_at: this.started - 21 * DAY,
      store: this.keyring === 'available' ? 'keyring' : 'session',
    });
    return {
      id,
      name,
      mode,
      write_mode: this.query.get('write') === 'read_only' ? 'read_only' : 'review',
      server_url: mode === 'sample' ? 'http://127.0.0.1:8790' : 'https://paywall.example.com',
      server_token: this.tokenless ? null : secret('pwt_…7Kq2'),
      stripe_url: 'https://api.stripe.com',
      stripe_key: withStripe ? secret(mode === 'live' ? 'rk_live_…9xQ2' : 'rk_test_…4bR7') : null,
      caller: { name: ACTOR, role: 'support', server_version: '1.0.0', at: this.started - 3 * 60_000 },
      cache: this.openCache(),
      sample_running: mode === 'sample' ? !this.offline : null,
    };
  }

  /** The local copy of a profile that is open. */
  openCache(): ProfileView['cache'] {
    const here = [...this.world.people.values()].filter((it) => it.deleted_at === null);
    return { tenants: here.length, bytes: 38_400_000, full_sync_at: this.asOf, encrypted: true };
  }

  profile(): ProfileView {
    return (
      this.profiles.find((it) => it.id === this.open) ?? fail({ code: 'no_profile' }, 'no profile is open')
    );
  }

  profileOf(id: string): ProfileView {
    return this.profiles.find((it) => it.id === id) ?? fail({ code: 'unknown_profile' }, id);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────

  /** Asks the server, which may not be there. */
  async reached(): Promise<void> {
    await pause(30);
    if (this.offline) fail({ code: 'unreachable', source: 'server' }, 'connection refused');
    this.#requests += 1;
    if (this.scenario === 'server-error')
      fail({ code: 'server_fault' }, 'answered 500', `req-01J9ZQ${this.#requests}`);
  }

  requestId(): string {
    return `req-01J9Z${String(this.#requests).padStart(4, '0')}`;
  }

  refuse(problem: Partial<Problem> & Pick<Problem, 'code' | 'status'>): never {
    const request_id = this.requestId();
    const type = `urn:paywall:problem:${problem.code}`;
    return fail(
      {
        code: 'refused',
        problem: { type, title: problem.code, detail: problem.code, request_id, ...problem },
      },
      `answered ${problem.status}`,
      request_id,
    );
  }

  writable(): void {
    if (this.profile().write_mode === 'read_only') fail({ code: 'read_only' }, 'blocked before it was sent');
  }

  freshness(): Freshness {
    const now = this.present();
    const { offline, loading, tokenless, scenario, stripe } = this;
    if (!offline && !loading && scenario !== 'server-error' && now - this.asOf > INTERVAL * 4)
      this.asOf = now;
    const { asOf } = this;
    const failing = offline || tokenless || scenario === 'server-error';
    const told = { request_id: null, at: Date.now() };
    const failure: Failure | null = offline
      ? { code: 'unreachable', source: 'server', detail: 'connection refused', ...told }
      : scenario === 'server-error'
        ? { code: 'server_fault', detail: 'answered 500', ...told, request_id: 'req-01J9ZQ' }
        : tokenless
          ? { code: 'token_missing', detail: 'no token is stored', ...told }
          : null;
    const total = this.world.people.size;
    return {
      sources: [
        {
          source: 'server',
          state: failing ? 'failing' : loading ? 'never' : 'current',
          as_of: loading ? null : asOf,
          failing_since: failing ? asOf + 20_000 : null,
          failure,
          next_try_at: tokenless ? null : failing ? now + 20_000 : now + INTERVAL,
          progress: loading && !tokenless ? { stream: 'tenants', done: this.read, total } : null,
          missing: [],
          unreadable: [],
          unreadable_total: 0,
          versions: [],
        },
        {
          source: 'stripe',
          state: !stripe ? 'not_configured' : loading ? 'never' : 'current',
          as_of: stripe && !loading ? asOf : null,
          failing_since: null,
          failure: null,
          next_try_at: null,
          progress: null,
          missing: [],
          unreadable: [],
          unreadable_total: 0,
          versions: [],
        },
      ],
      as_of: loading ? null : asOf,
      offline,
      interval_ms: INTERVAL,
      clock_skew_ms: this.#skew + 200,
      health: this.health(),
      now,
    };
  }

  /** How the server last said that it is. */
  health(): ServerHealth | null {
    if (this.tokenless) return null;
    // What is not reached has only an old word here.
    const reached = !this.offline && this.scenario !== 'server-error';
    return healthOf(
      this.query.get('health'),
      this.scenario === 'sample',
      reached ? this.present() : this.asOf,
    );
  }

  // ── The world ──────────────────────────────────────────────────────────────────────────────────

  found(id: TenantId): Person {
    return this.world.people.get(id) ?? fail({ code: 'not_found' }, `no tenant ${id} in the copy`);
  }

  planOf(id: string): Plan {
    return this.world.plans.find((it) => it.id === id) as Plan;
  }
}
