import type { MovementSums, RateView, RevenueSpan } from '../generated/ipc';
import { isoOf, type Days, type Kind, type Movement } from './revenue-world';

export const KINDS: Kind[] = ['new', 'reactivation', 'expansion', 'contraction', 'churn'];

/** A part of a whole: of fewer than ten cases the counts. */
export function share(counted: number, of: number): RateView {
  if (of === 0) return { is: 'not_enough_data' };
  return of < 10 ? { is: 'too_few', counted, of } : { is: 'value', numerator: counted, denominator: of };
}

export function ratio(numerator: number, denominator: number): RateView {
  return denominator === 0 ? { is: 'not_enough_data' } : { is: 'value', numerator, denominator };
}

export function noSums(): MovementSums {
  const none = () => ({ amount_10k: 0, movements: 0 });
  return {
    new: none(),
    reactivation: none(),
    expansion: none(),
    contraction: none(),
    churn: none(),
  };
}

/** The figures of one span, from the movements of a currency by day. */
export function figuresOf(movements: Movement[], days: Days, seen: number): RevenueSpan {
  const moved = noSums();
  const before = new Map<Movement['account'], number>();
  const after = new Map<Movement['account'], number>();
  let start = 0;
  let customers = 0;
  for (const it of movements) {
    if (it.day >= days.to) break;
    if (it.day < days.from) {
      start += it.amount;
      customers += it.before === 0 ? 1 : it.after === 0 ? -1 : 0;
      continue;
    }
    const sum = moved[it.kind];
    sum.amount_10k += it.amount;
    sum.movements += 1;
    if (!before.has(it.account)) before.set(it.account, it.before);
    after.set(it.account, it.after);
  }
  const net = KINDS.reduce((all, kind) => all + moved[kind].amount_10k, 0);
  let lost = 0;
  let joined = 0;
  for (const [account, was] of before) {
    const is = after.get(account) ?? 0;
    if (was > 0 && is === 0) lost += 1;
    if (was === 0 && is > 0) joined += 1;
  }
  const end = start + net;
  const paying = customers - lost + joined;
  const gained = moved.new.amount_10k + moved.expansion.amount_10k + moved.reactivation.amount_10k;
  const gone = -moved.contraction.amount_10k - moved.churn.amount_10k;
  return {
    from: isoOf(days.from),
    to: isoOf(days.to),
    finished: days.finished,
    estimated: days.from < seen,
    start_10k: start,
    end_10k: end,
    moved,
    net_10k: net,
    arr_10k: end * 12,
    customers_start: customers,
    customers_end: paying,
    customer_churn: share(lost, customers),
    gross_mrr_churn: ratio(gone, start),
    net_mrr_churn: ratio(gone - moved.expansion.amount_10k, start),
    nrr: ratio(start + moved.expansion.amount_10k - gone, start),
    quick_ratio: ratio(gained, gone),
    arpa: ratio(end, paying),
    ltv:
      lost < 10 || customers === 0
        ? { is: 'not_enough_data' }
        : ratio(Math.round((end / paying) * customers), lost),
  };
}
