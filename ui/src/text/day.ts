import type { RevenuePeriod } from '../host/generated/ipc';

// Days are those of the reporting zone, written as they are: no zone of this machine touches them.

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

interface Parts {
  day: number;
  month: string;
  year: string;
}

function parts(day: string): Parts {
  const [year = '', month = '', date = ''] = day.split('-');
  return { day: Number(date), month: MONTHS[Number(month) - 1] ?? '', year };
}

/** A day after or before another. */
export function dayAfter(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

/** How many days a span has that ends before its `to`. */
export function daysIn(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000);
}

/** `31 Jan 2026`. */
export function dayText(day: string): string {
  const { day: date, month, year } = parts(day);
  return `${date} ${month} ${year}`;
}

/** `Jan 2026`. */
export function monthText(day: string): string {
  const { month, year } = parts(day);
  return `${month} ${year}`;
}

/** The days of a span, its last one said: `3–9 Nov 2025`. */
export function daysText(from: string, to: string): string {
  const last = dayAfter(to, -1);
  if (from >= last) return dayText(from);
  const [a, b] = [parts(from), parts(last)];
  if (a.year !== b.year) return `${dayText(from)} – ${dayText(last)}`;
  if (a.month !== b.month) return `${a.day} ${a.month} – ${dayText(last)}`;
  return `${a.day}–${dayText(last)}`;
}

/** A period by its name. */
export function periodText(from: string, to: string, period: RevenuePeriod): string {
  return period === 'month' ? monthText(from) : period === 'day' ? dayText(from) : daysText(from, to);
}

/** A period in short, for an axis; the year is said where it begins. */
export function periodShort(from: string, period: RevenuePeriod, first: boolean): string {
  const { day, month, year } = parts(from);
  if (period === 'month') return first || month === 'Jan' ? `${month} ’${year.slice(2)}` : month;
  return `${day} ${month}`;
}
