import { describe, expect, it } from 'vitest';

import type { Adjustment, Refusal, TimelineBody, TimelineEntry } from '../../src/host/generated/contract';
import type { TenantDetail } from '../../src/host/generated/ipc';
import { beforeAfter, changeText, differences, entryKind, entryRest, entryText } from '../../src/text/entry';
import { copySummary } from '../../src/text/summary';
import { access, DAY, facts, NOW, plain, reading, snapshot, tenant, UTC } from './given';

const entry = (body: TimelineBody): TimelineEntry => ({
  id: 'e-1',
  tenant_id: 't-1',
  tenant_name: 'Acme GmbH',
  at: NOW,
  body,
});
const trial = (ends_at: number, extensions = 0) => ({
  started_at: NOW - 14 * DAY,
  ends_at,
  extensions,
  extended_ms: extensions * 7 * DAY,
});
const expired = snapshot({
  facts: facts({ trial: trial(NOW - DAY) }),
  status: 'expired',
  access: access('locked'),
  meters: [reading('messages'), reading('seats', { limit: null, plan_limit: null })],
});
const extended = snapshot({
  facts: facts({ trial: trial(NOW + 7 * DAY, 1) }),
  status: 'trial',
  access: access('full'),
  meters: [
    reading('messages', { limit: 2000, overridden: true }),
    reading('seats', { limit: null, plan_limit: null }),
  ],
});
const adjustment: Adjustment = {
  id: 'a-1',
  tenant_id: 't-1',
  at: NOW,
  actor: 'mia',
  actor_role: 'support',
  change: { kind: 'extend_trial', target: { days: 7 } },
  reason: 'Customer asked',
  ticket: null,
  before: expired,
  after: extended,
  undoes: null,
  undone_by: null,
  request_id: 'req-1',
};
const said = (body: TimelineBody) => plain(entryText(entry(body), UTC));

describe('a change before and after', () => {
  it('lists everything that differs, the access last', () => {
    expect(differences(expired, extended, UTC).map((it) => ({ ...it, after: plain(it.after) }))).toEqual([
      { what: 'Trial ends', before: 'Mon 17 Nov, 14:00 UTC', after: 'Tue 25 Nov, 14:00 UTC' },
      { what: 'Extended', before: 'never', after: '1× (7 d in all)' },
      { what: 'Limit of messages', before: '1,000', after: '2,000 (override)' },
      { what: 'Status', before: 'Expired', after: 'Trial' },
      { what: 'Access', before: 'Locked out', after: 'Access' },
    ]);
    expect(differences(expired, expired, UTC)).toEqual([]);
  });

  it('tells no limit from a limit of zero', () => {
    const free = { ...expired, meters: [reading('messages', { limit: null })] };
    const none = { ...expired, meters: [reading('messages', { limit: 0, overridden: true })] };
    expect(differences(free, none)[0]).toEqual({
      what: 'Limit of messages',
      before: 'No limit',
      after: '0 (override)',
    });
  });

  it('shows the first difference in a cell, and a dash where there is none', () => {
    expect(beforeAfter(adjustment, UTC)).toEqual({
      what: 'Trial ends',
      before: 'Mon 17 Nov, 14:00 UTC',
      after: 'Tue 25 Nov, 14:00 UTC',
    });
    expect(beforeAfter({ ...adjustment, after: expired }, UTC)).toBeNull();
  });
});

describe('the timeline', () => {
  it('says who did what and why', () => {
    expect(said({ kind: 'adjustment', adjustment })).toBe('mia — Extend trial by 7 d — Customer asked');
    expect(said({ kind: 'adjustment', adjustment: { ...adjustment, undoes: 'a-0', reason: '' } })).toBe(
      'mia — undid: Extend trial by 7 d',
    );
    const note = { ...adjustment, change: { kind: 'note' as const }, reason: 'CTO is back' };
    expect(said({ kind: 'adjustment', adjustment: note })).toBe('mia — CTO is back');
  });

  it('says what came with time and from billing, amounts with their currency', () => {
    expect(said({ kind: 'trial_ended' })).toBe('Trial ended (automatic)');
    expect(
      said({ kind: 'payment_failed', invoice: 'in_1', amount: 14_900, currency: 'usd', attempts: 3 }),
    ).toBe('Payment of USD 149.00 failed, tried 3× (in_1)');
    expect(said({ kind: 'blocked', code: 'quota_exhausted' })).toBe(
      'First request refused: a quota is used up',
    );
  });

  it('names an undo as an undo', () => {
    expect(entryKind(entry({ kind: 'adjustment', adjustment }))).toBe('Extend trial');
    expect(entryKind(entry({ kind: 'adjustment', adjustment: { ...adjustment, undoes: 'a-0' } }))).toBe(
      'Undo: extend trial',
    );
  });

  it('says what every kind of change does', () => {
    const text = (change: Adjustment['change']) => plain(changeText(change, UTC));
    expect(text({ kind: 'extend_trial', target: { until: NOW + DAY } })).toBe(
      'Extend trial until Wed 19 Nov, 14:00 UTC',
    );
    expect(text({ kind: 'override_quota', meter: 'messages', limit: null, expires_at: null })).toBe(
      'Set limit for messages to No limit',
    );
    expect(text({ kind: 'comp', plan: 'team', until: null })).toBe('Comp team with no end');
    expect(text({ kind: 'remove_override', meter: 'seats' })).toBe('Remove override of seats');
    expect(text({ kind: 'change_plan', plan: 'team' })).toBe('Change plan to team');
    expect(text({ kind: 'suspend', message: null })).toBe('Suspend');
  });
});

describe('a first refusal', () => {
  const blocked: TimelineBody = { kind: 'blocked', code: 'trial_ended' };
  const refusal: Refusal = {
    at: NOW,
    operation: 'generate',
    code: 'trial_ended',
    method: 'POST',
    path: '/v1/conversation/completion',
    http_status: 402,
  };

  it('tells the rule, and the request where it is known', () => {
    expect(said(blocked)).toBe('First request refused: trial ended');
    expect(plain(entryText(entry(blocked), UTC, refusal))).toBe(
      'First request refused: trial ended (POST /v1/conversation/completion, 402)',
    );
  });

  it('does not say twice what its kind says already', () => {
    expect(entryKind(entry(blocked))).toBe('First refused');
    expect(entryRest(entry(blocked), UTC)).toBe('trial ended');
    expect(plain(entryRest(entry(blocked), UTC, refusal))).toBe(
      'trial ended · POST /v1/conversation/completion, 402',
    );
  });

  it('has words for every rule', () => {
    for (const code of ['subscription_ended', 'payment_overdue', 'suspended', 'unknown_tenant'] as const)
      expect(said({ kind: 'blocked', code })).not.toMatch(/_|undefined/);
  });
});

describe('the summary for a ticket', () => {
  const detail: TenantDetail = {
    tenant: tenant({
      status: 'expired',
      meters: [
        reading('messages'),
        reading('documents', { used: 500, limit: 500, exhausted: true }),
        reading('tokens', { used: null }),
        reading('api_requests', { used: 12_401, limit: null }),
        reading('seats', { used: 1, limit: 0 }),
      ],
    }),
    plan: null,
    plan_in_force: null,
    billing: null,
    stripe_known: false,
    as_of: NOW,
  };
  const summary = copySummary(
    detail,
    {
      tone: 'locked',
      mark: '✖',
      headline: 'LOCKED OUT since Tue 18 Nov, 10:00 UTC',
      causes: ['The Pro trial ended Tue 18 Nov, 10:00 UTC.'],
      remains: null,
      stale: null,
      facts: ['No refused request is known by \u2068Acme\u2069.'],
      fixes: [],
    },
    'production (Live)',
    UTC,
  );

  it('names the tenant, the environment, the verdict and its cause, and how old it is', () => {
    const lines = summary.split('\n');
    expect(lines[0]).toBe('Acme GmbH <jane@acme.example> — production (Live)');
    expect(lines[1]).toBe('Tenant 8f3a0000000000000000000000004c21, Stripe cus_Qacme');
    expect(lines).toContain('LOCKED OUT since Tue 18 Nov, 10:00 UTC');
    expect(lines).toContain('- The Pro trial ended Tue 18 Nov, 10:00 UTC.');
    expect(lines.at(-1)).toBe('As of Tue 18 Nov, 14:00 UTC');
  });

  it('keeps unknown, zero and no limit apart', () => {
    const lines = plain(summary).split('\n');
    expect(lines).toContain('Messages: 820 / 1,000 (82 %)');
    expect(lines).toContain('Documents: 500 / 500 (100 %) — blocks');
    expect(lines).toContain('Tokens: — / 1,000');
    expect(lines).toContain('API requests: 12,401 / No limit');
    expect(lines).toContain('Seats: 1 / 0');
  });

  it('is plain text', () => {
    expect(summary).not.toMatch(/[\u2066-\u2069<]b|\u2068/);
  });
});
