import type { Adjustment, Tag } from '../host/generated/contract';
import type {
  AccessLevel,
  Change,
  Meter,
  Operation,
  Role,
  Status,
  Timestamp,
} from '../host/generated/domain';
import type {
  AttentionKind,
  FailureCode,
  Freshness,
  MissingStream,
  Mode,
  OtherVersion,
  Progress,
  Settled,
  Source,
  SourceFreshness,
  TenantView,
  WriteMode,
} from '../host/generated/ipc';
import { CHANGE_NAMES } from './change-words';
import { codeText } from './failure';
import {
  age,
  clockTime,
  counted,
  instant,
  isAhead,
  meterLimit,
  number,
  quoted,
  span,
  type Reader,
} from './format';

const MODES: Record<Mode, string> = { live: 'Live', test: 'Test', sample: 'Sample' };
const STATUSES: Record<Status, string> = {
  trial: 'Trial',
  active: 'Active',
  past_due: 'Past due',
  expired: 'Expired',
  suspended: 'Suspended',
};
const LEVELS: Record<AccessLevel, string> = {
  full: 'Access',
  grace: 'Access, grace',
  partial: 'Partly blocked',
  locked: 'Locked out',
};
const TAGS: Record<Tag, string> = {
  comped: 'Comped',
  extended: 'Extended',
  overridden: 'Override',
  deleted: 'Deleted',
  trial_twin: 'Trial twin',
};
const ROLES: Record<Role, string> = { viewer: 'viewer', support: 'support', owner: 'owner' };
const SOURCES: Record<Source, string> = { server: 'Paywall server', stripe: 'Stripe' };
const WRITE_MODES: Record<WriteMode, string> = { read_only: 'Read-only', review: 'Review' };
const VIEWS: Record<TenantView, string> = {
  all: 'All',
  blocked: 'Blocked',
  trial: 'Trial',
  active: 'Active',
  past_due: 'Past due',
  expired: 'Expired',
  suspended: 'Suspended',
  trial_ending: 'Ending ≤ 3 d',
  trial_lapsed: 'Lapsed ≤ 14 d',
  trial_extended: 'Extended',
  locked_out_active: 'Locked out, active this week',
  quota_blocked: 'Blocked by quota',
  paying: 'Paying',
  trial_cohort: 'Trial → paid cohort',
  deleted: 'Deleted',
};
const ATTENTION: Record<AttentionKind, (count: number) => string> = {
  locked_out_active: (n) => `${n} locked out — trial or subscription ended, active this week`,
  quota_blocked: (n) => `${n} blocked by quota`,
  past_due: (n) => `${n} past due — a payment failed`,
  dispute_open: (n) => `${counted(n, 'disputed payment')} ${n === 1 ? 'waits' : 'wait'} for an answer`,
  trial_ending: (n) => `${n} ${n === 1 ? 'trial ends' : 'trials end'} within 3 days`,
};
/** What is denied, as a person would say it. */
const OPERATIONS: Record<Operation, string> = {
  generate: 'chat',
  retrieve: 'retrieval',
  upload: 'uploads',
  parse: 'parsing',
  create: 'new datasets',
  invite: 'invitations',
};
const METERS: Record<Meter, string> = {
  messages: 'messages',
  tokens: 'tokens',
  api_requests: 'API requests',
  documents: 'documents',
  storage_bytes: 'storage',
  datasets: 'datasets',
  seats: 'seats',
};

export const modeWord = (mode: Mode): string => MODES[mode];
export const statusWord = (status: Status): string => STATUSES[status];
export const levelWord = (level: AccessLevel): string => LEVELS[level];
export const tagWord = (tag: Tag): string => TAGS[tag];
export const roleWord = (role: Role): string => ROLES[role];
export const sourceWord = (source: Source): string => SOURCES[source];
export const writeModeWord = (mode: WriteMode): string => WRITE_MODES[mode];
/** The write mode where nothing beside it says what it is the mode of. */
export const writeModeLine = (mode: WriteMode): string =>
  mode === 'read_only' ? 'Read-only: no changes' : 'Changes after review';
export const viewWord = (view: TenantView): string => VIEWS[view];
export const attentionText = (kind: AttentionKind, count: number): string => ATTENTION[kind](count);
export const operationWord = (operation: Operation): string => OPERATIONS[operation];
/** A meter inside a sentence. */
export const meterNoun = (meter: Meter): string => METERS[meter];

/** A list in a sentence: `a`, `a and b`, `a, b and c`. */
export function listed(words: string[]): string {
  if (words.length < 2) return words[0] ?? '';
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

const SCREENS = {
  overview: 'Overview',
  trials: 'Trials',
  tenants: 'Tenants',
  revenue: 'Revenue',
  billing: 'Billing health',
  sql: 'SQL',
  activity: 'Activity',
  connections: 'Connections',
} as const;
/** A screen's title. */
export const screenWord = (screen: keyof typeof SCREENS): string => SCREENS[screen];

/** What stands where a list is empty because the copy is not complete yet. */
export const FIRST_COPY = 'The first copy is still under way';

const BLOCKED_BY = {
  no_profile: 'Open a profile first.',
  read_only: 'This profile is read-only. Its write mode is set under Connections.',
  role: 'The token is a viewer’s: it may look, not change. Ask an owner for a support token.',
  unreached: 'The server is not reached. It is asked again by itself.',
  offline: 'Changes need a connection. Looking works; nothing is queued.',
  no_token: 'This profile has no token, so nothing can be changed. Paste one under Connections → Replace.',
} as const;
/** Why nothing can be changed now. */
export const blockedBy = (reason: keyof typeof BLOCKED_BY): string => BLOCKED_BY[reason];

/** What the band over a profile that is not live says. */
export function environmentBand(mode: Mode, name: string): string {
  switch (mode) {
    case 'live':
      return `LIVE — ${quoted(name)}. Changes reach real customers.`;
    case 'test':
      return `TEST DATA — ${quoted(name)}. Nothing here is revenue.`;
    case 'sample':
      return `SAMPLE DATA — ${quoted(name)}. Nobody here is real; changes stay on this machine.`;
  }
}

const STREAMS: Record<string, string> = {
  tenants: 'tenants',
  plans: 'plans',
  timeline: 'timeline',
  changes: 'changes',
  customers: 'customers',
  subscriptions: 'subscriptions',
  invoices: 'invoices',
  prices: 'prices',
  products: 'products',
  events: 'events',
  charges: 'charges',
  disputes: 'disputes',
  refunds: 'refunds',
  credit_notes: 'credit notes',
  invoice_payments: 'invoice payments',
};
/** A list that a source gives, inside a sentence. */
export const streamWord = (stream: string): string => STREAMS[stream] ?? stream.replaceAll('_', ' ');

/** How far a source is read. Deleted tenants are read as well, though no list and no figure counts them. */
export function readingText({ stream, done, total }: Progress): string {
  const what = stream === 'tenants' ? 'tenants, deleted ones too' : streamWord(stream);
  return `Reading ${what}: ${number(done)}${total === null ? '' : ` of about ${number(total)}`}`;
}

/** The deleted tenants that a count beside leaves out; `null` = there are none, or that is not known. */
export function deletedBeside(deleted: number | null): string | null {
  return deleted ? `${counted(deleted, 'deleted tenant')} not counted` : null;
}

/** A list that is not given, and why. */
export const missingStream = (missing: MissingStream): string =>
  `${streamWord(missing.stream)}: ${codeText(missing.failure).headline}`;

/** That something came in another version of a source's API. */
export const otherVersion = (seen: OtherVersion): string =>
  seen.seen_in === 'events'
    ? `Events are written in version ${seen.version} of Stripe's API. What they are about is read anew, so nothing is lost by it.`
    : `Stripe answered in version ${seen.version}, which was not asked for (request ${seen.example}).`;

/** What is wrong with a source that answers, or that is not even asked; `null` = it is not reached. */
function troubleWord(failure: FailureCode | null): string | null {
  switch (failure?.code) {
    case 'token_missing':
      return 'no token';
    case 'token_refused':
      return 'token refused';
    case 'token_expired':
      return 'token expired';
    case 'role_too_low':
      return 'token may not read';
    case 'stripe_key_refused':
      return 'key refused';
    case 'stripe_permission':
      return `key may not read ${streamWord(failure.stream)}`;
    case 'stripe_missing':
      return `${streamWord(failure.stream)} not offered`;
    case 'stripe_rate_limited':
      return 'asks to slow down';
    case 'address_invalid':
    case 'address_insecure':
      return 'address not usable';
    case 'tls_failed':
      return 'connection not secure';
    case 'not_paywall_server':
      return 'none at this address';
    case 'server_version':
      return 'another version';
    case 'server_changed':
      return 'another one answers';
    case 'refused':
    case 'server_fault':
    case 'stripe_fault':
      return 'answers with faults';
    case 'keyring':
      return 'keyring closed';
    case 'disk_full':
      return 'disk full';
    case 'cache_newer':
    case 'cache_broken':
    case 'cache_in_use':
      return 'copy not usable';
    case 'cancelled':
      return 'stopped';
    case 'internal':
      return 'fault in the console';
    default:
      return null;
  }
}

/** Whether a failure is mended under Connections: by another address, token or key. */
export function isMendedInConnections(failure: FailureCode | null): boolean {
  return (
    failure !== null &&
    [
      'token_missing',
      'token_refused',
      'token_expired',
      'role_too_low',
      'stripe_key_refused',
      'stripe_permission',
      'address_invalid',
      'address_insecure',
      'not_paywall_server',
      'server_changed',
    ].includes(failure.code)
  );
}

/** A source that fails, and since when where that tells anything. */
export function failingSince(source: SourceFreshness, reader: Reader = {}): string {
  const word = troubleWord(source.failure);
  // What never was there is not there since a certain time.
  const timed = source.failing_since !== null && source.failure?.code !== 'token_missing';
  const since = timed ? ` since ${clockTime(source.failing_since as Timestamp, reader)}` : '';
  return `${sourceWord(source.source)}${word === null ? ' not reached' : `: ${word}`}${since}`;
}

/** What a source is doing, in one line. */
export function sourceState(source: SourceFreshness): string {
  const name = sourceWord(source.source);
  if (source.progress) return `${name}: reading ${streamWord(source.progress.stream)}`;
  switch (source.state) {
    case 'not_configured':
      return `${name}: not set up`;
    case 'never':
      return `${name}: not read yet`;
    case 'current':
      return `${name}: reached`;
    case 'failing':
      return `${name}: ${troubleWord(source.failure) ?? 'not reached'}`;
  }
}

/** From when on a difference between two clocks is worth a word. */
const SKEW_WORTH_MS = 60_000;
const CLOCK_BEHIND = 'this computer’s clock is behind the copy';

/** How this machine's clock stands to the server's; `null` = it agrees with it, or that is not known. */
export function clockSkew(skewMs: number | null): string | null {
  if (skewMs === null || Math.abs(skewMs) <= SKEW_WORTH_MS) return null;
  const way = skewMs > 0 ? 'ahead of' : 'behind';
  return `This computer’s clock is ${span(skewMs)} ${way} the paywall server. Times and ages here go by the server’s clock. Set the clock right.`;
}

/** The age of what is shown: the line, and whether it deserves a look. */
export interface FreshnessLine {
  tone: 'fine' | 'old' | 'failing' | 'offline';
  text: string;
}

/**
 * The age of what is shown, as one line. A source that alone fails is named; a copy older than twice
 * the interval says so.
 */
export function freshnessLine(freshness: Freshness, now: Timestamp, reader: Reader = {}): FreshnessLine {
  const at = { now, ...reader };
  const asOf = freshness.as_of;
  if (freshness.offline) {
    const copy = (of: Timestamp) =>
      `as of ${clockTime(of, at)} (${isAhead(of, now) ? CLOCK_BEHIND : age(of, now)})`;
    if (asOf !== null) return { tone: 'offline', text: `Offline · ${copy(asOf)}` };
    // One source may have been read to its end, though not all of them.
    const read = freshness.sources.find((it) => it.as_of !== null);
    const text = read
      ? `${sourceWord(read.source)} ${copy(read.as_of as Timestamp)}, the rest not yet`
      : 'nothing read yet';
    return { tone: 'offline', text: `Offline · ${text}` };
  }
  const failing = freshness.sources.find((it) => it.state === 'failing');
  if (failing) {
    const copy = failing.as_of === null ? '' : ` · copy of ${clockTime(failing.as_of, at)}`;
    const others = freshness.sources
      .filter((it) => it.source !== failing.source && it.as_of !== null)
      .map((it) => ` · ${sourceWord(it.source)} as of ${clockTime(it.as_of as Timestamp, at)}`);
    return {
      tone: 'failing',
      text: `${failingSince(failing, at)}${copy}${others.join('')}`,
    };
  }
  if (asOf === null) return { tone: 'fine', text: 'First copy is being read' };
  if (isAhead(asOf, now)) return { tone: 'old', text: `As of ${clockTime(asOf, at)} — ${CLOCK_BEHIND}` };
  const old = now - asOf > 2 * freshness.interval_ms;
  const text = `As of ${clockTime(asOf, at)} · ${age(asOf, now)}${old ? ' — older than usual' : ''}`;
  return { tone: old ? 'old' : 'fine', text };
}

const DONE: Record<Change['kind'], string> = {
  extend_trial: 'trial was extended',
  end_trial: 'trial was ended',
  override_quota: 'limit was set',
  remove_override: 'override was removed',
  comp: 'plan was comped',
  suspend: 'access was suspended',
  reinstate: 'access was given back',
  change_plan: 'plan was changed',
  note: 'note was kept',
  repair_billing: 'billing was repaired',
};

/** Says that a change was made, with its result as the server recorded it. */
export function changeDone(adjustment: Adjustment, tenantName: string, reader: Reader = {}): string {
  const whose = tenantName ? `${quoted(tenantName)}’s` : 'The';
  const { change, after } = adjustment;
  if (adjustment.undoes) return changeUndone(adjustment, tenantName, reader);
  switch (change.kind) {
    case 'extend_trial':
      return after.facts.trial
        ? `${whose} trial now ends ${instant(after.facts.trial.ends_at, reader)}.`
        : `${whose} ${DONE.extend_trial}.`;
    case 'override_quota':
    case 'remove_override': {
      const reading = after.meters.find((it) => it.meter === change.meter);
      if (!reading) return `${whose} ${DONE[change.kind]}.`;
      return `${whose} limit for ${meterNoun(change.meter)} is now ${meterLimit(change.meter, reading.limit)}.`;
    }
    default:
      return `${whose} ${DONE[change.kind]}.`;
  }
}

/** Says that a change was undone: whose, and what holds again. */
export function changeUndone(undo: Adjustment, tenantName: string, reader: Reader = {}): string {
  const { change, after } = undo;
  const who = tenantName ? quoted(tenantName) : 'the tenant';
  switch (change.kind) {
    case 'extend_trial':
    case 'end_trial': {
      const trial = after.facts.trial;
      if (!trial) return `Undone: the trial of ${who} is gone again.`;
      const end = instant(trial.ends_at, reader);
      return trial.ends_at > undo.at
        ? `Undone: the trial of ${who} ends ${end} again.`
        : `Undone: the trial of ${who} is over again, since ${end}.`;
    }
    case 'override_quota':
    case 'remove_override': {
      const reading = after.meters.find((it) => it.meter === change.meter);
      const limit = `limit for ${meterNoun(change.meter)} of ${who}`;
      return reading
        ? `Undone: the ${limit} is ${meterLimit(change.meter, reading.limit)} again.`
        : `Undone: the ${limit} is as before.`;
    }
    case 'change_plan':
      return `Undone: the plan of ${who} is ${quoted(after.facts.plan)} again.`;
    case 'suspend':
      return `Undone: ${who} is not suspended any more.`;
    case 'reinstate':
      return `Undone: ${who} is suspended again.`;
    case 'comp':
      return `Undone: the comp of ${who} is ${after.facts.comp ? 'as before' : 'gone again'}.`;
    case 'repair_billing':
    case 'note':
      return `Undone: ${who} is as before.`;
  }
}

export const notSure = (): string => 'Not sure it worked — checking…';
export const itDidNot = (): string => 'It did not work. Nothing was changed.';
const NOBODY_KNOWS =
  'was sent to a database that no longer answers at this address; nobody can tell whether it was made.';
export const nobodyKnows = (): string => `It ${NOBODY_KNOWS}`;

/** What became of a change whose answer was lost, and whose. */
export function settledText(
  kind: Change['kind'],
  undo: boolean,
  tenantName: string,
  settled: Settled,
): string {
  const deed = undo ? `Undo of ${CHANGE_NAMES[kind].toLowerCase()}` : CHANGE_NAMES[kind];
  const what = tenantName ? `${deed} for ${quoted(tenantName)}` : deed;
  switch (settled.outcome) {
    case 'made':
      return `${what} was made after all.`;
    case 'not_made':
      return `${what} was not made. Nothing was changed.`;
    case 'other_database':
      return `${what} ${NOBODY_KNOWS}`;
  }
}
