import { afterEach, describe, expect, it } from 'vitest';

import { privacy } from '../../src/state/privacy.svelte';
import {
  amountText,
  changeText,
  decimalText,
  exactText,
  minorOf,
  minorText,
  movedText,
  pointsText,
  rateAmountText,
  leftText,
  ratioText,
  shareText,
} from '../../src/text/amount';
import { csvText, fileName } from '../../src/text/csv';
import { daysText, periodShort, periodText } from '../../src/text/day';
import { money, named } from '../../src/text/format';
import {
  mismatchText,
  missingText,
  mrrSummary,
  pendingText,
  toDateText,
  unreadText,
} from '../../src/text/revenue';
import { plain } from './given';

afterEach(() => {
  privacy.on = false;
});

describe('an amount in ten-thousandths', () => {
  it('is rounded half to even, and only to the minor unit', () => {
    const cases: [number, number][] = [
      [4_999, 0],
      [5_000, 0],
      [5_001, 1],
      [15_000, 2],
      [25_000, 2],
      [25_001, 3],
      [-5_000, 0],
      [-15_000, -2],
      [-25_000, -2],
      [43_333_333, 4333],
    ];
    for (const [amount, minor] of cases) expect(minorOf(amount), String(amount)).toBe(minor);
    expect(Object.is(minorOf(-5_000), 0)).toBe(true);
  });

  it('has its currency’s decimals, and no other', () => {
    expect(plain(amountText(12_480_000_000, 'usd'))).toBe('$12,480.00');
    expect(plain(amountText(120_000_000, 'jpy', { code: true }))).toBe('JPY 12,000');
    expect(plain(amountText(452_500_000, 'kwd', { code: true }))).toBe('KWD 45.250');
    expect(plain(amountText(12_480_000_000, 'usd', { tile: true }))).toBe('$12,480');
  });

  it('keeps every digit beyond what a float can hold', () => {
    expect(decimalText(9_007_199_254_740_991, 'usd')).toBe('9007199254.740991');
    expect(plain(amountText(9_007_199_254_740_991, 'usd'))).toBe('$9,007,199,254.74');
  });

  it('says what was rounded away, and nothing where nothing was', () => {
    expect(exactText(3_400_033, 'usd')).toBe('exactly 3.400033 USD');
    expect(exactText(-3_400_033, 'usd')).toBe('exactly −3.400033 USD');
    expect(exactText(3_400_000, 'usd')).toBeNull();
    expect(exactText(12_500, 'jpy')).toBe('exactly 1.25 JPY');
  });

  it('has its sign where it is a change, and none where nothing changed', () => {
    expect(plain(changeText(6_200_000, 'usd'))).toBe('+$6.20');
    expect(plain(changeText(-6_200_000, 'usd'))).toBe('−$6.20');
    expect(plain(changeText(0, 'usd'))).toBe('$0.00');
  });

  it('goes into a file in full, without separators', () => {
    expect(decimalText(124_800_033, 'usd')).toBe('124.800033');
    expect(decimalText(-124_800_000, 'usd')).toBe('-124.80');
    expect(decimalText(120_000_000, 'jpy')).toBe('12000');
    expect(minorText(45_250, 'kwd')).toBe('45.250');
    expect(minorText(5, 'usd')).toBe('0.05');
  });
});

describe('a rate', () => {
  it('is a percentage from ten cases on, else the counts, else it is said that there is too little', () => {
    expect(plain(shareText({ is: 'value', numerator: 34, denominator: 144 }))).toBe('23.6 %');
    expect(shareText({ is: 'too_few', counted: 3, of: 7 })).toBe('3 of 7');
    expect(shareText({ is: 'too_few', counted: 3, of: 2 })).toBe('Not enough data');
    expect(shareText({ is: 'not_enough_data' })).toBe('Not enough data');
    expect(leftText({ is: 'too_few', counted: 0, of: 1 })).toBe('Not enough data');
    expect(plain(leftText({ is: 'value', numerator: 97, denominator: 100 }))).toBe('97 %');
    expect(ratioText({ is: 'too_few', counted: 3, of: 7 })).toBe('3 : 7');
    expect(plain(shareText({ is: 'value', numerator: -5, denominator: 100 }))).toBe('−5 %');
    expect(plain(shareText({ is: 'value', numerator: -0, denominator: 100 }))).toBe('0 %');
    expect(ratioText({ is: 'value', numerator: 23, denominator: 10 })).toBe('2.3');
    expect(plain(rateAmountText({ is: 'value', numerator: 10_000_000, denominator: 3 }, 'usd'))).toBe(
      '$3.33',
    );
  });

  it('moves by points, an amount by its share', () => {
    const of = (numerator: number) => ({ is: 'value', numerator, denominator: 1000 }) as const;
    expect(pointsText(of(29), of(25))).toBe('▲ +0.4 points');
    expect(pointsText(of(25), of(29))).toBe('▼ −0.4 points');
    expect(pointsText(of(25), { is: 'not_enough_data' })).toBe('—');
    expect(plain(movedText(12_480_000, 11_860_000, 'usd'))).toBe('▲ +$0.62 (+5.2 %)');
  });
});

describe('a span of days', () => {
  it('is written by its last day, whatever zone this machine is in', () => {
    expect(daysText('2025-11-03', '2025-11-10')).toBe('3–9 Nov 2025');
    expect(daysText('2025-10-28', '2025-11-27')).toBe('28 Oct – 26 Nov 2025');
    expect(daysText('2025-12-29', '2026-01-05')).toBe('29 Dec 2025 – 4 Jan 2026');
    expect(periodText('2025-11-01', '2025-11-27', 'month')).toBe('Nov 2025');
    expect(periodShort('2026-01-01', 'month', false)).toBe('Jan ’26');
  });
});

describe('words of revenue', () => {
  it('tell a line in a sentence, its gaps too', () => {
    const told = (end: number | null, from: string, finished = true) => ({
      from,
      to: '2026-12-01',
      finished,
      end,
      net: 0,
    });
    const line = [
      told(100_000_000, '2026-09-01'),
      told(null, '2026-10-01'),
      told(150_000_000, '2026-11-01', false),
    ];
    expect(plain(mrrSummary(line, 'usd', 'month'))).toBe(
      'MRR rose to $150.00 (Nov 2026, to date) from $100.00 at the end of Sep 2026; 1 period not known.',
    );
  });

  it('compare a running period with as much of the one before', () => {
    const now = { from: '2026-11-01', to: '2026-11-27', net_10k: 6_200_000 };
    const before = { from: '2026-10-01', to: '2026-10-27', net_10k: -3_000_000 };
    expect(plain(toDateText(now, before, 'usd', 'month'))).toBe(
      'Nov 2026 to date: net +$6.20; in the first 26 days of Oct 2026 it was −$3.00.',
    );
  });

  it('say which rate is missing, what is not read, and that the two counts differ', () => {
    expect(missingText({ from: 'eur', to: 'usd', day: '2026-01-31' })).toBe(
      'unknown: no rate from EUR to USD for 2026-01-31',
    );
    const basis = {
      complete: false,
      unread: ['invoices'],
      seen_since: null,
      customers: 1,
      pending: 2,
      counted_at: 1,
    };
    expect(unreadText(basis)).toContain('Stripe’s invoices are not read to the end');
    expect(unreadText({ ...basis, complete: true })).toBeNull();
    expect(plain(pendingText(basis) ?? '')).toBe('2 customers still to be counted.');
    expect(mismatchText('usd', { subscriptions_10k: 5, movements_10k: 5 })).toBeNull();
    expect(
      plain(mismatchText('usd', { subscriptions_10k: 2_000_000, movements_10k: 1_000_000 }) ?? ''),
    ).toContain('the difference of USD 1.00');
  });
});

describe('a table as a file', () => {
  it('quotes what would be taken for more cells, and disarms what would be taken for a formula', () => {
    expect(
      csvText([
        ['Customer', 'Amount'],
        ['A "B", Ltd', { figure: '-12.50' }],
        ['=HYPERLINK("x")', { figure: '0' }],
        ['two\nlines', '-5'],
      ]),
    ).toBe('Customer,Amount\r\n"A ""B"", Ltd",-12.50\r\n"\'=HYPERLINK(""x"")",0\r\n"two\nlines",\'-5\r\n');
  });

  it('has a name that every system takes', () => {
    expect(fileName('New · 1–30 Nov 2026', 'usd')).toBe('new-1-30-nov-2026-usd.csv');
  });
});

describe('privacy mode', () => {
  it('hides amounts and names wherever they are written, with their sign and their length', () => {
    privacy.on = true;
    expect(plain(money({ amount: -1_234_500, currency: 'usd' }))).toBe('$•••••');
    expect(plain(money({ amount: 5, currency: 'kwd' }, { code: true }))).toBe('KWD •••••');
    expect(plain(changeText(12_345_678, 'usd'))).toBe('$•••••');
    expect(exactText(3_400_033, 'usd')).toBeNull();
    expect(decimalText(3_400_033, 'usd')).toBe('•••••');
    expect(minorText(340, 'usd')).toBe('•••••');
    expect(named('Acme GmbH')).toBe('•••••');
  });
});
