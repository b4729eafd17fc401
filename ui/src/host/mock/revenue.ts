import type {
  CohortRow,
  ConvertedSpan,
  DifferenceTotal,
  DrillQuery,
  MetricPreset,
  MissingRate,
  Payer,
  Reporting,
  RevenueSheet,
} from '../generated/ipc';
import type { Host } from '../host';
import { fail, pause } from './fail';
import { figuresOf, KINDS, noSums } from './revenue-figures';
import { billedOf } from './revenue-billed';
import { Rates } from './revenue-rates';
import {
  accountsOf,
  dayOf,
  isoOf,
  levelAt,
  monthOf,
  movementsOf,
  spansOf,
  stepsBy,
  todayIn,
  type Account,
  type Days,
  type Movement,
} from './revenue-world';
import { pageOf } from './rows';
import { DAY } from './rules';
import type { State } from './state';

export type Counting = Pick<
  Host,
  | 'revenue'
  | 'revenueDrill'
  | 'revenueCohorts'
  | 'trialConversion'
  | 'trialsPage'
  | 'leftOut'
  | 'failedPayments'
  | 'invoicesPage'
  | 'revenueAhead'
  | 'revenueDifferences'
  | 'reporting'
  | 'reportingSet'
  | 'rates'
  | 'ratesImport'
  | 'ratesClear'
  | 'csvSave'
>;

/** What one customer has of a figure. */
interface Part {
  payer: Payer;
  amount: number;
}

/** Revenue by any definition, all of it from one list of customers and their steps. */
export function revenueOf(state: State): Counting {
  const how = state.query.get('revenue');
  const reporting: Reporting = {
    zone: 'UTC',
    currency: state.query.get('reporting'),
    rate_days: 7,
  };
  const today = (): number => todayIn(reporting.zone, state.present());
  const rates = new Rates(state.query.get('rates'), today());
  let kept: Account[] | null = null;
  const accounts = (): Account[] => {
    if (state.loading || !state.stripe || how === 'none') return [];
    kept ??= accountsOf(state, today());
    return kept;
  };
  const movements = new Map<MetricPreset, Movement[]>();
  const moved = (preset: MetricPreset): Movement[] => {
    if (accounts().length === 0) return [];
    const found = movements.get(preset) ?? movementsOf(accounts(), preset, today());
    movements.set(preset, found);
    return found;
  };
  /** The currencies, that of most customers first. */
  const currencies = (preset: MetricPreset): string[] => {
    const count = new Map<string, number>();
    for (const { account } of moved(preset))
      count.set(account.currency, (count.get(account.currency) ?? 0) + 1);
    return [...count].sort(([, a], [, b]) => b - a).map(([currency]) => currency);
  };
  const seen = (): number => today() - 100;
  const span = (from: number, to: number): Days => ({ from, to, finished: to <= today() });

  function sheetOf(preset: MetricPreset, currency: string, spans: Days[]): RevenueSheet {
    const own = moved(preset).filter(({ account }) => account.currency === currency);
    const last = spans.at(-1) as Days;
    const before = spans.at(-2);
    const elapsed = last.to - last.from;
    const now = today() + 1;
    const mrr = own.reduce((sum, it) => sum + it.amount, 0);
    const paying = new Set(own.map((it) => it.account)).size;
    const off = how === 'mismatch' ? 12_340_000 : 0;
    return {
      currency,
      last_30d: figuresOf(own, { ...span(now - 30, now), finished: true }, seen()),
      before_30d: figuresOf(own, span(now - 60, now - 30), seen()),
      spans: spans.map((it) => figuresOf(own, it, seen())),
      same_span_before: before
        ? figuresOf(own, span(before.from, Math.min(before.to, before.from + elapsed)), seen())
        : null,
      subscriptions_10k: mrr,
      movements_10k: mrr - off,
      objects: {
        subscriptions: paying,
        invoices: own.length * 7,
        faults: how === 'pending' ? 3 : 0,
        including_tax: 2,
      },
    };
  }

  /** What each customer has of a figure, in its own currency or in the one that all are converted into. */
  function partsOf(query: DrillQuery): Part[] | MissingRate {
    const { preset, currency, converted } = query;
    const from = dayOf(query.from);
    const to = dayOf(query.to);
    const by = new Map<string, Part>();
    let missing: MissingRate | null = null;
    const add = (account: Account, amount: number, day: number) => {
      if (!converted && account.currency !== currency) return;
      const worth = converted
        ? rates.convert(amount, account.currency, currency, day, reporting.rate_days)
        : amount;
      if (worth === null) missing ??= { from: account.currency, to: currency, day: isoOf(day) };
      else if (amount !== 0) {
        const part = by.get(account.payer.customer) ?? { payer: account.payer, amount: 0 };
        part.amount += worth;
        by.set(account.payer.customer, part);
      }
    };
    if (query.cell === 'start' || query.cell === 'end') {
      const day = query.cell === 'start' ? from - 1 : to - 1;
      for (const account of accounts()) add(account, levelAt(stepsBy(account, preset, today()), day), day);
    } else if (query.cell === 'cohort') {
      const month = dayOf(query.month);
      const day = Math.min(monthOf(month, query.after + 1) - 1, today());
      for (const account of accounts()) {
        const steps = stepsBy(account, preset, today());
        if (steps[0] && monthOf(steps[0].day) === month) add(account, levelAt(steps, day), day);
      }
    } else
      for (const it of moved(preset))
        if (it.day >= from && it.day < to && (query.cell === 'net' || it.kind === query.cell))
          add(it.account, it.amount, it.day);
    return missing ?? [...by.values()].sort((a, b) => (a.payer.customer < b.payer.customer ? -1 : 1));
  }

  const sumOf = (parts: Part[]): number => parts.reduce((sum, part) => sum + part.amount, 0);

  function convertedSpan(preset: MetricPreset, days: Days, currency: string): ConvertedSpan {
    const ends = { from: isoOf(days.from), to: isoOf(days.to) };
    const of = (cell: 'start' | 'end' | (typeof KINDS)[number]) =>
      partsOf({ preset, currency, converted: true, ...ends, cell, cursor: null, limit: 500 });
    const start = of('start');
    const end = of('end');
    const kinds = KINDS.map((kind) => of(kind));
    const without = [start, end, ...kinds].find((it) => !Array.isArray(it));
    if (without) return { ...ends, finished: days.finished, sums: null, missing: without as MissingRate };
    const sums = noSums();
    KINDS.forEach((kind, index) => {
      const count = moved(preset).filter(
        (it) => it.kind === kind && it.day >= days.from && it.day < days.to,
      ).length;
      sums[kind] = { amount_10k: sumOf(kinds[index] as Part[]), movements: count };
    });
    const [start_10k, end_10k] = [sumOf(start as Part[]), sumOf(end as Part[])];
    const net = KINDS.reduce((all, kind) => all + sums[kind].amount_10k, 0);
    return {
      ...ends,
      finished: days.finished,
      sums: { start_10k, end_10k, moved: sums, exchange_10k: end_10k - start_10k - net },
      missing: null,
    };
  }

  const { csvSave, ...billed } = billedOf(state, accounts, today);
  return {
    ...billed,
    csvSave,
    async revenue({ preset, months, period }) {
      state.profile();
      if (how === 'broken') fail({ code: 'cache_broken' }, 'the file is damaged');
      await pause(1);
      const never = how === 'uncounted' && preset !== 'paywall';
      const spans = spansOf(today(), months, period);
      const used = never ? [] : currencies(preset);
      return {
        preset,
        zone: reporting.zone,
        today: isoOf(today()),
        sheets: used.map((currency) => sheetOf(preset, currency, spans)),
        reporting_currency: reporting.currency,
        converted:
          reporting.currency === null || used.length === 0
            ? []
            : spans.map((days) => convertedSpan(preset, days, reporting.currency as string)),
        basis: {
          complete: how !== 'pending' && !state.loading,
          unread: how === 'pending' || state.loading ? ['invoices', 'subscriptions'] : [],
          seen_since: used.length > 0 ? seen() * DAY : null,
          customers: never ? 0 : accounts().length,
          pending: how === 'pending' ? 240 : never ? accounts().length : 0,
          counted_at: never ? null : state.asOf,
        },
      };
    },
    async revenueDrill(query) {
      const parts = partsOf(query);
      if (!Array.isArray(parts)) return { rows: [], next: null, total: 0, sum_10k: 0 };
      const page = pageOf(parts, query.cursor, query.limit);
      return {
        rows: page.rows.map(({ payer, amount }) => ({ payer, amount_10k: amount })),
        next: page.next,
        total: parts.length,
        sum_10k: sumOf(parts),
      };
    },
    async revenueCohorts(preset, currency) {
      const now = today();
      const by = new Map<number, { first: number; steps: Account['steps'] }[]>();
      for (const account of accounts()) {
        if (account.currency !== currency) continue;
        const steps = stepsBy(account, preset, now);
        const first = steps[0];
        if (!first || first.day > now) continue;
        const month = monthOf(first.day);
        by.set(month, [...(by.get(month) ?? []), { first: first.level, steps }]);
      }
      return [...by]
        .sort(([a], [b]) => a - b)
        .map(([month, members]): CohortRow => {
          const months = [];
          for (let after = 0; monthOf(month, after) <= now; after += 1) {
            const close = monthOf(month, after + 1) - 1;
            const levels = members.map(({ steps }) => levelAt(steps, Math.min(close, now)));
            months.push({
              customers: levels.filter((level) => level > 0).length,
              mrr_10k: levels.reduce((sum, level) => sum + level, 0),
              finished: close < now,
            });
          }
          return {
            month: isoOf(month),
            customers: members.length,
            mrr_10k: members.reduce((sum, { first }) => sum + first, 0),
            months,
            estimated: month < seen(),
          };
        });
    },
    async revenueAhead(preset) {
      const now = today();
      return currencies(preset).map((currency) => {
        const spans = sheetOf(preset, currency, spansOf(now, 4, 'month')).spans;
        const grew = spans.slice(0, 3).map((it) => ({ day: it.from, amount_10k: it.net_10k }));
        const monthly = Math.round(grew.reduce((sum, it) => sum + it.amount_10k, 0) / 3);
        const mrr = spans.at(-1)?.end_10k ?? 0;
        const ends = [0, 1, 2].map((after) => isoOf(monthOf(now, after + 1) - 1));
        return {
          currency,
          committed: ends.map((day, index) => ({
            day,
            amount_10k: mrr - Math.round(mrr * 0.01) * index,
            trials_payable_10k: 490_000_00 * (index + 1),
            trials_other_10k: 990_000_00,
          })),
          grew,
          monthly_net_10k: monthly,
          forecast: ends.map((day, index) => ({ day, amount_10k: mrr + monthly * (index + 1) })),
        };
      });
    },
    async revenueDifferences(other, cursor) {
      const now = today();
      const rows = accounts()
        .map((account) => ({
          account,
          ours: levelAt(account.steps, now),
          theirs: levelAt(stepsBy(account, other, now), now),
        }))
        .filter(({ ours, theirs }) => ours !== theirs);
      const totals = currencies('paywall').map((currency): DifferenceTotal => {
        const own = rows.filter((row) => row.account.currency === currency);
        const by = new Map<string, { amount: number; customers: number }>();
        for (const { account, ours, theirs } of own) {
          const part = by.get(account.cause ?? '') ?? { amount: 0, customers: 0 };
          by.set(account.cause ?? '', {
            amount: part.amount + theirs - ours,
            customers: part.customers + 1,
          });
        }
        const all = accounts().filter((account) => account.currency === currency);
        return {
          currency,
          ours_10k: all.reduce((sum, { steps }) => sum + levelAt(steps, now), 0),
          other_10k: all.reduce((sum, it) => sum + levelAt(stepsBy(it, other, now), now), 0),
          causes: [...by].map(([cause, { amount, customers }]) => ({
            cause: cause as NonNullable<Account['cause']>,
            amount_10k: amount,
            customers,
          })),
          customers: own.length,
        };
      });
      const page = pageOf(rows, cursor, 100);
      return {
        other,
        totals,
        rows: page.rows.map(({ account, ours, theirs }) => ({
          payer: account.payer,
          currency: account.currency,
          ours_10k: ours,
          other_10k: theirs,
          causes: account.cause ? [{ cause: account.cause, amount_10k: theirs - ours, customers: 1 }] : [],
        })),
        next: page.next,
      };
    },
    async reporting() {
      return { ...reporting };
    },
    async reportingSet(wanted) {
      try {
        todayIn(wanted.zone, 0);
      } catch {
        fail({ code: 'zone_unknown' }, wanted.zone);
      }
      Object.assign(reporting, wanted);
      state.emit('data-changed', null);
      return { ...reporting };
    },
    async rates() {
      return rates.view();
    },
    async ratesImport(csv) {
      rates.import(csv);
      state.emit('data-changed', null);
      return rates.view();
    },
    async ratesClear() {
      rates.clear();
      state.emit('data-changed', null);
      return rates.view();
    },
  };
}
