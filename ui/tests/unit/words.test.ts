import { describe, expect, it } from 'vitest';

import type { Adjustment, Snapshot } from '../../src/host/generated/contract';
import type { Change, Subscription, TenantFacts } from '../../src/host/generated/domain';
import type { FailureCode, SourceFreshness } from '../../src/host/generated/ipc';
import { missingStream, otherVersion, changeDone, changeUndone, environmentBand } from '../../src/text/words';
import { blockedBy, clockSkew, freshnessLine, isMendedInConnections, listed } from '../../src/text/words';
import { sameAccess } from '../../src/text/same-access';
import { deletedBeside, readingText, settledText, sourceState } from '../../src/text/words';
import {
  access,
  DAY,
  facts,
  failure,
  freshness,
  HOUR,
  MINUTE,
  NOW,
  plain,
  reading,
  snapshot,
  source,
  UTC,
} from './given';

const line = (of: Parameters<typeof freshness>[0], now = NOW) => {
  const { tone, text } = freshnessLine(freshness(of), now, { zone: 'UTC' });
  return { tone, text: plain(text) };
};

describe('how old what is shown is', () => {
  it('is a clock time and an age that goes on by itself', () => {
    expect(line({})).toEqual({ tone: 'fine', text: 'As of 13:57 · 3 min' });
    expect(line({}, NOW + 2 * MINUTE).text).toBe('As of 13:57 · 5 min');
  });

  it('is older than usual after twice the interval', () => {
    expect(line({}, NOW + 7 * MINUTE).tone).toBe('fine');
    expect(line({}, NOW + 8 * MINUTE)).toEqual({
      tone: 'old',
      text: 'As of 13:57 · 11 min — older than usual',
    });
  });

  it('says offline, with the time of the copy or that there is none', () => {
    expect(line({ offline: true, as_of: NOW - 2 * HOUR })).toEqual({
      tone: 'offline',
      text: 'Offline · as of 12:00 (2 h)',
    });
    const unread = freshness({ offline: true, as_of: null }).sources.map((it) => ({ ...it, as_of: null }));
    expect(line({ offline: true, as_of: null, sources: unread }).text).toBe('Offline · nothing read yet');
    expect(line({ offline: true, as_of: null }).text).toMatch(
      /^Offline · Paywall server as of \d\d:\d\d \(.+\), the rest not yet$/,
    );
  });

  it('names the source that alone fails, and the age of the other', () => {
    const sources = [
      source(),
      source({ source: 'stripe', state: 'failing', failing_since: NOW - 50 * MINUTE, as_of: NOW - HOUR }),
    ];
    expect(line({ sources })).toEqual({
      tone: 'failing',
      text: 'Stripe not reached since 13:10 · copy of 13:00 · Paywall server as of 13:57',
    });
  });

  it('names the day of a copy that is not today’s', () => {
    expect(line({ as_of: NOW - DAY }).text).toBe('As of Mon 17 Nov, 14:00 · 1 d — older than usual');
  });

  it('of the future is never fresh: the clock is behind the copy', () => {
    expect(line({ as_of: NOW + 2 * MINUTE })).toEqual({
      tone: 'old',
      text: 'As of 14:02 — this computer’s clock is behind the copy',
    });
    expect(line({ as_of: NOW + MINUTE }).tone).toBe('fine');
    expect(line({ offline: true, as_of: NOW + HOUR }).text).toBe(
      'Offline · as of 15:00 (this computer’s clock is behind the copy)',
    );
  });

  it('says what is wrong with a source that answers, or that is not even asked', () => {
    const failing = (code: FailureCode, of: Partial<SourceFreshness> = {}) =>
      source({ state: 'failing', failing_since: NOW - 50 * MINUTE, failure: failure(code), ...of });
    const said = (it: SourceFreshness) => line({ sources: [it], as_of: it.as_of }).text;
    expect(said(failing({ code: 'token_missing' }, { as_of: null }))).toBe('Paywall server: no token');
    expect(said(failing({ code: 'token_refused' }))).toBe(
      'Paywall server: token refused since 13:10 · copy of 13:57',
    );
    expect(said(failing({ code: 'token_expired' }))).toContain('token expired since 13:10');
    expect(said(failing({ code: 'stripe_key_refused' }, { source: 'stripe' }))).toContain(
      'Stripe: key refused since 13:10',
    );
    expect(said(failing({ code: 'server_fault' }))).toContain('answers with faults since 13:10');
    for (const code of ['unreachable', 'timed_out'] as const)
      expect(said(failing({ code, source: 'server' }))).toContain('Paywall server not reached since 13:10');
    expect(isMendedInConnections({ code: 'token_missing' })).toBe(true);
    expect(isMendedInConnections({ code: 'server_fault' })).toBe(false);
    expect(isMendedInConnections(null)).toBe(false);
  });

  it('says that the first copy is being read', () => {
    expect(line({ as_of: null }).text).toBe('First copy is being read');
  });
});

describe('what a source is doing', () => {
  it('is said in one line', () => {
    expect(sourceState(source())).toBe('Paywall server: reached');
    expect(sourceState(source({ source: 'stripe', state: 'not_configured' }))).toBe('Stripe: not set up');
    expect(sourceState(source({ state: 'never' }))).toBe('Paywall server: not read yet');
    expect(sourceState(source({ state: 'failing' }))).toBe('Paywall server: not reached');
    expect(sourceState(source({ state: 'failing', failure: failure({ code: 'token_missing' }) }))).toBe(
      'Paywall server: no token',
    );
    const progress = { stream: 'tenants', done: 200, total: 1204 };
    expect(sourceState(source({ progress }))).toBe('Paywall server: reading tenants');
  });

  it('tells of another version of the API, and where it was seen', () => {
    const seen = { version: '2024-06-20', example: 'req_7', at: 0 };
    expect(otherVersion({ ...seen, seen_in: 'answers' })).toContain(
      '2024-06-20, which was not asked for (request req_7)',
    );
    expect(otherVersion({ ...seen, seen_in: 'events' })).toContain('nothing is lost');
  });

  it('names a list that is missing and why', () => {
    const missing = { stream: 'invoices', failure: failure({ code: 'stripe_missing', stream: 'invoices' }) };
    expect(missingStream(missing)).toBe('invoices: Stripe does not offer invoices here.');
  });
});

describe('which environment it is', () => {
  it('is said in words on everything that is not live', () => {
    expect(plain(environmentBand('test', 'staging'))).toBe('TEST DATA — staging. Nothing here is revenue.');
    expect(environmentBand('sample', 'Sample data')).toMatch(/^SAMPLE DATA/);
    expect(environmentBand('live', 'production')).toMatch(/^LIVE/);
  });
});

describe('what a change did', () => {
  const made = (change: Change, more: Partial<Adjustment> = {}): Adjustment => ({
    id: 'a-1',
    tenant_id: 't-1',
    at: NOW,
    actor: 'mia',
    actor_role: 'support',
    change,
    reason: 'Customer asked',
    ticket: null,
    before: snapshot(),
    after: snapshot(),
    undoes: null,
    undone_by: null,
    request_id: 'req-1',
    ...more,
  });
  const trial = { started_at: NOW, ends_at: NOW + 7 * DAY, extensions: 1, extended_ms: 7 * DAY };

  it('is told with the end that the server recorded', () => {
    const extended = made(
      { kind: 'extend_trial', target: { days: 7 } },
      { after: snapshot({ facts: facts({ trial }) }) },
    );
    expect(plain(changeDone(extended, 'Acme', UTC))).toBe('Acme’s trial now ends Tue 25 Nov, 14:00 UTC.');
    expect(plain(changeDone(extended, '', UTC))).toBe('The trial now ends Tue 25 Nov, 14:00 UTC.');
  });

  it('is told with the limit that holds now, be it none or zero', () => {
    const limited = (limit: number | null) =>
      plain(
        changeDone(
          made(
            { kind: 'override_quota', meter: 'messages', limit, expires_at: null },
            { after: snapshot({ meters: [reading('messages', { limit })] }) },
          ),
          'Acme',
        ),
      );
    expect(limited(15_000)).toBe('Acme’s limit for messages is now 15,000.');
    expect(limited(0)).toBe('Acme’s limit for messages is now 0.');
    expect(limited(null)).toBe('Acme’s limit for messages is now No limit.');
  });

  it('is told as undone where it was', () => {
    const undone = made({ kind: 'reinstate' }, { undoes: 'a-0' });
    expect(plain(changeDone(undone, 'Acme'))).toBe('Undone: Acme is suspended again.');
    expect(changeUndone(undone, '')).toBe('Undone: the tenant is suspended again.');
  });

  it('is told as undone with whose it was, and what holds again', () => {
    const ended = (at: number) => ({
      after: snapshot({ facts: facts({ trial: { ...trial, ends_at: at } }) }),
    });
    const extend = { kind: 'extend_trial', target: { days: 7 } } as const;
    const undone = (of: Adjustment) => plain(changeUndone(of, 'Acme', UTC));
    expect(undone(made(extend, ended(NOW + 3 * DAY)))).toBe(
      'Undone: the trial of Acme ends Fri 21 Nov, 14:00 UTC again.',
    );
    expect(undone(made(extend, ended(NOW - DAY)))).toBe(
      'Undone: the trial of Acme is over again, since Mon 17 Nov, 14:00 UTC.',
    );
    expect(undone(made(extend, { after: snapshot() }))).toBe('Undone: the trial of Acme is gone again.');
    const limit = { kind: 'override_quota', meter: 'messages', limit: 5, expires_at: null } as const;
    expect(undone(made(limit, { after: snapshot({ meters: [reading('messages')] }) }))).toBe(
      'Undone: the limit for messages of Acme is 1,000 again.',
    );
  });
});

describe('what became of a change whose answer was lost', () => {
  const said = (outcome: 'not_made' | 'other_database', undo = false) =>
    plain(settledText('extend_trial', undo, 'Acme', { outcome }));

  it('names the deed and the tenant', () => {
    const adjustment = { undoes: null } as Adjustment;
    expect(plain(settledText('extend_trial', false, 'Acme', { outcome: 'made', adjustment }))).toBe(
      'Extend trial for Acme was made after all.',
    );
    expect(said('not_made')).toBe('Extend trial for Acme was not made. Nothing was changed.');
    expect(said('not_made', true)).toBe('Undo of extend trial for Acme was not made. Nothing was changed.');
    expect(said('other_database')).toBe(
      'Extend trial for Acme was sent to a database that no longer answers at this address; nobody can tell whether it was made.',
    );
  });
});

describe('a clock that is off', () => {
  it('is said from a minute on, with how far and which way', () => {
    expect(clockSkew(null)).toBeNull();
    expect(clockSkew(MINUTE)).toBeNull();
    expect(plain(clockSkew(DAY) ?? '')).toBe(
      'This computer’s clock is 1 d ahead of the paywall server. Times and ages here go by the server’s clock. Set the clock right.',
    );
    expect(plain(clockSkew(-5 * MINUTE) ?? '')).toMatch(
      /^This computer’s clock is 5 min behind the paywall server\./,
    );
  });
});

describe('tenants that were deleted', () => {
  it('are said to be read along, and to be left out of a count', () => {
    expect(plain(readingText({ stream: 'tenants', done: 240, total: 240 }))).toBe(
      'Reading tenants, deleted ones too: 240 of about 240',
    );
    expect(plain(readingText({ stream: 'invoices', done: 1200, total: null }))).toBe(
      'Reading invoices: 1,200',
    );
    expect(plain(deletedBeside(1) ?? '')).toBe('1 deleted tenant not counted');
    expect([deletedBeside(0), deletedBeside(null)]).toEqual([null, null]);
  });
});

describe('an access that a change leaves as it is', () => {
  const trial = (ends_at: number) => ({ started_at: NOW, ends_at, extensions: 0, extended_ms: 0 });
  const subscription: Subscription = {
    id: 'sub_1',
    status: 'active',
    current_period_end: NOW + 20 * DAY,
    overdue_since: null,
    grace_ends_at: null,
    ended_at: null,
    cancel_at_period_end: false,
  };
  /** What is said of a trial that ends seven days later. */
  const extended = (of: Partial<TenantFacts>, more: Partial<Snapshot> = {}) =>
    sameAccess(
      snapshot({ facts: facts({ ...of, trial: trial(NOW - DAY) }), ...more }),
      snapshot({ facts: facts({ ...of, trial: trial(NOW + 7 * DAY) }), ...more }),
      NOW,
    );

  it('is said, with the rule that comes before a trial', () => {
    expect(extended({ subscription }, { status: 'active' })).toBe(
      'Access stays the same: this tenant has a paid subscription, which comes before a trial.',
    );
    const comp = { plan: 'team', since: NOW - DAY, until: NOW + DAY };
    expect(extended({ comp }, { status: 'active' })).toContain('plan is comped');
    const suspension = { since: NOW - DAY, by: 'tom', reason: 'abuse', message: null };
    expect(extended({ suspension }, { status: 'suspended', access: access('locked') })).toContain(
      'this tenant is suspended',
    );
  });

  it('is not said where another rule denies after than before', () => {
    const ended = access('locked', [{ code: 'trial_ended', ended_at: NOW - DAY }]);
    expect(sameAccess(snapshot({ access: ended }), snapshot(), NOW)).toBeNull();
    expect(sameAccess(snapshot({ access: ended }), snapshot({ access: ended }), NOW)).toContain(
      'what blocks this tenant is not lifted',
    );
  });
});

describe('small words', () => {
  it('list things as a sentence does', () => {
    expect(listed([])).toBe('');
    expect(listed(['chat'])).toBe('chat');
    expect(listed(['chat', 'uploads'])).toBe('chat and uploads');
    expect(listed(['chat', 'uploads', 'parsing'])).toBe('chat, uploads and parsing');
  });

  it('say why nothing can be changed', () => {
    expect(blockedBy('offline')).toContain('need a connection');
    expect(blockedBy('read_only')).toContain('read-only');
    expect(blockedBy('role')).toContain('viewer');
  });
});
