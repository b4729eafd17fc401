import type { Adjustment, Problem, Snapshot, Tenant, TimelineEntry } from '../generated/contract';
import type { Change, Plan, TenantId, Timestamp, UndoRefusal } from '../generated/domain';
import type {
  AppState,
  AttentionItem,
  Billing,
  EntryRow,
  Failure,
  FailureCode,
  Freshness,
  KeyringState,
  Mode,
  Money,
  ProfileView,
  SecretView,
  Settled,
  TenantPage,
  TenantRow,
  UndoState,
  UnsettledChange,
} from '../generated/ipc';
import type { Host, HostEvents } from '../host';
import { check, findings, mask, testSteps } from './check';
import { fail, pause } from './fail';
import {
  accessOf,
  applied,
  DAY,
  METERS,
  planInForce,
  readingsOf,
  snapshotOf,
  statusOf,
  tagsOf,
} from './rules';
import { searchIn } from './search';
import { inView, VIEWS } from './views';
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

const INTERVAL = 60_000;
const ACTOR = 'mia';

/** A host whose whole world lives in the page. For tests of the window in a browser. */
export function mockHost(query: URLSearchParams): Host {
  const scenario = (query.get('scenario') ?? 'live') as Scenario;
  const size = Number(query.get('tenants') ?? (scenario === 'empty' ? 0 : 1200));
  // How far this machine's clock is ahead of the server's.
  const skew = Number(query.get('skew') ?? 0);
  const present = (): Timestamp => Date.now() - skew;
  const started = present();
  const firstRun = scenario === 'first-run' || scenario.startsWith('keyring-');
  const keyring: KeyringState =
    scenario === 'keyring-locked' ? 'locked' : scenario === 'keyring-missing' ? 'missing' : 'available';
  const mode: Mode = scenario === 'test-mode' ? 'test' : scenario === 'sample' ? 'sample' : 'live';
  let stripe = scenario !== 'stripe-missing';
  // A key that may not read every list.
  const partial = scenario === 'stripe-partial';
  let offline = scenario === 'offline';
  let asOf: Timestamp =
    started +
    Number(query.get('ahead') ?? 0) -
    (offline ? 2 * 3_600_000 : scenario === 'server-error' ? 3 * 60_000 : 40_000);
  const tokenless = scenario === 'no-token';
  let loading = scenario === 'first-sync' || tokenless;
  let read = 0;

  const world: World = makeWorld(started, size, stripe);
  if (scenario === 'empty' || tokenless) {
    world.people.clear();
    world.entries.length = 0;
  }
  const byKey = new Map<string, Adjustment>();
  const adjustments = new Map<string, Adjustment>();
  const profiles: ProfileView[] = [];
  let open: string | null = null;
  const settings = {
    theme: (query.get('theme') ?? 'system') as 'system' | 'light' | 'dark',
    single_keys: true,
  };
  const openFailures: Record<string, FailureCode> = {
    profiles_unreadable: {
      code: 'profiles_unreadable',
      kept_as: '/home/mia/.local/share/paywall-console/profiles.json.unreadable-1764000000000',
    },
    keyring: { code: 'keyring', state: 'locked' },
    cache_broken: { code: 'cache_broken' },
    cache_newer: { code: 'cache_newer' },
    cache_in_use: { code: 'cache_in_use' },
  };
  const why = openFailures[query.get('open_failure') ?? ''];
  const openFailure: Failure | null = why
    ? { ...why, detail: 'at the start', request_id: null, at: started }
    : null;
  let requests = 0;
  let rowCache: { generation: number; at: number; rows: TenantRow[] } | null = null;
  let generation = 0;

  const listeners: { [E in keyof HostEvents]: Set<(payload: HostEvents[E]) => void> } = {
    freshness: new Set(),
    'data-changed': new Set(),
    settled: new Set(),
    menu: new Set(),
  };
  const emit = <E extends keyof HostEvents>(event: E, payload: HostEvents[E]) => {
    for (const heard of listeners[event]) heard(payload);
  };

  const secret = (hint: string, session: boolean): SecretView => ({
    hint,
    added_at: started - 21 * DAY,
    store: session ? 'session' : 'keyring',
  });
  const makeProfile = (
    id: string,
    name: string,
    of: Mode,
    withStripe: boolean,
    session = false,
  ): ProfileView => ({
    id,
    name,
    mode: of,
    write_mode: query.get('write') === 'read_only' ? 'read_only' : 'review',
    server_url: of === 'sample' ? 'http://127.0.0.1:8790' : 'https://paywall.example.com',
    server_token: tokenless ? null : secret('pwt_…7Kq2', session),
    stripe_url: 'https://api.stripe.com',
    stripe_key: withStripe ? secret(of === 'live' ? 'rk_live_…9xQ2' : 'rk_test_…4bR7', session) : null,
    caller: { name: ACTOR, role: 'support', server_version: '1.0.0', at: started - 3 * 60_000 },
    cache: { tenants: world.people.size, bytes: 38_400_000, full_sync_at: asOf, encrypted: true },
    sample_running: of === 'sample' ? !offline : null,
  });
  if (!firstRun) {
    profiles.push(
      makeProfile(
        'p1',
        mode === 'test' ? 'staging' : mode === 'sample' ? 'Sample data' : 'production',
        mode,
        stripe,
      ),
    );
    if (scenario === 'live')
      profiles.push({
        ...makeProfile('p2', 'staging', 'test', true),
        cache: { tenants: null, bytes: null, full_sync_at: null, encrypted: true },
      });
    open = 'p1';
  }

  const freshness = (): Freshness => {
    const now = present();
    if (!offline && !loading && scenario !== 'server-error' && now - asOf > INTERVAL * 4) asOf = now;
    const failing = offline || tokenless || scenario === 'server-error';
    const failure: Failure | null = offline
      ? { code: 'unreachable', source: 'server', detail: 'connection refused', request_id: null, at: now }
      : scenario === 'server-error'
        ? { code: 'server_fault', detail: 'answered 500', request_id: 'req-01J9ZQ', at: now }
        : tokenless
          ? { code: 'token_missing', detail: 'no token is stored', request_id: null, at: now }
          : null;
    return {
      sources: [
        {
          source: 'server',
          state: failing ? 'failing' : loading ? 'never' : 'current',
          as_of: loading ? null : asOf,
          failing_since: failing ? asOf + 20_000 : null,
          failure,
          next_try_at: tokenless ? null : failing ? now + 20_000 : now + INTERVAL,
          progress:
            loading && !tokenless ? { stream: 'tenants', done: read, total: world.people.size } : null,
          missing: [],
          unreadable: [],
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
        },
      ],
      as_of: loading ? null : asOf,
      offline,
      interval_ms: INTERVAL,
      clock_skew_ms: skew + 200,
      now,
    };
  };

  const reached = async () => {
    await pause(30);
    if (offline) fail({ code: 'unreachable', source: 'server' }, 'connection refused');
    requests += 1;
    if (scenario === 'server-error') fail({ code: 'server_fault' }, 'answered 500', `req-01J9ZQ${requests}`);
  };
  const requestId = () => `req-01J9Z${String(requests).padStart(4, '0')}`;
  const profile = () =>
    profiles.find((it) => it.id === open) ?? fail({ code: 'no_profile' }, 'no profile is open');
  const found = (id: TenantId): Person =>
    world.people.get(id) ?? fail({ code: 'not_found' }, `no tenant ${id} in the copy`);
  const planOf = (id: string) => world.plans.find((it) => it.id === id) as Plan;

  const tenantOf = (it: Person, at: Timestamp): Tenant => {
    const plan = planOf(planInForce(it.facts, at));
    return {
      id: it.id,
      name: it.name,
      email: it.email,
      domain: it.email.split('@')[1]?.toLowerCase() ?? '',
      created_at: it.created_at,
      deleted_at: it.deleted_at,
      stripe_customer: it.stripe_customer,
      facts: it.facts,
      plan_in_force: plan.id,
      status: statusOf(it.facts, at),
      tags: tagsOf(it.facts, it.deleted_at !== null, at),
      access: accessOf(it.facts, plan, it.usage, at),
      meters: readingsOf(it.facts, plan, it.usage, at),
      measured_at: it.measured_at,
      members: it.members,
      last_active_at: it.last_active_at,
      last_refusal: it.last_refusal,
      version: it.version,
      seq: it.version,
      as_of: at,
    };
  };

  const rowOf = (it: Person, at: Timestamp): TenantRow => {
    const plan = planOf(planInForce(it.facts, at));
    const access = accessOf(it.facts, plan, it.usage, at);
    let used_percent: number | null = null;
    let used_meter: TenantRow['used_meter'] = null;
    for (const { meter, used, limit } of readingsOf(it.facts, plan, it.usage, at)) {
      if (used === null || limit === null || limit === 0) continue;
      const share = Math.floor((used / limit) * 100);
      if (used_percent === null || share > used_percent) {
        used_percent = share;
        used_meter = meter;
      }
    }
    return {
      id: it.id,
      name: it.name,
      email: it.email,
      plan_name: planOf(it.facts.plan).name,
      status: statusOf(it.facts, at),
      level: access.level,
      tags: tagsOf(it.facts, it.deleted_at !== null, at),
      trial_ends_at: it.facts.trial?.ends_at ?? null,
      extensions: it.facts.trial?.extensions ?? 0,
      extended_ms: it.facts.trial?.extended_ms ?? 0,
      used_percent,
      used_meter,
      last_active_at: it.last_active_at,
      last_refused_at: it.last_refusal?.at ?? null,
      mrr: stripe ? it.mrr : null,
      holds_until: access.holds_until,
    };
  };
  const allRows = (): TenantRow[] => {
    const at = Math.min(present(), offline ? asOf : present());
    if (!rowCache || rowCache.generation !== generation || at - rowCache.at > 5000) {
      rowCache = { generation, at, rows: [...world.people.values()].map((it) => rowOf(it, at)) };
    }
    return loading ? rowCache.rows.slice(0, read) : rowCache.rows;
  };

  const undoOf = (adjustment: Adjustment): UndoState => {
    const refuse = (reason: UndoRefusal): UndoState => ({ state: 'refused', reason });
    if (adjustment.undoes) return refuse({ refusal: 'is_undo' });
    if (adjustment.undone_by) return refuse({ refusal: 'already_undone' });
    const later = [...adjustments.values()].filter(
      (it) =>
        it.tenant_id === adjustment.tenant_id &&
        it.id > adjustment.id &&
        it.change.kind !== 'note' &&
        !it.undone_by &&
        !it.undoes,
    );
    const last = later.at(-1);
    if (last) return refuse({ refusal: 'changed_since', adjustment: last.id, by: last.actor, at: last.at });
    return { state: 'possible' };
  };
  const entryRow = (entry: TimelineEntry): EntryRow => ({
    entry,
    undo: entry.body.kind === 'adjustment' ? undoOf(entry.body.adjustment) : null,
    mine: entry.body.kind === 'adjustment' && entry.body.adjustment.actor === ACTOR,
  });
  const pageOf = <T>(rows: T[], cursor: string | null, limit: number): { rows: T[]; next: string | null } => {
    const from = cursor === null ? 0 : Number(cursor);
    const end = from + limit;
    return { rows: rows.slice(from, end), next: end < rows.length ? String(end) : null };
  };

  const record = (
    it: Person,
    change: Change,
    reason: string,
    ticket: string | null,
    before: Snapshot,
    at: Timestamp,
    actor: string,
    undoes: string | null,
  ): Adjustment => {
    const id = `01J9Z${String(at).padStart(14, '0')}${String(adjustments.size).padStart(7, '0')}`;
    const adjustment: Adjustment = {
      id,
      tenant_id: it.id,
      at,
      actor,
      actor_role: 'support',
      change,
      reason,
      ticket,
      before,
      after: snapshotOf(it.facts, world.plans, it.usage, at),
      undoes,
      undone_by: null,
      request_id: requestId(),
    };
    adjustments.set(id, adjustment);
    world.entries.unshift({
      id,
      tenant_id: it.id,
      tenant_name: it.name,
      at,
      body: { kind: 'adjustment', adjustment },
    });
    it.version += 1;
    generation += 1;
    return adjustment;
  };
  const refuse = (problem: Partial<Problem> & Pick<Problem, 'code' | 'status'>): never =>
    fail(
      {
        code: 'refused',
        problem: {
          type: `urn:paywall:problem:${problem.code}`,
          title: problem.code,
          detail: problem.code,
          request_id: requestId(),
          ...problem,
        },
      },
      `answered ${problem.status}`,
      requestId(),
    );
  const tried = (it: Person, change: Change, reason: string, at: Timestamp) => {
    const facts = applied(it.facts, change, ACTOR, reason, world.plans, at);
    if (typeof facts === 'string') {
      return refuse({
        code: 'change_refused',
        status: 422,
        adjustment: { refusal: facts } as Problem['adjustment'] & object,
      });
    }
    return facts;
  };
  const writable = () => {
    if (profile().write_mode === 'read_only') fail({ code: 'read_only' }, 'blocked before it was sent');
  };

  // A little history, so that Activity has something to show and to refuse.
  const seed = (
    name: string,
    back: number,
    change: Change,
    reason: string,
    actor: string,
    ticket: string | null = null,
  ) => {
    const it = [...world.people.values()].find((each) => each.name === name);
    if (!it) return;
    const at = started - back;
    const before = snapshotOf(it.facts, world.plans, it.usage, at);
    const facts = applied(it.facts, change, actor, reason, world.plans, at);
    if (typeof facts !== 'string') it.facts = facts;
    record(it, change, reason, ticket, before, at, actor, null);
  };
  seed(
    'Acmeworks',
    9 * DAY,
    { kind: 'extend_trial', target: { days: 7 } },
    'Evaluation delayed',
    'tom',
    'https://tickets.example.com/4412',
  );
  seed('Acme GmbH', 4 * DAY, { kind: 'note' }, 'CTO is back on the 20th', ACTOR);
  seed(
    'Two Currencies SA',
    3 * DAY,
    { kind: 'override_quota', meter: 'documents', limit: 800, expires_at: null },
    'Goodwill',
    ACTOR,
  );
  seed(
    'Two Currencies SA',
    DAY,
    { kind: 'override_quota', meter: 'documents', limit: 1000, expires_at: null },
    'Sales',
    'tom',
  );
  seed(
    'Contoso',
    3 * 3_600_000,
    { kind: 'override_quota', meter: 'messages', limit: 1200, expires_at: started + 20 * DAY },
    'Customer asked',
    ACTOR,
  );
  world.entries.sort((a, b) => b.at - a.at);

  if (loading && !tokenless) {
    const timer = setInterval(() => {
      read = Math.min(world.people.size, read + 200);
      if (read >= world.people.size && query.get('hold') === null) {
        loading = false;
        asOf = present();
        clearInterval(timer);
      }
      generation += 1;
      emit('freshness', freshness());
      emit('data-changed', null);
    }, 400);
  }

  // A change that was sent and whose answer is not known; `?unsettled=` says what became of it.
  const waiting = [...world.people.values()][1];
  const doubts: UnsettledChange[] =
    query.get('unsettled') !== null && waiting
      ? [
          {
            key: 'lost-1',
            tenant_id: waiting.id,
            tenant_name: waiting.name,
            change: { kind: 'comp', plan: 'team', until: started + 30 * DAY },
            sent_at: started - 40_000,
            instance: 'db-1',
            undoes: null,
          },
        ]
      : [];
  const becameOf = (key: string): Settled => {
    const doubt = doubts.find((it) => it.key === key);
    const made = byKey.get(key);
    if (made) return { outcome: 'made', adjustment: made };
    doubts.length = 0;
    const outcome = doubt ? query.get('unsettled') : 'not_made';
    if (outcome === 'other_database') return { outcome };
    if (outcome !== 'made' || !doubt) return { outcome: 'not_made' };
    const it = found(doubt.tenant_id);
    const at = present();
    const was = snapshotOf(it.facts, world.plans, it.usage, at);
    it.facts = tried(it, doubt.change, 'Sales', at);
    const adjustment = record(it, doubt.change, 'Sales', null, was, at, ACTOR, null);
    byKey.set(key, adjustment);
    return { outcome, adjustment };
  };

  const lists = (billing: Billing): Billing =>
    partial ? { ...billing, subscriptions: null, invoices: null } : billing;
  const sums = (rows: TenantRow[]): Money[] => {
    const by = new Map<string, number>();
    for (const { amount, currency } of rows.flatMap((it) => it.mrr ?? []))
      by.set(currency, (by.get(currency) ?? 0) + amount);
    return [...by].map(([currency, amount]) => ({ currency, amount }));
  };

  return {
    async appState(): Promise<AppState> {
      await pause(Number(query.get('slow') ?? 0));
      return {
        version: '0.1.0',
        profiles: structuredClone(profiles),
        open,
        open_failure: openFailure,
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
          ? { hint: mask(given), added_at: present(), store: draft.session_only ? 'session' : 'keyring' }
          : (before ?? null);
      const made: ProfileView = {
        ...makeProfile(id, draft.name.trim(), draft.mode, true),
        write_mode: draft.write_mode,
        server_url: draft.server_url,
        stripe_url: draft.stripe_url || 'https://api.stripe.com',
        server_token: kept(draft.server_token, old?.server_token),
        stripe_key: kept(draft.stripe_key, old?.stripe_key),
      };
      if (old) profiles[profiles.indexOf(old)] = made;
      else profiles.push(made);
      stripe = made.stripe_key !== null;
      open ??= id;
      generation += 1;
      return structuredClone(made);
    },
    async profileRemove(id) {
      const index = profiles.findIndex((it) => it.id === id);
      if (index < 0) fail({ code: 'unknown_profile' }, id);
      profiles.splice(index, 1);
      if (open === id) open = null;
    },
    async profileOpen(id) {
      const it = profiles.find((each) => each.id === id) ?? fail({ code: 'unknown_profile' }, id);
      open = id;
      it.cache = { tenants: world.people.size, bytes: 38_400_000, full_sync_at: asOf, encrypted: true };
      return structuredClone(it);
    },
    connectionTest: (draft, onStep) => testSteps(draft, profiles, offline, onStep),
    async cacheClear(id) {
      const it = profiles.find((each) => each.id === id) ?? fail({ code: 'unknown_profile' }, id);
      it.cache = { tenants: 0, bytes: null, full_sync_at: null, encrypted: true };
      emit('data-changed', null);
    },
    async sampleStart() {
      await pause(50);
      let it = profiles.find((each) => each.mode === 'sample');
      if (!it) {
        it = makeProfile('sample', 'Sample data', 'sample', true);
        profiles.push(it);
      }
      it.sample_running = true;
      offline = false;
      open = it.id;
      return structuredClone(it);
    },
    async samplePause() {
      const it = profiles.find((each) => each.mode === 'sample');
      if (it) it.sample_running = false;
      offline = true;
      asOf = present() - 1000;
      emit('freshness', freshness());
    },
    async sampleResume() {
      const it = profiles.find((each) => each.mode === 'sample');
      if (it) it.sample_running = true;
      offline = false;
      asOf = present();
      emit('freshness', freshness());
      emit('data-changed', null);
    },
    async freshness() {
      profile();
      return freshness();
    },
    async syncNow() {
      // It only asks for a pass: how that went comes with the next freshness.
      setTimeout(() => {
        if (!offline && !tokenless && scenario !== 'server-error') {
          asOf = present();
          emit('data-changed', null);
        }
        emit('freshness', freshness());
      }, 300);
    },
    async syncCancel() {
      loading = false;
      emit('freshness', freshness());
    },
    async overview() {
      profile();
      const now = present();
      const rows = allRows().filter((it) => !it.tags.includes('deleted'));
      const cohort = allRows().filter((it) => inView(it, 'trial_cohort', now));
      const paying = rows.filter((it) => inView(it, 'paying', now));
      const ending = rows.filter((it) => inView(it, 'trial_ending', now));
      const due = rows.filter((it) => it.status === 'past_due');
      const attention: AttentionItem[] = (
        ['locked_out_active', 'quota_blocked', 'past_due', 'trial_ending'] as const
      )
        .map((kind) => {
          const hits = rows.filter((it) => inView(it, kind, now));
          const meters = METERS.filter((meter) => hits.some((it) => it.used_meter === meter));
          return { kind, view: kind, count: hits.length, meters: kind === 'quota_blocked' ? meters : [] };
        })
        .filter((it) => it.count > 0);
      const next = rows
        .filter((it) => it.status === 'trial' && it.trial_ends_at !== null && it.trial_ends_at > now)
        .sort((a, b) => (a.trial_ends_at as number) - (b.trial_ends_at as number))[0];
      return {
        mrr: stripe
          ? {
              now: sums(paying),
              new_30d: rows.length === 0 ? [] : [{ amount: 84_000, currency: 'usd' }],
              churned_30d: rows.length === 0 ? [] : [{ amount: 34_000, currency: 'usd' }],
              subscriptions: paying.length,
              including_tax: 2,
              untold: partial ? 3 : 0,
              elsewhere: partial ? 12 : 0,
            }
          : null,
        trials: { running: rows.filter((it) => it.status === 'trial').length, ending: ending.length },
        conversion: stripe
          ? {
              started: cohort.length,
              decided: cohort.filter((it) => it.status !== 'trial').length,
              converted: cohort.filter((it) => (it.mrr ?? []).some((m) => m.amount > 0)).length,
              from: now - 120 * DAY,
              to: now - 30 * DAY,
            }
          : null,
        past_due: {
          tenants: due.length,
          at_risk: stripe ? sums(due) : null,
          oldest_since: due.length > 0 ? started - 4 * DAY : null,
        },
        attention,
        next_trial_end: next
          ? { tenant_id: next.id, name: next.name, at: next.trial_ends_at as number }
          : null,
        recent: world.entries
          .filter((it) => it.body.kind === 'adjustment')
          .slice(0, 5)
          .map(entryRow),
        tenants: rows.length,
      };
    },
    async tenantsPage({ view, plan, text, sort, descending, cursor, limit }): Promise<TenantPage> {
      profile();
      const now = present();
      const wanted = text.trim().toLowerCase();
      const rows = allRows().filter(
        (it) =>
          inView(it, view, now) &&
          (plan === null || it.plan_name.toLowerCase() === plan.toLowerCase()) &&
          (wanted === '' || `${it.name} ${it.email} ${it.id}`.toLowerCase().includes(wanted)),
      );
      const key = (it: TenantRow): number | string | null =>
        sort === 'name'
          ? it.name.toLowerCase()
          : sort === 'used'
            ? it.used_percent
            : sort === 'created_at'
              ? (world.people.get(it.id)?.created_at ?? null)
              : it[sort];
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        // What is not known comes last, whichever way round.
        if (x === null || y === null) return x === y ? (a.id < b.id ? -1 : 1) : x === null ? 1 : -1;
        if (x === y) return a.id < b.id ? -1 : 1;
        return (x < y ? -1 : 1) * (descending ? -1 : 1);
      });
      const page = pageOf(rows, cursor, limit);
      return { ...page, total: cursor === null ? rows.length : null };
    },
    async tenantCounts() {
      profile();
      const now = present();
      const rows = allRows();
      return VIEWS.map((view) => ({ view, count: rows.filter((it) => inView(it, view, now)).length }));
    },
    async tenantDetail(id) {
      const it = found(id);
      const at = offline ? asOf : present();
      const tenant = tenantOf(it, at);
      return {
        tenant,
        plan: planOf(it.facts.plan),
        plan_in_force: planOf(tenant.plan_in_force),
        // Every third customer is not in the copy, where that is not whole.
        billing: !stripe || !it.billing || (partial && it.name.length % 3 === 0) ? null : lists(it.billing),
        stripe_known: stripe,
        as_of: asOf,
      };
    },
    async plans() {
      profile();
      return world.plans.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async timelinePage(id, cursor) {
      found(id);
      const page = pageOf(
        world.entries.filter((it) => it.tenant_id === id),
        cursor,
        50,
      );
      return { rows: page.rows.map(entryRow), next: page.next, unsettled: [] };
    },
    async activityPage(view, text, cursor) {
      profile();
      const wanted = text.trim().toLowerCase();
      const rows = world.entries.filter(({ body, tenant_name }) => {
        const made = body.kind === 'adjustment' ? body.adjustment : null;
        if (view === 'staff' && !made) return false;
        if (view === 'system' && made) return false;
        if (view === 'mine' && made?.actor !== ACTOR) return false;
        return (
          wanted === '' ||
          `${tenant_name} ${made?.actor ?? ''} ${made?.reason ?? ''}`.toLowerCase().includes(wanted)
        );
      });
      const page = pageOf(rows, cursor, 100);
      return {
        rows: page.rows.map(entryRow),
        next: page.next,
        unsettled: cursor === null ? [...doubts] : [],
      };
    },
    async search(text) {
      return { ...searchIn(text, allRows(), world.people), as_of: asOf };
    },
    async searchServer(text) {
      await reached();
      return { ...(await this.search(text)), as_of: null };
    },
    async changePreview({ tenant_id, change }) {
      writable();
      await reached();
      const it = found(tenant_id);
      const at = present();
      const facts = tried(it, change, '', at);
      return {
        outcome: {
          adjustment: null,
          before: snapshotOf(it.facts, world.plans, it.usage, at),
          after: snapshotOf(facts, world.plans, it.usage, at),
          version: it.version,
          seq: it.version,
          now: at,
        },
        tenant: tenantOf(it, at),
        checked_at: at,
        changed_since_copy: false,
        changed_by: null,
      };
    },
    async changeApply({ tenant_id, change, reason, ticket, version, key }) {
      writable();
      await reached();
      const before = byKey.get(key);
      if (before) return { adjustment: before, settled: false };
      const it = found(tenant_id);
      if (version !== it.version) refuse({ code: 'version_mismatch', status: 412, version: it.version });
      const at = present();
      const was = snapshotOf(it.facts, world.plans, it.usage, at);
      it.facts = tried(it, change, reason, at);
      const adjustment = record(it, change, reason, ticket, was, at, ACTOR, null);
      byKey.set(key, adjustment);
      emit('data-changed', null);
      return { adjustment, settled: false };
    },
    async undoPreview(id) {
      await reached();
      const made = adjustments.get(id) ?? fail({ code: 'not_found' }, id);
      const it = found(made.tenant_id);
      const at = present();
      const undo = undoOf(made);
      if (undo.state === 'refused') refuse({ code: 'undo_refused', status: 409, undo: undo.reason });
      return {
        adjustment: null,
        before: snapshotOf(it.facts, world.plans, it.usage, at),
        after: snapshotOf(made.before.facts, world.plans, it.usage, at),
        version: it.version,
        seq: it.version,
        now: at,
      };
    },
    async undoApply({ adjustment_id, reason, key }) {
      writable();
      await reached();
      const before = byKey.get(key);
      if (before) return { adjustment: before, settled: false };
      const made = adjustments.get(adjustment_id) ?? fail({ code: 'not_found' }, adjustment_id);
      const undo = undoOf(made);
      if (undo.state === 'refused') refuse({ code: 'undo_refused', status: 409, undo: undo.reason });
      const it = found(made.tenant_id);
      const at = present();
      const was = snapshotOf(it.facts, world.plans, it.usage, at);
      it.facts = made.before.facts;
      const adjustment = record(it, made.change, reason, null, was, at, ACTOR, made.id);
      made.undone_by = adjustment.id;
      byKey.set(key, adjustment);
      emit('data-changed', null);
      return { adjustment, settled: false };
    },
    async settle(key) {
      await reached();
      const settled = becameOf(key);
      emit('data-changed', null);
      return settled;
    },
    async openExternal() {},
    async copyText(text) {
      document.documentElement.dataset.copied = text;
    },
    async setTitle(title) {
      document.title = title;
    },
    async listen(event, heard) {
      const set = listeners[event] as Set<typeof heard>;
      set.add(heard);
      // What is in doubt is settled by itself where that is asked for.
      const [doubt] = doubts;
      if (event === 'settled' && query.get('settles') !== null && doubt)
        setTimeout(() => emit('settled', { change: doubt, settled: becameOf(doubt.key) }), 300);
      return () => set.delete(heard);
    },
  };
}
