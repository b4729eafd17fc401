import type { Adjustment, Problem, Snapshot, Tenant, TimelineEntry } from '../generated/contract';
import type { Change, Plan, TenantId, Timestamp, UndoRefusal } from '../generated/domain';
import type {
  AppState,
  AttentionItem,
  EntryRow,
  Failure,
  FailureCode,
  Finding,
  Freshness,
  KeyringState,
  Mode,
  Money,
  ProfileCheck,
  ProfileDraft,
  ProfileView,
  SearchHit,
  SecretView,
  TenantPage,
  TenantRow,
  TenantView,
  TestStep,
  UndoState,
} from '../generated/ipc';
import type { Host, HostEvents } from '../host';
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
  | 'keyring-locked'
  | 'keyring-missing'
  | 'server-error';

const INTERVAL = 60_000;
const ACTOR = 'mia';
const VIEWS: TenantView[] = [
  'all',
  'blocked',
  'trial',
  'active',
  'past_due',
  'expired',
  'suspended',
  'trial_ending',
  'trial_lapsed',
  'trial_extended',
  'locked_out_active',
  'quota_blocked',
  'deleted',
];

function fail(code: FailureCode, detail: string, request_id: string | null = null): never {
  throw { ...code, detail, request_id, at: Date.now() } satisfies Failure;
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** A host whose whole world lives in the page. For tests of the window in a browser. */
export function mockHost(query: URLSearchParams): Host {
  const scenario = (query.get('scenario') ?? 'live') as Scenario;
  const size = Number(query.get('tenants') ?? (scenario === 'empty' ? 0 : 1200));
  const started = Date.now();
  const firstRun = scenario === 'first-run' || scenario.startsWith('keyring-');
  const keyring: KeyringState =
    scenario === 'keyring-locked' ? 'locked' : scenario === 'keyring-missing' ? 'missing' : 'available';
  const mode: Mode = scenario === 'test-mode' ? 'test' : scenario === 'sample' ? 'sample' : 'live';
  let stripe = scenario !== 'stripe-missing';
  let offline = scenario === 'offline';
  let asOf: Timestamp = offline ? started - 2 * 3_600_000 : started - 3 * 60_000;
  let loading = scenario === 'first-sync';
  let read = 0;

  const world: World = makeWorld(started, size, stripe);
  if (scenario === 'empty') {
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
  let requests = 0;
  let rowCache: { generation: number; at: number; rows: TenantRow[] } | null = null;
  let generation = 0;

  const listeners: { [E in keyof HostEvents]: Set<(payload: HostEvents[E]) => void> } = {
    freshness: new Set(),
    'data-changed': new Set(),
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
    server_token: secret('pwt_…7Kq2', session),
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
    const now = Date.now();
    if (!offline && !loading && scenario !== 'server-error' && now - asOf > INTERVAL * 4) asOf = now;
    const failing = offline || scenario === 'server-error';
    const failure: Failure | null = offline
      ? { code: 'unreachable', source: 'server', detail: 'connection refused', request_id: null, at: now }
      : scenario === 'server-error'
        ? { code: 'server_fault', detail: 'answered 500', request_id: 'req-01J9ZQ', at: now }
        : null;
    return {
      sources: [
        {
          source: 'server',
          state: loading ? 'never' : failing ? 'failing' : 'current',
          as_of: loading ? null : asOf,
          failing_since: failing ? asOf + 20_000 : null,
          failure,
          next_try_at: failing ? now + 20_000 : now + INTERVAL,
          progress: loading ? { stream: 'tenants', done: read, total: world.people.size } : null,
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
      clock_skew_ms: 200,
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
    const at = Math.min(Date.now(), offline ? asOf : Date.now());
    if (!rowCache || rowCache.generation !== generation || at - rowCache.at > 5000) {
      rowCache = { generation, at, rows: [...world.people.values()].map((it) => rowOf(it, at)) };
    }
    return loading ? rowCache.rows.slice(0, read) : rowCache.rows;
  };

  const inView = (row: TenantRow, view: TenantView, now: Timestamp): boolean => {
    if (view === 'deleted') return row.tags.includes('deleted');
    if (row.tags.includes('deleted')) return false;
    const ends = row.trial_ends_at;
    switch (view) {
      case 'all':
        return true;
      case 'blocked':
        return row.last_refused_at !== null && now - row.last_refused_at < 7 * DAY;
      case 'trial_ending':
        return row.status === 'trial' && ends !== null && ends > now && ends - now <= 3 * DAY;
      case 'trial_lapsed':
        return row.status === 'expired' && ends !== null && ends <= now && now - ends <= 14 * DAY;
      case 'trial_extended':
        return row.extensions > 0;
      case 'locked_out_active':
        return (
          row.level === 'locked' &&
          row.status !== 'suspended' &&
          row.last_active_at !== null &&
          now - row.last_active_at < 7 * DAY
        );
      case 'quota_blocked':
        return row.level === 'partial';
      default:
        return row.status === view;
    }
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

  if (loading) {
    const timer = setInterval(() => {
      read = Math.min(world.people.size, read + 200);
      if (read >= world.people.size && query.get('hold') === null) {
        loading = false;
        asOf = Date.now();
        clearInterval(timer);
      }
      generation += 1;
      emit('freshness', freshness());
      emit('data-changed', null);
    }, 400);
  }

  const findings = (draft: ProfileDraft): Finding[] => {
    const out: Finding[] = [];
    const add = (code: Finding['code'], acceptable = false) => {
      if (!draft.accepted.includes(code) || !acceptable) out.push({ code, acceptable });
    };
    if (draft.name.trim() === '') add('name_missing');
    else if (profiles.some((it) => it.id !== draft.id && it.name === draft.name.trim())) add('name_taken');
    if (!/^https?:\/\/[^\s/]+/.test(draft.server_url)) add('server_url_invalid');
    else if (/^http:\/\/(?!127\.|localhost)/.test(draft.server_url)) add('server_url_insecure', true);
    if (draft.stripe_url && !/^https?:\/\/[^\s/]+/.test(draft.stripe_url)) add('stripe_url_invalid');
    if (!draft.server_token && !profiles.some((it) => it.id === draft.id && it.server_token))
      add('token_missing');
    if (draft.server_token?.includes('…') || draft.stripe_key?.includes('…')) add('secret_is_mask');
    const key = draft.stripe_key ?? '';
    if (key) {
      if (key.startsWith('pk_')) add('publishable_key');
      else if (!/^[rs]k_(live|test)_/.test(key)) add('stripe_key_unknown');
      else {
        if (key.startsWith('sk_')) add('full_secret_key', true);
        if (key.includes('_live_') && draft.mode !== 'live') add('live_key_in_test', true);
        if (key.includes('_test_') && draft.mode === 'live') add('test_key_in_live', true);
      }
    }
    return out;
  };
  const check = (draft: ProfileDraft): ProfileCheck => {
    const key = draft.stripe_key ?? '';
    return {
      findings: findings(draft),
      stripe_key_kind: key
        ? key.startsWith('rk_')
          ? 'restricted'
          : key.startsWith('sk_')
            ? 'secret'
            : key.startsWith('pk_')
              ? 'publishable'
              : 'unknown'
        : null,
      stripe_key_live: /^[rsp]k_live_/.test(key) ? true : /^[rsp]k_test_/.test(key) ? false : null,
    };
  };
  const mask = (text: string) => `${/^[a-z]+_(?:live_|test_)?/.exec(text)?.[0] ?? ''}…${text.slice(-4)}`;

  const sums = (rows: TenantRow[]): Money[] => {
    const by = new Map<string, number>();
    for (const { amount, currency } of rows.flatMap((it) => it.mrr ?? []))
      by.set(currency, (by.get(currency) ?? 0) + amount);
    return [...by].map(([currency, amount]) => ({ currency, amount }));
  };

  return {
    async appState(): Promise<AppState> {
      return {
        version: '0.1.0',
        profiles: structuredClone(profiles),
        open,
        open_failure: null,
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
      return check(draft);
    },
    async profileSave(draft) {
      const left = findings(draft).filter((it) => !draft.accepted.includes(it.code) || !it.acceptable);
      if (left.length > 0) fail({ code: 'profile_rejected' }, left.map((it) => it.code).join(', '));
      if (keyring !== 'available' && !draft.session_only)
        fail({ code: 'keyring', state: keyring }, 'secret service');
      const old = profiles.find((it) => it.id === draft.id);
      const id = old?.id ?? `p${profiles.length + 10}`;
      const kept = (given: string | null, before: SecretView | null | undefined): SecretView | null =>
        given
          ? { hint: mask(given), added_at: Date.now(), store: draft.session_only ? 'session' : 'keyring' }
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
    async connectionTest(draft, onStep) {
      const steps: TestStep[] = [];
      let broken = false;
      const step = async (given: Omit<TestStep, 'state' | 'failure' | 'detail'> & Partial<TestStep>) => {
        await pause(60);
        const made: TestStep = broken
          ? { ...given, state: 'skipped', failure: null, detail: '' }
          : { state: 'ok', failure: null, detail: '', ...given };
        if (made.state === 'failed') broken = true;
        steps.push(made);
        onStep(made);
      };
      const url = draft.server_url;
      const host = /^https?:\/\/([^/:]+)/.exec(url)?.[1] ?? url;
      const unknown = host.endsWith('.invalid');
      await step({
        name: 'address',
        subject: host,
        ...(unknown ? { state: 'failed' as const, failure: { code: 'address_unknown' as const, host } } : {}),
      });
      await step({
        name: 'connect',
        subject: host,
        ...(offline
          ? { state: 'failed' as const, failure: { code: 'unreachable' as const, source: 'server' as const } }
          : {}),
      });
      await step({
        name: 'identity',
        subject: host,
        ...(host.includes('google')
          ? { state: 'failed' as const, failure: { code: 'not_paywall_server' as const } }
          : {}),
      });
      await step({ name: 'version', subject: '1.0.0' });
      const token = draft.server_token ?? '';
      await step({
        name: 'token',
        subject: '',
        ...(token.includes('bad')
          ? { state: 'failed' as const, failure: { code: 'token_refused' as const }, detail: 'answered 401' }
          : {}),
      });
      await step({ name: 'role', subject: 'support' });
      await step({ name: 'clock', subject: '200' });
      const server_ok = !broken;
      broken = false;
      let stripe_ok: boolean | null = null;
      if (draft.stripe_key || profiles.find((it) => it.id === draft.id)?.stripe_key) {
        await step({ name: 'stripe_key', subject: 'restricted' });
        await step({ name: 'stripe_mode', subject: draft.mode === 'live' ? 'live' : 'test' });
        await step({ name: 'stripe_permission', subject: 'customers' });
        await step({ name: 'stripe_permission', subject: 'subscriptions' });
        const narrow = draft.stripe_key?.includes('narrow') ?? false;
        await step({
          name: 'stripe_permission',
          subject: 'invoices',
          ...(narrow
            ? {
                state: 'warning' as const,
                failure: {
                  code: 'stripe_permission' as const,
                  permission: 'rak_invoice_read',
                  stream: 'invoices',
                },
              }
            : {}),
        });
        stripe_ok = !broken;
      }
      return { steps, server_ok, stripe_ok };
    },
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
      asOf = Date.now() - 1000;
      emit('freshness', freshness());
    },
    async sampleResume() {
      const it = profiles.find((each) => each.mode === 'sample');
      if (it) it.sample_running = true;
      offline = false;
      asOf = Date.now();
      emit('freshness', freshness());
      emit('data-changed', null);
    },
    async freshness() {
      profile();
      return freshness();
    },
    async syncNow() {
      await reached();
      asOf = Date.now();
      emit('freshness', freshness());
      emit('data-changed', null);
    },
    async syncCancel() {
      loading = false;
      emit('freshness', freshness());
    },
    async overview() {
      profile();
      const now = Date.now();
      const rows = allRows().filter((it) => !it.tags.includes('deleted'));
      const paying = rows.filter(
        (it) =>
          (it.mrr ?? []).some((m) => m.amount > 0) &&
          (it.status === 'active' || it.status === 'past_due') &&
          !it.tags.includes('comped'),
      );
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
              new_30d: [{ amount: 84_000, currency: 'usd' }],
              churned_30d: [{ amount: 34_000, currency: 'usd' }],
              subscriptions: paying.length,
              including_tax: 2,
            }
          : null,
        trials: { running: rows.filter((it) => it.status === 'trial').length, ending: ending.length },
        conversion: stripe
          ? {
              started: 144,
              decided: 132,
              converted: 34,
              from: Date.UTC(2026, 6, 1),
              to: Date.UTC(2026, 9, 1),
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
      const now = Date.now();
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
      const now = Date.now();
      const rows = allRows();
      return VIEWS.map((view) => ({ view, count: rows.filter((it) => inView(it, view, now)).length }));
    },
    async tenantDetail(id) {
      const it = found(id);
      const at = offline ? asOf : Date.now();
      const tenant = tenantOf(it, at);
      return {
        tenant,
        plan: planOf(it.facts.plan),
        plan_in_force: planOf(tenant.plan_in_force),
        billing: stripe ? it.billing : null,
        stripe_known: stripe,
        as_of: asOf,
      };
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
      const waiting = [...world.people.values()][1];
      return {
        rows: page.rows.map(entryRow),
        next: page.next,
        unsettled:
          cursor === null && query.get('unsettled') !== null && waiting
            ? [
                {
                  key: 'lost-1',
                  tenant_id: waiting.id,
                  tenant_name: waiting.name,
                  change: { kind: 'comp', plan: 'team', until: started + 30 * DAY },
                  sent_at: started - 40_000,
                },
              ]
            : [],
      };
    },
    async search(text) {
      const normalised = text
        .trim()
        .replace(/^mailto:/i, '')
        .replace(/^.*<([^>]+)>.*$/, '$1')
        .replace(/^https:\/\/dashboard\.stripe\.com\/.*\/(\w+)$/, '$1')
        .toLowerCase();
      const hits: (SearchHit & { rank: number })[] = [];
      for (const row of allRows()) {
        const it = world.people.get(row.id);
        if (!it || normalised === '') continue;
        const domain = it.email.split('@')[1] ?? '';
        const subscription =
          it.facts.subscription?.id.toLowerCase() === normalised ? it.facts.subscription.id : null;
        const member = it.members.find((each) => each.email.toLowerCase() === normalised)?.email ?? null;
        const rank =
          row.id === normalised ||
          it.email.toLowerCase() === normalised ||
          it.stripe_customer?.toLowerCase() === normalised ||
          subscription ||
          member
            ? 0
            : domain === normalised
              ? 1
              : it.name.toLowerCase().startsWith(normalised)
                ? 2
                : `${it.name} ${it.email}`.toLowerCase().includes(normalised)
                  ? 3
                  : 9;
        if (rank === 9) continue;
        const matched = subscription
          ? 'subscription'
          : it.stripe_customer?.toLowerCase() === normalised
            ? 'stripe_customer'
            : row.id === normalised
              ? 'id'
              : it.email.toLowerCase().includes(normalised)
                ? 'email'
                : it.name.toLowerCase().includes(normalised)
                  ? 'name'
                  : 'member';
        hits.push({
          rank: rank * 10 + (row.level === 'full' ? 1 : 0),
          row,
          matched,
          value: subscription ?? (matched === 'member' ? member : null),
        });
      }
      hits.sort((a, b) => a.rank - b.rank || (a.row.name < b.row.name ? -1 : 1));
      return {
        normalised,
        hits: hits.slice(0, 20).map(({ row, matched, value }) => ({ row, matched, value })),
        as_of: asOf,
      };
    },
    async searchServer(text) {
      await reached();
      return { ...(await this.search(text)), as_of: null };
    },
    async changePreview({ tenant_id, change }) {
      writable();
      await reached();
      const it = found(tenant_id);
      const at = Date.now();
      const facts = tried(it, change, '', at);
      return {
        outcome: {
          adjustment: null,
          before: snapshotOf(it.facts, world.plans, it.usage, at),
          after: snapshotOf(facts, world.plans, it.usage, at),
          version: it.version,
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
      const at = Date.now();
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
      const at = Date.now();
      const undo = undoOf(made);
      if (undo.state === 'refused') refuse({ code: 'undo_refused', status: 409, undo: undo.reason });
      return {
        adjustment: null,
        before: snapshotOf(it.facts, world.plans, it.usage, at),
        after: snapshotOf(made.before.facts, world.plans, it.usage, at),
        version: it.version,
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
      const at = Date.now();
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
      const adjustment = byKey.get(key);
      return adjustment ? { outcome: 'made', adjustment } : { outcome: 'not_made' };
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
      return () => set.delete(heard);
    },
  };
}
