import type { Meter, Timestamp } from '../host/generated/domain';
import type { Money } from '../host/generated/ipc';

/** Between a number and its unit: never broken across lines. */
const NBSP = '\u00a0';

/** What stands for a figure that is not known. Never zero. */
export const UNKNOWN = '—';

/** What stands for a meter without a limit. Never zero, never empty. */
export const NO_LIMIT = 'No limit';

/** What stands for an amount or a name that is hidden. */
export const HIDDEN = '•••••';

let hidden = () => false;

/** Says when amounts and names are hidden. */
export function hideWhen(is: () => boolean): void {
  hidden = is;
}

/** Whether amounts and names are hidden now. */
export const isHidden = (): boolean => hidden();

/** A tenant's or a customer's name or address, as far as it may be seen. */
export const named = (name: string): string => (hidden() ? HIDDEN : name);

/** The zone of this machine, by its IANA name. */
export function localZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

// ── Numbers ────────────────────────────────────────────────────────────────────────────────────

/**
 * The locale in which the reader's numbers are written, from the language of the system: its variants go,
 * as that of a bare POSIX system would leave out the separators that make a number readable.
 */
export function localeOf(language: string | undefined): string {
  try {
    const locale = new Intl.Locale(language || 'en');
    return [locale.language, locale.script, locale.region].filter(Boolean).join('-');
  } catch {
    return 'en';
  }
}

const LOCALE = localeOf(navigator.language);
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0, useGrouping: true });
const tenths = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1, useGrouping: true });

/** A count, with the separators of the reader's system; `null` = not known. */
export function number(count: number | null): string {
  return count === null ? UNKNOWN : whole.format(count).replace(/^-/, '−');
}

/** A count with its noun: `1 tenant`, `1,204 tenants`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)}${NBSP}${count === 1 ? one : many}`;
}

/** Bytes in decimal units: `1.9 GB`. */
export function bytes(count: number | null): string {
  if (count === null) return UNKNOWN;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = Math.abs(count);
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const sign = count < 0 ? '−' : '';
  return `${sign}${unit === 0 ? whole.format(value) : tenths.format(value)}${NBSP}${units[unit]}`;
}

/**
 * A share as a percentage: `0.236` → `23.6 %`. A share below 1 never reads as 100 %: who is told
 * "100 %" takes the quota for used up.
 */
export function percent(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return UNKNOWN;
  const shown = share < 1 ? Math.min(share * 100, 99.9) : share * 100;
  return `${tenths.format(shown).replace(/^-/, '−')}${NBSP}%`;
}

const METER_WORDS: Record<Meter, string> = {
  messages: 'Messages',
  tokens: 'Tokens',
  api_requests: 'API requests',
  documents: 'Documents',
  storage_bytes: 'Storage',
  datasets: 'Datasets',
  seats: 'Seats',
};

/** The name of a meter, as a heading. */
export function meterWord(meter: Meter): string {
  return METER_WORDS[meter];
}

/** An amount on a meter: bytes with their unit, all else as a number. */
export function meterAmount(meter: Meter, amount: number | null): string {
  return meter === 'storage_bytes' ? bytes(amount) : number(amount);
}

/** A meter's limit: a number, or `No limit`. */
export function meterLimit(meter: Meter, limit: number | null): string {
  return limit === null ? NO_LIMIT : meterAmount(meter, limit);
}

// ── Money ──────────────────────────────────────────────────────────────────────────────────────

const ZERO_DECIMAL = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));
const THREE_DECIMAL = new Set('bhd jod kwd omr tnd'.split(' '));
/** Stripe counts these in hundredths although nobody pays hundredths of them. */
const HUNDREDTHS_UNUSED = new Set(['isk', 'ugx']);

/** How many decimals Stripe's minor unit of a currency stands for. */
export function minorDigits(currency: string): number {
  const code = currency.toLowerCase();
  if (ZERO_DECIMAL.has(code)) return 0;
  if (THREE_DECIMAL.has(code)) return 3;
  return 2;
}

export interface MoneyForm {
  /** As on a tile: no decimals from 1,000 on. */
  tile?: boolean;
  /** With the currency's code in place of its sign, for screens with several currencies. */
  code?: boolean;
}

/** The currency, and nothing of the amount: not even its sign or its length. */
function withHidden(format: Intl.NumberFormat): string {
  const parts = format.formatToParts(0).filter(({ type }) => type !== 'decimal' && type !== 'fraction');
  return parts.map(({ type, value }) => (type === 'integer' ? HIDDEN : value)).join('');
}

/** An amount of money from its minor units, exactly: no floating point touches the digits. */
export function money({ amount, currency }: Money, { tile = false, code = false }: MoneyForm = {}): string {
  const exponent = minorDigits(currency);
  const upper = currency.toUpperCase();
  const digits = String(Math.abs(Math.trunc(amount))).padStart(exponent + 1, '0');
  const units = exponent === 0 ? digits : digits.slice(0, -exponent);
  const rest = exponent === 0 ? '' : digits.slice(-exponent);
  const none =
    exponent === 0 ||
    (HUNDREDTHS_UNUSED.has(currency.toLowerCase()) && /^0*$/.test(rest)) ||
    (tile && units.length >= 4);
  const shown = none ? 0 : exponent;
  // A decimal string keeps every digit; on a tile the fraction is rounded by the formatter.
  const decimal = exponent === 0 ? units : `${units}.${rest}`;
  const options: Intl.NumberFormatOptions = {
    style: 'currency',
    currency: upper,
    currencyDisplay: code ? 'code' : 'narrowSymbol',
    minimumFractionDigits: shown,
    maximumFractionDigits: shown,
    useGrouping: true,
  };
  const sign = amount < 0 ? '−' : '';
  try {
    const format = new Intl.NumberFormat(LOCALE, options);
    if (hidden()) return withHidden(format);
    return sign + format.format(decimal as unknown as number);
  } catch {
    // Not a currency that the system knows the shape of: the figure and the code say enough.
    return hidden() ? `${HIDDEN}${NBSP}${upper}` : `${sign}${decimal}${NBSP}${upper}`;
  }
}

/**
 * The unit and its thousands in short, for an axis: `$12.4k`. It is the only place where a figure is cut
 * down, so that no sum is ever read off it.
 */
export function moneyShort(amount: number, currency: string): string {
  const options: Intl.NumberFormatOptions = {
    style: 'currency',
    currency: currency.toUpperCase(),
    currencyDisplay: 'narrowSymbol',
    notation: 'compact',
    minimumFractionDigits: 0,
    maximumFractionDigits: 1,
  };
  const format = new Intl.NumberFormat(LOCALE, options);
  if (hidden()) return HIDDEN;
  const units = amount / 10 ** minorDigits(currency);
  return format.format(units).replace('-', '−').replace('K', 'k');
}

// ── Time ───────────────────────────────────────────────────────────────────────────────────────

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Wall {
  weekday: string;
  day: string;
  month: string;
  year: string;
  time: string;
  date: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wall(at: Timestamp, zone: string): Wall {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(zone, format);
  }
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = value;
  const month = (part.month ?? '').slice(0, 3);
  const year = part.year ?? '';
  return {
    weekday: part.weekday ?? '',
    day: part.day ?? '',
    month,
    year,
    time: `${part.hour}:${part.minute}`,
    date: `${part.day} ${month} ${year}`,
  };
}

let present = () => Date.now();

/** Says by which clock it is now, where a reader does not say it. */
export function presentIs(clock: () => Timestamp): void {
  present = clock;
}

/** Where and when the reader is; by default here and now. */
export interface Reader {
  zone?: string;
  now?: Timestamp;
}

/**
 * An instant at which something is enforced: `Tue 25 Nov, 13:05 UTC · 14:05 local`. The local day is
 * said where it differs, the year where it is not the present one.
 */
export function instant(at: Timestamp, { zone = localZone(), now = present() }: Reader = {}): string {
  const utc = wall(at, 'UTC');
  const local = wall(at, zone);
  const year = utc.year === wall(now, 'UTC').year ? '' : ` ${utc.year}`;
  const there = `${utc.weekday} ${utc.day} ${utc.month}${year}, ${utc.time} UTC`;
  if (local.date === utc.date && local.time === utc.time) return there;
  const day = local.date === utc.date ? '' : `${local.weekday} `;
  return `${there} · ${day}${local.time} local`;
}

/** An instant in local time, UTC and ISO 8601, for a title. */
export function instantFull(at: Timestamp, { zone = localZone() }: Reader = {}): string {
  const local = wall(at, zone);
  const utc = wall(at, 'UTC');
  return [
    `${local.weekday} ${local.date}, ${local.time} ${zone}`,
    `${utc.weekday} ${utc.date}, ${utc.time} UTC`,
    new Date(at).toISOString(),
  ].join('\n');
}

/** The clock time of an instant, with its day where that is not today: `14:02`, `Mon 17 Nov, 14:02`. */
export function clockTime(at: Timestamp, { zone = localZone(), now = present() }: Reader = {}): string {
  const local = wall(at, zone);
  const today = wall(now, zone);
  if (local.date === today.date) return local.time;
  const year = local.year === today.year ? '' : ` ${local.year}`;
  return `${local.weekday} ${local.day} ${local.month}${year}, ${local.time}`;
}

/** A UTC date, `1 Dec` or `1 Dec 2027`. */
export function dateOf(at: Timestamp, { now = present() }: Reader = {}): string {
  const utc = wall(at, 'UTC');
  return utc.year === wall(now, 'UTC').year ? `${utc.day} ${utc.month}` : utc.date;
}

/** A span in its largest unit, and the next one where that says something: `5 h`, `1 d 3 h`. */
export function span(ms: number): string {
  const length = Math.abs(ms);
  if (length < MINUTE) return `${Math.floor(length / SECOND)}${NBSP}s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)}${NBSP}min`;
  if (length < DAY) return `${Math.floor(length / HOUR)}${NBSP}h`;
  const days = Math.floor(length / DAY);
  const hours = Math.floor((length % DAY) / HOUR);
  return days < 3 && hours > 0 ? `${days}${NBSP}d ${hours}${NBSP}h` : `${number(days)}${NBSP}d`;
}

/**
 * How old something is: `12 s`, `3 min`, `2 h`, `6 d`, from a week on its date. A clock that runs
 * behind never makes an age negative.
 */
export function age(at: Timestamp, now: Timestamp): string {
  const length = Math.max(0, now - at);
  return length < 7 * DAY ? span(length) : dateOf(at, { now });
}

/** Since when something lasts, inside a sentence: `for 3 d`, from a week on `since 9 Nov`. */
export function lastingFor(at: Timestamp, now: Timestamp): string {
  return now - at < 7 * DAY ? `for ${age(at, now)}` : `since ${dateOf(at, { now })}`;
}

/** Whether something that is past by its nature lies ahead: then the clock is behind it, and no age is known. */
export function isAhead(at: Timestamp, now: Timestamp): boolean {
  return at - now > MINUTE;
}

/**
 * How long ago something was, inside a sentence: `6 min ago`, from a week on `on 9 Nov`. Where the clock is
 * behind it, its clock time: `at 14:02`.
 */
export function ago(at: Timestamp, now: Timestamp): string {
  if (isAhead(at, now)) return `at ${clockTime(at, { now })}`;
  return now - at < 7 * DAY ? `${age(at, now)} ago` : `on ${dateOf(at, { now })}`;
}

/** How far away an instant is: `in 5 h`, `2 d ago`, beyond a month its date. */
export function untilOrAgo(at: Timestamp, now: Timestamp): string {
  const away = at - now;
  if (Math.abs(away) >= 31 * DAY) return dateOf(at, { now });
  if (Math.abs(away) < SECOND) return 'now';
  return away > 0 ? `in ${span(away)}` : `${span(away)} ago`;
}

/** A length of time given as days: `7 d`, with hours where it is not whole days. */
export function daysOf(ms: number): string {
  return ms === 0 ? `0${NBSP}d` : span(ms);
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** A name that has room in a sentence: cut at a whole character, at a word where one ends near. */
export function shortened(text: string, most = 40): string {
  const marks = [...graphemes.segment(text)].map((it) => it.segment);
  if (marks.length <= most) return text;
  const cut = marks.slice(0, most - 1).join('');
  const word = cut.search(/\s\S*$/);
  return `${(word > cut.length / 2 ? cut.slice(0, word) : cut).trimEnd()}…`;
}

/** Text of any script inside an English sentence: isolated, so that neither turns the other around. */
export function quoted(text: string): string {
  return `⁨${text}⁩`;
}
