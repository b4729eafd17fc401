import type { BilledInvoice, LeftOutRow, Recovery, TrialOutcome, TrialRow } from '../generated/ipc';
import type { Timestamp } from '../generated/domain';
import { pause } from './fail';
import type { Counting } from './revenue';
import { share } from './revenue-figures';
import { dayOf, isoOf, levelAt, monthOf, spansOf, type Account } from './revenue-world';
import { pageOf } from './rows';
import { DAY } from './rules';
import type { State } from './state';

type Billed = Pick<
  Counting,
  'invoicesPage' | 'failedPayments' | 'trialConversion' | 'trialsPage' | 'leftOut' | 'csvSave'
>;
/** An invoice, and what became of its payment where that failed. */
type Made = BilledInvoice & { recovery: Recovery | null };

/** Invoices and trials of the customers whose revenue is told, and what is saved. */
export function billedOf(state: State, accounts: () => Account[], today: () => number): Billed {
  let invoices: Made[] | null = null;
  let trials: TrialRow[] | null = null;
  const instant = (day: number): Timestamp => day * DAY + 9 * 3_600_000;

  /** One invoice a month for each that pays then: of many customers only the latest. */
  function makeInvoices(): Made[] {
    const all = accounts();
    const now = today();
    const months = all.length > 5000 ? 2 : 24;
    const made: Made[] = [];
    all.forEach((account, index) => {
      for (let back = 0; back < months; back += 1) {
        const day = Math.min(monthOf(now, -back) + (index % 28), now);
        const level = levelAt(account.steps, day);
        if (level === 0) continue;
        const total = Math.round(level / 10_000);
        const failed = (index * 7 + back * 3) % 17 === 0;
        const recovery: Recovery | null = !failed
          ? null
          : back === 0
            ? 'waiting'
            : index % 3 === 0
              ? 'given_up'
              : 'recovered';
        const draft = back === 0 && index % 41 === 11;
        const paid = !draft && (recovery === null || recovery === 'recovered');
        made.push({
          id: `in_M${index}b${back}`,
          number: draft ? null : `PW-${String(index).padStart(5, '0')}-${String(24 - back).padStart(2, '0')}`,
          payer: account.payer,
          state: draft
            ? 'draft'
            : paid
              ? 'paid'
              : recovery === 'waiting'
                ? 'open'
                : index % 2 === 0
                  ? 'uncollectible'
                  : 'void',
          currency: account.currency,
          total,
          amount_paid: paid ? total : 0,
          amount_remaining: paid ? 0 : total,
          attempts: draft ? 0 : recovery === null ? 1 : 2 + (index % 3),
          billed_at: instant(day) + index * 1000,
          paid_at: paid ? instant(day) + (recovery ? 4 * DAY : 60_000) : null,
          recovery,
        });
      }
    });
    return made.sort((a, b) => b.billed_at - a.billed_at || (a.id < b.id ? -1 : 1));
  }
  const allInvoices = (): Made[] => {
    if (accounts().length === 0) return [];
    invoices ??= makeInvoices();
    return invoices;
  };

  function makeTrials(): TrialRow[] {
    const now = today();
    return accounts()
      .flatMap((account, index): TrialRow[] => {
        const first = account.steps[0];
        if (!first) return [];
        const own = (started: number, outcome: TrialOutcome): TrialRow => ({
          payer: account.payer,
          started_at: instant(started) + index * 1000,
          ends_at: instant(started + 14),
          outcome,
          converted_at: outcome === 'converted' ? instant(started + 14) + 60_000 : null,
        });
        const other: TrialRow[] =
          index % 2 === 0
            ? [
                {
                  ...own(now - ((index * 11) % 400), index % 2 === 0 ? 'lost' : 'undecided'),
                  payer: { customer: `cus_T${index}`, tenant_id: null, name: `trial+${index}@example.org` },
                },
              ]
            : [];
        return [own(first.day - 14, 'converted'), ...other].map((row) =>
          row.ends_at > state.present() ? { ...row, outcome: 'undecided', converted_at: null } : row,
        );
      })
      .sort((a, b) => b.started_at - a.started_at);
  }
  const allTrials = (): TrialRow[] => {
    if (accounts().length === 0) return [];
    trials ??= makeTrials();
    return trials;
  };

  return {
    async invoicesPage(query) {
      state.profile();
      await pause(1);
      const from = query.from === null ? null : dayOf(query.from) * DAY;
      const to = query.to === null ? null : dayOf(query.to) * DAY;
      const rows = allInvoices().filter(
        (it) =>
          (query.state === null || it.state === query.state) &&
          (!query.failed || it.recovery !== null) &&
          (query.recovery === null || it.recovery === query.recovery) &&
          (query.currency === null || it.currency === query.currency) &&
          (from === null || it.billed_at >= from) &&
          (to === null || it.billed_at < to),
      );
      const page = pageOf(rows, query.cursor, query.limit);
      const by = new Map<string, { count: number; amount: number }>();
      for (const { currency, total } of rows) {
        const sum = by.get(currency) ?? { count: 0, amount: 0 };
        by.set(currency, { count: sum.count + 1, amount: sum.amount + total });
      }
      return {
        rows: page.rows.map(({ recovery: _, ...row }) => row),
        next: page.next,
        totals: query.cursor === null ? [...by].map(([currency, sum]) => ({ currency, sum })) : null,
      };
    },
    async failedPayments(months) {
      const used = [...new Set(allInvoices().map((it) => it.currency))];
      return used.flatMap((currency) =>
        spansOf(today(), months, 'month').map(({ from, to, finished }) => {
          const own = allInvoices().filter(
            (it) =>
              it.recovery !== null &&
              it.currency === currency &&
              it.billed_at >= from * DAY &&
              it.billed_at < to * DAY,
          );
          const of = (recovery: Recovery | null) => {
            const those = own.filter((it) => recovery === null || it.recovery === recovery);
            return { count: those.length, amount: those.reduce((sum, it) => sum + it.total, 0) };
          };
          const [recovered, given_up] = [of('recovered'), of('given_up')];
          return {
            currency,
            from: isoOf(from),
            to: isoOf(to),
            finished,
            failed: of(null),
            recovered,
            waiting: of('waiting'),
            given_up,
            recovery: share(recovered.count, recovered.count + given_up.count),
          };
        }),
      );
    },
    async trialConversion(months) {
      const within = (from: number, to: number) =>
        allTrials().filter((it) => it.started_at >= from * DAY && it.started_at < to * DAY);
      const to = today() + 1;
      const ended = allTrials().filter(
        (it) => it.outcome !== 'undecided' && it.ends_at >= (to - 30) * DAY && it.ends_at < to * DAY,
      );
      const converted = ended.filter((it) => it.outcome === 'converted').length;
      return {
        cohorts: spansOf(today(), months, 'month').map(({ from, to: end, finished }) => {
          const own = within(from, end);
          const of = (outcome: TrialOutcome) => own.filter((it) => it.outcome === outcome).length;
          const decided = of('converted') + of('lost');
          return {
            from: isoOf(from),
            to: isoOf(end),
            finished,
            started: own.length,
            converted: of('converted'),
            decided,
            undecided: of('undecided'),
            conversion: share(of('converted'), decided),
          };
        }),
        rolling_from: isoOf(to - 30),
        rolling_to: isoOf(to),
        rolling_ended: ended.length,
        rolling_converted: converted,
        rolling: share(converted, ended.length),
      };
    },
    async trialsPage(query) {
      const rows = allTrials().filter(
        (it) =>
          it.started_at >= dayOf(query.from) * DAY &&
          it.started_at < dayOf(query.to) * DAY &&
          (query.outcome === null || it.outcome === query.outcome),
      );
      return { ...pageOf(rows, query.cursor, query.limit), total: rows.length };
    },
    async leftOut(query) {
      // As many as the sheets say.
      const rows: LeftOutRow[] =
        state.query.get('revenue') === 'pending'
          ? accounts()
              .filter((it) => it.currency === query.currency)
              .slice(0, 3)
              .map(({ payer }, index) => ({
                subscription: `sub_M${index}left`,
                payer,
                reason: `items.data.0.price.tiers: not known for price_tiered_${index}`,
              }))
          : [];
      return { ...pageOf(rows, query.cursor, query.limit), total: rows.length };
    },
    async csvSave(name, text) {
      document.documentElement.dataset.saved = text;
      return `/home/mia/Downloads/${name}`;
    },
  };
}
