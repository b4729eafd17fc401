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
  Freshness,
  MissingStream,
  Mode,
  Source,
  SourceFreshness,
  TenantView,
  WriteMode,
} from '../host/generated/ipc';
import { codeText } from './failure';
import { age, clockTime, instant, meterLimit, quoted, type Reader } from './format';

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
  deleted: 'Deleted',
};
const ATTENTION: Record<AttentionKind, (count: number) => string> = {
  locked_out_active: (n) => `${n} locked out — trial or subscription ended, active this week`,
  quota_blocked: (n) => `${n} blocked by quota`,
  past_due: (n) => `${n} past due — a payment failed`,
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
  activity: 'Activity',
  connections: 'Connections',
} as const;
/** A screen's title. */
export const screenWord = (screen: keyof typeof SCREENS): string => SCREENS[screen];

const BLOCKED_BY = {
  no_profile: 'Open a profile first.',
  read_only: 'This profile is read-only. Its write mode is set under Connections.',
  role: 'The token is a viewer’s: it may look, not change. Ask an owner for a support token.',
  offline: 'Changes need a connection. Looking works; nothing is queued.',
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
};
/** A list that a source gives, inside a sentence. */
export const streamWord = (stream: string): string => STREAMS[stream] ?? stream.replaceAll('_', ' ');

/** A list that is not given, and why. */
export const missingStream = (missing: MissingStream): string =>
  `${streamWord(missing.stream)}: ${codeText(missing.failure).headline}`;

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
      return `${name}: not reached`;
  }
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
    const text =
      asOf === null
        ? 'Offline · nothing read yet'
        : `Offline · as of ${clockTime(asOf, at)} (${age(asOf, now)})`;
    return { tone: 'offline', text };
  }
  const failing = freshness.sources.find((it) => it.state === 'failing');
  if (failing) {
    const since = failing.failing_since === null ? '' : ` since ${clockTime(failing.failing_since, at)}`;
    const others = freshness.sources
      .filter((it) => it.source !== failing.source && it.as_of !== null)
      .map((it) => ` · ${sourceWord(it.source)} as of ${clockTime(it.as_of as Timestamp, at)}`);
    return { tone: 'failing', text: `${sourceWord(failing.source)} not reached${since}${others.join('')}` };
  }
  if (asOf === null) return { tone: 'fine', text: 'First copy is being read' };
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
};

/** Says that a change was made, with its result as the server recorded it. */
export function changeDone(adjustment: Adjustment, tenantName: string, reader: Reader = {}): string {
  const whose = tenantName ? `${quoted(tenantName)}’s` : 'The';
  const { change, after } = adjustment;
  if (adjustment.undoes) return changeUndone(adjustment, tenantName);
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

/** Says that a change was undone. */
export const changeUndone = (_undo: Adjustment, tenantName: string): string =>
  tenantName ? `Undone. ${quoted(tenantName)} is as before.` : 'Undone. The tenant is as before.';

export const notSure = (): string => 'Not sure it worked — checking…';
export const itDidNot = (): string => 'It did not work. Nothing was changed.';
