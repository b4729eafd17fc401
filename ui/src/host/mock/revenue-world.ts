import type { DifferenceCause, MetricPreset, Payer, RevenuePeriod } from '../generated/ipc';
import { DAY } from './rules';
import type { State } from './state';

/** What a customer pays per month from a day on, in 1/10,000 of the minor unit. */
export interface Step {
  day: number;
  level: number;
}

/** A customer in one currency: everything that revenue tells comes from its steps. */
export interface Account {
  payer: Payer;
  currency: string;
  steps: Step[];
  /** The rule that other definitions see it otherwise by. */
  cause: DifferenceCause | null;
}

export type Kind = 'new' | 'reactivation' | 'expansion' | 'contraction' | 'churn';

/** One change of what a customer pays. */
export interface Movement {
  account: Account;
  day: number;
  kind: Kind;
  amount: number;
  before: number;
  after: number;
}

/** A span of days, by their numbers since 1970. */
export interface Days {
  from: number;
  to: number;
  finished: boolean;
}

export const dayOf = (iso: string): number => Math.round(Date.parse(`${iso}T00:00:00Z`) / DAY);
export const isoOf = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);

/** The day that it is in a zone. */
export function todayIn(zone: string, now: number): number {
  return dayOf(new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' }).format(now));
}

/** The first day of the month that lies so many months from that of a day. */
export function monthOf(day: number, months = 0): number {
  const date = new Date(day * DAY);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1) / DAY;
}

const nextOf = (day: number, period: RevenuePeriod): number =>
  period === 'month' ? monthOf(day, 1) : day + (period === 'week' ? 7 : 1);

/** The spans that some months back are cut into; the last one runs to the end of today. */
export function spansOf(today: number, months: number, period: RevenuePeriod): Days[] {
  const start = monthOf(today, 1 - months);
  // Weeks begin on Monday; day 4 was one.
  let from = period === 'week' ? start - ((((start - 4) % 7) + 7) % 7) : start;
  const spans: Days[] = [];
  while (from <= today) {
    const next = nextOf(from, period);
    spans.push({ from, to: Math.min(next, today + 1), finished: next <= today });
    from = next;
  }
  return spans;
}

/** A number between 0 and 1 that is always the same for the same two. */
function chance(index: number, salt: number): number {
  let t = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(salt + 7, 0x85ebca6b);
  t = Math.imul(t ^ (t >>> 15), 0x2c1b3c6d);
  t = Math.imul(t ^ (t >>> 12), 0x297a2d39);
  return ((t ^ (t >>> 15)) >>> 0) / 4_294_967_296;
}

const CAUSES: (DifferenceCause | null)[] = ['discount', 'cancellation', 'past_due', 'metered'];

/** How a customer came to pay what it pays now, or to pay no more. */
function stepsTo(level: number, index: number, today: number): Step[] {
  const began = today - 3 - Math.floor(chance(index, 1) * 26 * 30);
  const length = today - began;
  const at = (share: number): number => began + Math.floor(length * share);
  const way = chance(index, 2);
  // Shares that do not come out even, so that nothing adds up by rounding.
  const less = Math.floor((level * 2) / 3) - (index % 7);
  if (way < 0.45 || length < 12) return [{ day: began, level }];
  if (way < 0.75)
    return [
      { day: began, level: less },
      { day: at(0.55), level },
    ];
  if (way < 0.9)
    return [
      { day: began, level: Math.floor((level * 7) / 5) },
      { day: at(0.7), level },
    ];
  return [
    { day: began, level: less },
    { day: at(0.4), level: 0 },
    { day: at(0.8), level },
  ];
}

const CURRENCIES: [currency: string, monthly: number[]][] = [
  ['usd', [4900, 9900, 14_900, 29_900]],
  ['eur', [4500, 8900, 27_900]],
  ['usd', [1900, 9900, 49_900]],
  ['jpy', [7200, 14_800]],
  ['usd', [4900, 9900]],
  ['kwd', [15_250, 45_755]],
];

/** Every customer with its steps: those of the tenants, or as many made ones as `?payers=` says. */
export function accountsOf(state: State, today: number): Account[] {
  const asked = state.query.get('payers');
  const people = [...state.world.people.values()];
  const accounts: Account[] = [];
  const add = (payer: Payer, currency: string, level: number, ended: boolean) => {
    const index = accounts.length;
    const steps = stepsTo(level, index, today);
    const last = steps.at(-1)?.day ?? today;
    if (ended) steps.push({ day: last + Math.floor((today - last) * chance(index, 3)) + 1, level: 0 });
    const cause = index % 9 === 4 ? (CAUSES[(index >> 3) % CAUSES.length] ?? null) : null;
    accounts.push({ payer, currency, steps, cause });
  };
  if (asked !== null) {
    for (let index = 0; index < Number(asked); index += 1) {
      const person = people[index];
      const [currency, prices] = CURRENCIES[index % CURRENCIES.length] as [string, number[]];
      const price = prices[index % prices.length] as number;
      const customer = `cus_M${String(index).padStart(8, '0')}`;
      add(
        {
          customer,
          tenant_id: person?.id ?? null,
          name: person?.name ?? `billing+${index}@customers.example`,
        },
        currency,
        price * 10_000,
        // Of few, each pays.
        index > 2 && index % 5 === 4,
      );
    }
    return accounts;
  }
  for (const person of people) {
    const payer = {
      customer: person.stripe_customer ?? `cus_M${person.id.slice(0, 10)}`,
      tenant_id: person.id,
      name: person.name,
    };
    for (const { amount, currency } of person.mrr)
      if (amount > 0) add(payer, currency, amount * 10_000, false);
    if (person.mrr.length === 0 && person.stripe_customer !== null && person.name.length % 4 === 0)
      add(payer, 'usd', 4_900 * 10_000, true);
  }
  return accounts;
}

/** A customer's steps by another definition. */
export function stepsBy({ steps, cause }: Account, preset: MetricPreset, today: number): Step[] {
  if (preset === 'paywall' || cause === null) return steps;
  const until = (day: number): Step[] => [
    ...steps.filter((step) => step.day < day),
    ...((steps.findLast((step) => step.day < day)?.level ?? 0) > 0 ? [{ day, level: 0 }] : []),
  ];
  if (cause === 'discount' && preset !== 'baremetrics')
    return steps.map(({ day, level }) => ({
      day,
      level: Math.floor(level * (preset === 'stripe' ? 1.25 : 0.8)),
    }));
  if (cause === 'cancellation' && preset === 'stripe') return until(today - 11);
  if (cause === 'metered' && (preset === 'chartmogul' || preset === 'profitwell'))
    return steps.map(({ day, level }) => ({ day, level: level === 0 ? 0 : level + 31_415_926 }));
  return steps;
}

/** What a customer pays at the close of a day. */
export const levelAt = (steps: Step[], day: number): number =>
  steps.findLast((step) => step.day <= day)?.level ?? 0;

/** Every movement by a definition, by day. */
export function movementsOf(accounts: Account[], preset: MetricPreset, today: number): Movement[] {
  const movements: Movement[] = [];
  for (const account of accounts) {
    let before = 0;
    let paid = false;
    for (const { day, level } of stepsBy(account, preset, today)) {
      if (day > today || level === before) continue;
      const kind: Kind =
        before === 0
          ? paid
            ? 'reactivation'
            : 'new'
          : level === 0
            ? 'churn'
            : level > before
              ? 'expansion'
              : 'contraction';
      movements.push({ account, day, kind, amount: level - before, before, after: level });
      before = level;
      paid = true;
    }
  }
  return movements.sort((a, b) => a.day - b.day);
}
