import { afterEach, describe, expect, it, vi } from 'vitest';

import type { MoneyForm } from '../../src/text/format';
import {
  age,
  ago,
  bytes,
  clockTime,
  counted,
  dateOf,
  instant,
  instantFull,
  localeOf,
  meterAmount,
  meterLimit,
  minorDigits,
  money,
  number,
  percent,
  shortened,
  span,
  untilOrAgo,
} from '../../src/text/format';
import { DAY, HOUR, MINUTE, NOW, plain } from './given';

const cash = (amount: number, currency: string, form?: MoneyForm) => plain(money({ amount, currency }, form));

describe('money', () => {
  it('takes minor units for what the currency says they are', () => {
    expect(cash(9900, 'usd')).toBe('$99.00');
    expect(cash(9905, 'USD')).toBe('$99.05');
    expect(cash(5, 'usd')).toBe('$0.05');
    expect(cash(12_000, 'jpy')).toBe('¥12,000');
    expect(cash(45_250, 'kwd')).toMatch(/45\.250$/);
    expect(cash(7, 'kwd')).toMatch(/0\.007$/);
  });

  it('knows the currencies without and with three decimals', () => {
    for (const code of 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '))
      expect(minorDigits(code)).toBe(0);
    for (const code of 'bhd jod kwd omr tnd'.split(' ')) expect(minorDigits(code)).toBe(3);
    for (const code of ['usd', 'eur', 'huf', 'twd', 'isk', 'ugx']) expect(minorDigits(code)).toBe(2);
  });

  it('leaves out hundredths that nobody pays', () => {
    expect(cash(120_000, 'isk')).toMatch(/^\D*1,200$/);
    expect(cash(120_050, 'isk')).toMatch(/1,200\.50$/);
  });

  it('puts the sign before the amount, and tells zero from nothing', () => {
    expect(cash(-14_050, 'usd')).toBe('−$140.50');
    expect(cash(0, 'usd')).toBe('$0.00');
  });

  it('names the currency where several are on the screen', () => {
    expect(cash(4900, 'usd', { code: true })).toBe('USD 49.00');
    expect(cash(9900, 'eur', { code: true })).toBe('EUR 99.00');
  });

  it('shows whole amounts on a tile from a thousand on', () => {
    expect(cash(1_248_049, 'usd', { tile: true })).toBe('$12,480');
    expect(cash(99_999, 'usd', { tile: true })).toBe('$999.99');
  });

  it('keeps every digit of an amount that no floating-point number holds', () => {
    expect(cash(9_007_199_254_740_991, 'usd')).toBe('$90,071,992,547,409.91');
  });

  it('names a currency that the system does not know', () => {
    expect(cash(1050, 'zz')).toBe('10.50 ZZ');
  });
});

describe('figures', () => {
  it('shows what is not known as a dash, and zero as zero', () => {
    expect(number(null)).toBe('—');
    expect(number(0)).toBe('0');
    expect(number(1204)).toBe('1,204');
    expect(number(-3)).toBe('−3');
    expect(percent(null)).toBe('—');
    expect(plain(percent(0))).toBe('0 %');
    expect(bytes(null)).toBe('—');
    expect(plain(bytes(0))).toBe('0 B');
  });

  it('shows a limit as No limit, zero or its number', () => {
    expect(meterLimit('messages', null)).toBe('No limit');
    expect(meterLimit('messages', 0)).toBe('0');
    expect(meterLimit('messages', 10_000)).toBe('10,000');
    expect(plain(meterLimit('storage_bytes', 10e9))).toBe('10 GB');
    expect(meterAmount('messages', null)).toBe('—');
  });

  it('counts bytes in decimal units and never rounds up to a thousand of one', () => {
    expect(plain(bytes(999))).toBe('999 B');
    expect(plain(bytes(1900))).toBe('1.9 kB');
    expect(plain(bytes(1_900_000_000))).toBe('1.9 GB');
    expect(plain(bytes(999_990_000))).toBe('1 GB');
    expect(plain(bytes(5e18))).toBe('5,000 PB');
  });

  it('never shows a share below one as a hundred per cent', () => {
    expect(plain(percent(0.236))).toBe('23.6 %');
    expect(plain(percent(0.99999))).toBe('99.9 %');
    expect(plain(percent(1))).toBe('100 %');
    expect(plain(percent(1.12))).toBe('112 %');
  });

  it('agrees with its noun', () => {
    expect(plain(counted(1, 'tenant'))).toBe('1 tenant');
    expect(plain(counted(0, 'tenant'))).toBe('0 tenants');
    expect(plain(counted(1204, 'tenant'))).toBe('1,204 tenants');
  });
});

describe('instants', () => {
  it('always come with their zone, and with the reader’s own time where it differs', () => {
    const at = Date.UTC(2025, 10, 25, 13, 5);
    expect(instant(at, { zone: 'UTC', now: NOW })).toBe('Tue 25 Nov, 13:05 UTC');
    expect(instant(at, { zone: 'Europe/Berlin', now: NOW })).toBe('Tue 25 Nov, 13:05 UTC · 14:05 local');
  });

  it('name the reader’s day where it is another', () => {
    const at = Date.UTC(2025, 10, 25, 23, 30);
    expect(instant(at, { zone: 'Asia/Tokyo', now: NOW })).toBe('Tue 25 Nov, 23:30 UTC · Wed 08:30 local');
    expect(instant(at - 20 * HOUR, { zone: 'America/Los_Angeles', now: NOW })).toBe(
      'Tue 25 Nov, 03:30 UTC · Mon 19:30 local',
    );
  });

  it('name the year where it is not the present one', () => {
    expect(instant(Date.UTC(2026, 0, 2, 9), { zone: 'UTC', now: NOW })).toBe('Fri 2 Jan 2026, 09:00 UTC');
    expect(dateOf(Date.UTC(2027, 11, 1), { now: NOW })).toBe('1 Dec 2027');
    expect(dateOf(Date.UTC(2025, 11, 1), { now: NOW })).toBe('1 Dec');
  });

  it('write midnight as 00:00', () => {
    expect(instant(Date.UTC(2025, 11, 1), { zone: 'UTC', now: NOW })).toBe('Mon 1 Dec, 00:00 UTC');
  });

  it('tell local time, UTC and ISO in full', () => {
    expect(instantFull(Date.UTC(2025, 10, 25, 13, 5), { zone: 'Europe/Berlin' }).split('\n')).toEqual([
      'Tue 25 Nov 2025, 14:05 Europe/Berlin',
      'Tue 25 Nov 2025, 13:05 UTC',
      '2025-11-25T13:05:00.000Z',
    ]);
  });

  it('give the day to a clock time that is not today’s', () => {
    expect(clockTime(NOW - HOUR, { zone: 'UTC', now: NOW })).toBe('13:00');
    expect(clockTime(NOW - DAY, { zone: 'UTC', now: NOW })).toBe('Mon 17 Nov, 14:00');
  });
});

describe('the separators of numbers', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it('go by the language of the system without its variants', () => {
    expect(localeOf('de-CH')).toBe('de-CH');
    expect(localeOf('zh-Hant-TW')).toBe('zh-Hant-TW');
    expect(localeOf('en-US-u-va-posix')).toBe('en-US');
    for (const none of [undefined, '', 'C', 'en_US.UTF-8']) expect(localeOf(none)).toBe('en');
  });

  it.each(['en-US-u-va-posix', 'C'])('are there on a bare system (%s)', async (language) => {
    vi.stubGlobal('navigator', { language });
    vi.resetModules();
    const bare = await import('../../src/text/format');
    expect(bare.number(1_000_000)).toBe('1,000,000');
    expect(bare.meterLimit('tokens', 254_863)).toBe('254,863');
    expect(bare.money({ amount: 1_248_049, currency: 'usd' })).toMatch(/12,480\.49$/);
  });
});

describe('ages and distances', () => {
  it('grow through their units', () => {
    const old = (ms: number) => plain(age(NOW - ms, NOW));
    expect(old(12_000)).toBe('12 s');
    expect(old(3 * MINUTE + 59_000)).toBe('3 min');
    expect(old(2 * HOUR + 59 * MINUTE)).toBe('2 h');
    expect(old(DAY + 3 * HOUR)).toBe('1 d 3 h');
    expect(old(6 * DAY + 5 * HOUR)).toBe('6 d');
    expect(old(7 * DAY)).toBe('11 Nov');
  });

  it('are never negative, whatever the clock', () => {
    expect(plain(age(NOW + 5 * MINUTE, NOW))).toBe('0 s');
  });

  it('are a clock time where the clock is behind what is past', () => {
    expect(plain(ago(NOW - 6 * MINUTE, NOW))).toBe('6 min ago');
    expect(plain(ago(NOW + MINUTE, NOW))).toBe('0 s ago');
    expect(ago(NOW + 5 * MINUTE, NOW)).toBe(`at ${clockTime(NOW + 5 * MINUTE, { now: NOW })}`);
  });

  it('say which way', () => {
    const away = (ms: number) => plain(untilOrAgo(NOW + ms, NOW));
    expect(away(5 * HOUR)).toBe('in 5 h');
    expect(away(-2 * DAY)).toBe('2 d ago');
    expect(away(0)).toBe('now');
    expect(away(60 * DAY)).toBe('17 Jan 2026');
  });

  it('drop a rest that says nothing', () => {
    expect(plain(span(DAY))).toBe('1 d');
    expect(plain(span(14 * DAY + HOUR))).toBe('14 d');
  });
});

describe('a name in a sentence', () => {
  it('is cut at a word where one ends near, and never inside a character', () => {
    expect(shortened('Acme GmbH')).toBe('Acme GmbH');
    expect(shortened('Gesellschaft für außerordentlich ausführliche Dokumentenverarbeitung')).toBe(
      'Gesellschaft für außerordentlich…',
    );
    expect(shortened('👩‍👩‍👧‍👧'.repeat(50), 4)).toBe(`${'👩‍👩‍👧‍👧'.repeat(3)}…`);
  });
});
