import type { ExchangeRateRow, RateLineFault, RateLineProblem, RatesView } from '../generated/ipc';
import { minorDigits } from '../../text/format';
import { fail } from './fail';
import { dayOf, isoOf } from './revenue-world';

/** Rates that were supplied, by pair and day, in billionths. */
export class Rates {
  #rates = new Map<string, Map<number, { text: string; billionths: bigint }>>();

  constructor(known: string | null, today: number) {
    if (known === null) return;
    const lines = [];
    for (let day = today - 200; day <= today; day += 1)
      for (const [from, rate] of [
        ['eur', 1.08 + (day % 50) / 1000],
        ['jpy', 0.0067],
        ['kwd', 3.25],
        ['gbp', 1.27],
      ] as [string, number][])
        lines.push(`${isoOf(day)},${from},${known},${rate.toFixed(4)}`);
    this.import(lines.join('\n'));
  }

  import(csv: string): void {
    const faults: RateLineFault[] = [];
    const taken: [string, number, string][] = [];
    const lines = csv.split(/\r?\n/);
    lines.forEach((text, index) => {
      if (text.trim() === '' || (index === 0 && /^date,/i.test(text))) return;
      const fields = text.split(',').map((it) => it.trim());
      const [date = '', from = '', to = '', rate = ''] = fields;
      const problem: RateLineProblem | null =
        fields.length !== 4
          ? 'fields'
          : !/^\d{4}-\d\d-\d\d$/.test(date) || Number.isNaN(Date.parse(date))
            ? 'date'
            : !/^[a-z]{3}$/i.test(from) || !/^[a-z]{3}$/i.test(to)
              ? 'currency'
              : !/^\d+(\.\d+)?$/.test(rate) || Number(rate) === 0
                ? 'rate'
                : null;
      if (problem) faults.push({ line: index + 1, problem, text });
      else taken.push([`${from} ${to}`.toLowerCase(), dayOf(date), rate]);
    });
    if (faults.length > 0)
      fail({ code: 'rates_unreadable', faults: faults.slice(0, 20) }, `${faults.length} lines`);
    for (const [pair, day, rate] of taken) {
      const [units = '0', rest = ''] = rate.split('.');
      const billionths = BigInt(units + rest.padEnd(9, '0').slice(0, 9));
      const days = this.#rates.get(pair) ?? new Map();
      days.set(day, { text: rate, billionths });
      this.#rates.set(pair, days);
    }
  }

  clear(): void {
    this.#rates.clear();
  }

  /** An amount at the rate of a day or of the few before it; `null` = there is none. */
  convert(amount: number, from: string, to: string, day: number, within: number): number | null {
    if (from === to || amount === 0) return amount;
    const days = this.#rates.get(`${from} ${to}`);
    for (let back = 0; days && back <= within; back += 1) {
      const rate = days.get(day - back);
      if (!rate) continue;
      const digits = minorDigits(to) - minorDigits(from);
      const up = BigInt(amount) * rate.billionths * 10n ** BigInt(Math.max(0, digits));
      return Number(up / (1_000_000_000n * 10n ** BigInt(Math.max(0, -digits))));
    }
    return null;
  }

  view(): RatesView {
    const latest: ExchangeRateRow[] = [...this.#rates].map(([pair, days]) => {
      const [from = '', to = ''] = pair.split(' ');
      const day = Math.max(...days.keys());
      return { day: isoOf(day), from, to, rate: days.get(day)?.text ?? '' };
    });
    return { count: [...this.#rates.values()].reduce((all, days) => all + days.size, 0), latest };
  }
}
