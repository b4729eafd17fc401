import type {
  ConvertedSpan,
  DifferenceCause,
  MetricPreset,
  MissingRate,
  Recovery,
  RevenueBasis,
  RevenueObjects,
  RevenuePeriod,
  TrialOutcome,
} from '../host/generated/ipc';
import type { InvoiceState } from '../host/generated/domain';
import type { Timestamp } from '../host/generated/domain';
import { amountText, changeText } from './amount';
import { dayAfter, dayText, daysIn, periodText } from './day';
import { counted, number } from './format';
import { listed, streamWord } from './words';

/** The parts of the screen. */
export type RevenueTab = 'mrr' | 'movements' | 'invoices' | 'payments' | 'cohorts' | 'trials';
export const REVENUE_TABS: { tab: RevenueTab; word: string }[] = [
  { tab: 'mrr', word: 'MRR' },
  { tab: 'movements', word: 'Movements' },
  { tab: 'invoices', word: 'Invoices' },
  { tab: 'payments', word: 'Payments' },
  { tab: 'cohorts', word: 'Cohorts' },
  { tab: 'trials', word: 'Trials' },
];

/** The kinds of movement: what adds first, each side with what weighs most at the axis. */
export type MovementKind = 'new' | 'expansion' | 'reactivation' | 'contraction' | 'churn';
export const KINDS: MovementKind[] = ['new', 'expansion', 'reactivation', 'contraction', 'churn'];
const KIND_WORDS: Record<MovementKind, string> = {
  new: 'New',
  expansion: 'Expansion',
  reactivation: 'Reactivation',
  contraction: 'Contraction',
  churn: 'Churn',
};
export const kindWord = (kind: MovementKind): string => KIND_WORDS[kind];

export const MONTHS = [3, 6, 12, 24, 36];
export const PERIODS: RevenuePeriod[] = ['month', 'week', 'day'];
const PERIOD_WORDS: Record<RevenuePeriod, string> = { month: 'By month', week: 'By week', day: 'By day' };
export const periodWord = (period: RevenuePeriod): string => PERIOD_WORDS[period];

// ── Definitions by others ──────────────────────────────────────────────────────────────────────

export const PRESETS: MetricPreset[] = ['paywall', 'stripe', 'chartmogul', 'baremetrics', 'profitwell'];
const PRESET_WORDS: Record<MetricPreset, string> = {
  paywall: 'Paywall',
  stripe: 'Stripe',
  chartmogul: 'ChartMogul',
  baremetrics: 'Baremetrics',
  profitwell: 'ProfitWell',
};
export const presetWord = (preset: MetricPreset): string => PRESET_WORDS[preset];

const PRESET_RULES: Record<MetricPreset, string> = {
  paywall:
    'Active and past-due subscriptions at their licensed prices, after discounts that recur; a cancelled one counts to the end of what is paid.',
  stripe:
    'Unlike ours: a cancellation counts from the moment it is asked for, only discounts without an end come off, and churned customers are divided by those at the start and the new ones together.',
  chartmogul:
    'Unlike ours: every discount comes off, billed usage counts, and a customer who goes on for free is a contraction, not churn.',
  baremetrics: 'Unlike ours: churned customers are divided by those at the start and the new ones together.',
  profitwell:
    'Unlike ours: every discount comes off, billed usage counts, a paused collection is zero, and who is new and lost within a month never was.',
};
/** By which rules a definition differs from ours. */
export const presetRules = (preset: MetricPreset): string => PRESET_RULES[preset];

const CAUSES: Record<DifferenceCause, string> = {
  trial: 'Trials',
  past_due: 'Past due',
  paused: 'Paused collection',
  cancellation: 'Cancellations',
  discount: 'Discounts',
  metered: 'Metered usage',
  tax: 'Tax',
  time_zone: 'Time zone',
};
export const causeWord = (cause: DifferenceCause): string => CAUSES[cause];

// ── Words of Stripe ────────────────────────────────────────────────────────────────────────────

const INVOICE_STATES: Record<InvoiceState, string> = {
  draft: 'Draft',
  open: 'Open',
  paid: 'Paid',
  uncollectible: 'Uncollectible',
  void: 'Void',
  other: 'Unknown to this version',
};
export const invoiceStateWord = (state: InvoiceState): string => INVOICE_STATES[state];
const RECOVERIES: Record<Recovery, string> = {
  recovered: 'Recovered',
  waiting: 'Waiting',
  given_up: 'Given up',
};
export const recoveryWord = (recovery: Recovery): string => RECOVERIES[recovery];
const OUTCOMES: Record<TrialOutcome, string> = {
  converted: 'Converted',
  lost: 'Lost',
  undecided: 'Undecided',
};
export const outcomeWord = (outcome: TrialOutcome): string => OUTCOMES[outcome];

// ── How far it can be trusted ──────────────────────────────────────────────────────────────────

/** Which lists are not read to their end; `null` = all are. */
export function unreadText({ complete, unread }: RevenueBasis): string | null {
  if (complete) return null;
  const lists = listed(unread.map(streamWord));
  return `Not complete yet: Stripe’s ${lists || 'lists'} are not read to the end. What is shown rests on what is here.`;
}

/** How many customers the figures do not know the latest of; `null` = none. */
export function pendingText({ pending }: RevenueBasis): string | null {
  if (pending === 0) return null;
  return `${counted(pending, 'customer')} still to be counted.`;
}

/** The day of an instant in a zone, as `2026-01-31`. No locale's own order of the parts is the same everywhere. */
function dayIn(zone: string, at: Timestamp): string {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  const parts = new Map(format.formatToParts(at).map((part) => [part.type, part.value]));
  return [parts.get('year'), parts.get('month'), parts.get('day')].join('-');
}

/** Since when figures are seen rather than rebuilt. */
export function seenText(since: Timestamp | null, zone: string): string {
  if (since === null) return 'All of it is estimated: rebuilt from invoices and dates.';
  return `Exact since ${dayText(dayIn(zone, since))}; estimated before, from invoices and dates.`;
}

/** What figures rest on. */
export function objectsText({ subscriptions, invoices }: RevenueObjects): string {
  return `Rests on ${counted(subscriptions, 'subscription')} and ${counted(invoices, 'invoice')}`;
}

/** That the two ways to count do not agree; `null` = they do. */
export function mismatchText(
  currency: string,
  {
    subscriptions_10k: subscriptions,
    movements_10k: movements,
  }: {
    subscriptions_10k: number;
    movements_10k: number;
  },
): string | null {
  if (subscriptions === movements) return null;
  const form = { code: true };
  return `Something is counted wrong: the subscriptions tell ${amountText(subscriptions, currency, form)} of MRR, the movements ${amountText(movements, currency, form)}. Do not rely on these figures; report it with the difference of ${amountText(Math.abs(subscriptions - movements), currency, form)}.`;
}

/** Why a converted figure is not known. */
export function missingText({ from, to, day }: MissingRate): string {
  return `unknown: no rate from ${from.toUpperCase()} to ${to.toUpperCase()} for ${day}`;
}

/** Up to which day the rates of converted figures are. */
export function convertedName(currency: string, spans: ConvertedSpan[]): string {
  const last = spans.at(-1);
  return `≈ ${currency.toUpperCase()} total${last ? `, rates of ${dayText(dayAfter(last.to, -1))}` : ''}`;
}

// ── Charts in words ────────────────────────────────────────────────────────────────────────────

/** What a period shows, as far as it goes. */
export interface Told {
  from: string;
  to: string;
  finished: boolean;
  end: number | null;
  net: number | null;
}

/** A period by its name, and that it runs. */
export function periodName(
  told: { from: string; to: string; finished: boolean },
  period: RevenuePeriod,
): string {
  return `${periodText(told.from, told.to, period)}${told.finished ? '' : ', to date'}`;
}

/** A line of recurring revenue in one sentence. */
export function mrrSummary(told: Told[], currency: string, period: RevenuePeriod): string {
  const known = told.filter((it) => it.end !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last) return 'No period has a known figure.';
  const [a, b] = [first.end as number, last.end as number];
  const way = a === b ? 'stayed at' : b > a ? 'rose to' : 'fell to';
  const gaps = told.length - known.length;
  return `MRR ${way} ${amountText(b, currency)} (${periodName(last, period)})${a === b ? '' : ` from ${amountText(a, currency)} at the end of ${periodText(first.from, first.to, period)}`}${gaps > 0 ? `; ${counted(gaps, 'period')} not known` : ''}.`;
}

/** Stacked movements in one sentence. */
export function movementSummary(told: Told[], currency: string, period: RevenuePeriod): string {
  const known = told.filter((it) => it.net !== null);
  const last = known.at(-1);
  if (!last) return 'No period has a known figure.';
  const net = known.reduce((sum, it) => sum + (it.net as number), 0);
  const gained = known.filter((it) => (it.net as number) > 0).length;
  const latest = last.finished
    ? `; ${periodName(last, period)}: ${changeText(last.net as number, currency)}`
    : '';
  return `Net ${changeText(net, currency)} over ${counted(known.length, 'period')}, up in ${number(gained)} of them${latest}.`;
}

/** The running period against the same stretch of the one before. */
export function toDateText(
  now: { from: string; to: string; net_10k: number },
  before: { from: string; to: string; net_10k: number } | null,
  currency: string,
  period: RevenuePeriod,
): string {
  const name = periodText(now.from, now.to, period);
  const here = `${name} to date: net ${changeText(now.net_10k, currency)}`;
  if (!before) return `${here}.`;
  if (period === 'day')
    return `${here}; on ${dayText(before.from)} it was ${changeText(before.net_10k, currency)}.`;
  const days = daysIn(before.from, before.to);
  return `${here}; in the first ${counted(days, 'day')} of ${periodText(before.from, before.to, period)} it was ${changeText(before.net_10k, currency)}.`;
}
