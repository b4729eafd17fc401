import type { RateView } from '../host/generated/ipc';
import {
  HIDDEN,
  isHidden,
  minorDigits,
  money,
  moneyShort,
  number,
  percent,
  UNKNOWN,
  type MoneyForm,
} from './format';

// Revenue is counted in 1/10,000 of a currency's minor unit, so that parts add up to their sum. It is rounded
// here, where it is shown, and nowhere before.

const PARTS = 10_000n;

/** To whole minor units: half a unit goes to the even one. */
export function minorOf(amount_10k: number): number {
  const amount = BigInt(Math.trunc(amount_10k));
  const size = amount < 0n ? -amount : amount;
  const whole = size / PARTS;
  const twice = (size % PARTS) * 2n;
  const up = twice > PARTS || (twice === PARTS && whole % 2n === 1n);
  const minor = Number(up ? whole + 1n : whole);
  return amount < 0n && minor !== 0 ? -minor : minor;
}

/** An amount in its currency: `$12,480.00`. */
export function amountText(amount_10k: number, currency: string, form: MoneyForm = {}): string {
  return money({ amount: minorOf(amount_10k), currency }, form);
}

/** An amount that something changed by: `+$620.00`, `−$340.00`, `$0.00`. */
export function changeText(amount_10k: number, currency: string, form: MoneyForm = {}): string {
  const text = amountText(amount_10k, currency, form);
  return amount_10k > 0 && !isHidden() ? `+${text}` : text;
}

/** An amount on an axis. */
export const axisText = (amount_10k: number, currency: string): string =>
  moneyShort(amount_10k / 10_000, currency);

/** All digits of an amount, for a file: `12480.0033`. A minus of its own, and no separators. */
export function decimalText(amount_10k: number, currency: string): string {
  if (isHidden()) return HIDDEN;
  return decimalOf(BigInt(Math.trunc(amount_10k)), minorDigits(currency) + 4, minorDigits(currency));
}

/** An amount of minor units for a file: `12480.00`. */
export function minorText(amount: number, currency: string): string {
  if (isHidden()) return HIDDEN;
  const digits = minorDigits(currency);
  return decimalOf(BigInt(Math.trunc(amount)), digits, digits);
}

function decimalOf(amount: bigint, places: number, least: number): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(places + 1, '0');
  const units = places === 0 ? digits : digits.slice(0, -places);
  let rest = places === 0 ? '' : digits.slice(-places);
  while (rest.length > least && rest.endsWith('0')) rest = rest.slice(0, -1);
  return `${amount < 0n ? '-' : ''}${units}${rest === '' ? '' : `.${rest}`}`;
}

/** What was rounded away in an amount as it is shown, said in full; `null` = nothing was. */
export function exactText(amount_10k: number, currency: string): string | null {
  if (isHidden() || amount_10k % 10_000 === 0) return null;
  return `exactly ${decimalText(amount_10k, currency).replace('-', '−')} ${currency.toUpperCase()}`;
}

/** What stands for a rate that rests on too little. */
export const NOT_ENOUGH = 'Not enough data';

/** A share as a percentage, of few cases as counts: `2.9 %`, `3 of 7`. */
export function shareText(rate: RateView): string {
  switch (rate.is) {
    case 'value': {
      // Nothing lost is no loss below zero.
      const share = rate.numerator === 0 ? 0 : rate.numerator / rate.denominator;
      return share < 0 ? `−${percent(-share)}` : percent(share);
    }
    case 'too_few':
      // The same customer may have moved more than once.
      return rate.counted > rate.of ? NOT_ENOUGH : `${number(rate.counted)} of ${number(rate.of)}`;
    case 'not_enough_data':
      return NOT_ENOUGH;
  }
}

const tenth = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A ratio as a number, of few cases as what gained against what lost: `2.3`, `3 : 7`. */
export function ratioText(rate: RateView): string {
  if (rate.is === 'too_few') return `${number(rate.counted)} : ${number(rate.of)}`;
  return rate.is === 'value' ? tenth.format(rate.numerator / rate.denominator) : shareText(rate);
}

/** What is left of revenue as a percentage: `97.3 %`. Of few customers no count says it. */
export function leftText(rate: RateView): string {
  return rate.is === 'too_few' ? NOT_ENOUGH : shareText(rate);
}

/** A part that is an amount: ARPA, LTV. */
export function rateAmount(rate: RateView): number | null {
  if (rate.is !== 'value') return null;
  return Number((BigInt(rate.numerator) * 2n + BigInt(rate.denominator)) / (BigInt(rate.denominator) * 2n));
}

/** The same, written. */
export function rateAmountText(rate: RateView, currency: string, form: MoneyForm = {}): string {
  const amount = rateAmount(rate);
  return amount === null ? shareText(rate) : amountText(amount, currency, form);
}

/** A rate for a file: six digits after the point, or nothing where there is none. */
export function rateText(rate: RateView): string {
  return rate.is === 'value' ? (rate.numerator / rate.denominator).toFixed(6) : '';
}

/** How an amount moved against an earlier one: an arrow, a sign, and the share of it where there is one. */
export function movedText(now: number, before: number, currency: string, form: MoneyForm = {}): string {
  const by = now - before;
  if (by === 0) return 'unchanged';
  const size = before > 0 ? Math.abs(by) / before : 0;
  const share = size >= 0.0005 ? ` (${by > 0 ? '+' : '−'}${percent(size)})` : '';
  return `${by > 0 ? '▲' : '▼'} ${changeText(by, currency, form)}${share}`;
}

/** How a share moved, in points of a hundred; `—` where one of the two is no share. */
export function pointsText(now: RateView, before: RateView): string {
  if (now.is !== 'value' || before.is !== 'value') return UNKNOWN;
  const by = (now.numerator / now.denominator - before.numerator / before.denominator) * 100;
  const size = tenth.format(Math.abs(by));
  if (size === '0.0') return 'unchanged';
  return `${by > 0 ? '▲ +' : '▼ −'}${size} points`;
}

/** How a ratio moved. */
export function ratioMovedText(now: RateView, before: RateView): string {
  if (now.is !== 'value' || before.is !== 'value') return UNKNOWN;
  const by = now.numerator / now.denominator - before.numerator / before.denominator;
  const size = tenth.format(Math.abs(by));
  return size === '0.0' ? 'unchanged' : `${by > 0 ? '▲ +' : '▼ −'}${size}`;
}
