import { counted, localeOf, number } from './format';

const LOCALE = localeOf(navigator.language);
const exact = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 4 });
const short = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 });

/** What stands in the editor before anybody wrote in it. */
export const FIRST_QUESTION = 'SELECT month, currency, mrr, customers\nFROM mrr_by_month\nORDER BY month';

/** What stands for bytes, which are not shown. */
export const blobWord = (bytes: number): string => `(${counted(bytes, 'byte')})`;

/** A number of an answer. */
export const valueText = (value: number): string => exact.format(value);

/** The same, for an axis. */
export const axisText = (value: number): string => short.format(value);

/** What stands under a chart: of days after the first one month and day are enough, and what is long is cut. */
export function markText(label: string, first: boolean): string {
  if (!first && /^\d{4}-\d{2}-\d{2}/.test(label)) return label.slice(5, 10);
  return label.length > 10 ? `${label.slice(0, 9)}…` : label;
}

/** How an answer is: how many rows, whether there are more, and how long it took. */
export function answerLine(rows: number, more: boolean, took_ms: number): string {
  const time = took_ms < 1000 ? `${number(took_ms)} ms` : `${short.format(took_ms / 1000)} s`;
  if (more) return `${counted(rows, 'row')} shown, there are more · ${time}`;
  return `${counted(rows, 'row')} · ${time}`;
}

/** A chart in words. */
export function chartSummary(name: string, labels: string[], values: (number | null)[]): string {
  const known = values.filter((it) => it !== null);
  if (known.length === 0) return `${name}: nothing is known.`;
  const least = known.reduce((a, b) => Math.min(a, b));
  const most = known.reduce((a, b) => Math.max(a, b));
  return `${name} from ${labels[0]} to ${labels.at(-1)}: between ${valueText(least)} and ${valueText(most)}.`;
}
