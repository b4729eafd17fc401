import { describe, expect, it } from 'vitest';

import type { Tenant } from '../../src/host/generated/contract';
import type { Denial } from '../../src/host/generated/domain';
import type { Billing } from '../../src/host/generated/ipc';
import { verdict, type Verdict, type VerdictTold } from '../../src/text/verdict';
import { access, DAY, facts, HOUR, MINUTE, NOW, plain, tenant } from './given';

const BILLING: Billing = {
  customer: 'cus_Qacme',
  deleted: false,
  payment_method: null,
  dashboard_url: 'https://dashboard.stripe.com/customers/cus_Qacme',
  livemode: true,
  payments: [],
  refunds: [],
  disputes: [],
  credit_notes: [],
  upcoming: [],
  subscriptions: [],
  invoices: [],
};

function said(of: Partial<Tenant>, told: Partial<VerdictTold> = {}): Verdict {
  const verdictOf = verdict(tenant(of), {
    plans: { pro: 'Pro', team: 'Team' },
    billing: null,
    stripeKnown: true,
    asOf: NOW,
    offline: false,
    now: NOW,
    zone: 'UTC',
    ...told,
  });
  return {
    ...verdictOf,
    headline: plain(verdictOf.headline),
    causes: verdictOf.causes.map(plain),
    remains: verdictOf.remains === null ? null : plain(verdictOf.remains),
    stale: verdictOf.stale === null ? null : plain(verdictOf.stale),
    facts: verdictOf.facts.map(plain),
  };
}

const TRIAL_ENDED: Denial = { code: 'trial_ended', ended_at: NOW - 4 * HOUR };
const DOCUMENTS_FULL: Denial = {
  code: 'quota_exhausted',
  meter: 'documents',
  used: 500,
  limit: 500,
  resets_at: null,
};
const trial = (ends_at: number) => ({
  started_at: ends_at - 14 * DAY,
  ends_at,
  extensions: 0,
  extended_ms: 0,
});

describe('who has access', () => {
  it('says until when a trial runs, with its plan, clock time and zone', () => {
    const it = said({ facts: facts({ trial: trial(NOW + 7 * DAY) }) });
    expect(it.tone).toBe('full');
    expect(it.headline).toBe('ACCESS — Pro trial until Tue 25 Nov, 14:00 UTC; nothing is blocking.');
    expect(it.causes).toEqual([]);
    expect(it.fixes).toEqual([]);
  });

  it('says until when it is paid', () => {
    const subscription = {
      id: 'sub_1',
      status: 'active' as const,
      current_period_end: Date.UTC(2025, 11, 1),
      overdue_since: null,
      grace_ends_at: null,
      ended_at: null,
      cancel_at_period_end: false,
    };
    const paid = said(
      { status: 'active', facts: facts({ subscription }) },
      { billing: { ...BILLING, payment_method: true } },
    );
    expect(paid.headline).toBe('ACCESS — paid until 1 Dec; nothing is blocking.');
    expect(paid.facts[0]).toBe('Paid until 1 Dec and renews; a card is on file.');
    const ending = said({
      status: 'active',
      facts: facts({ subscription: { ...subscription, cancel_at_period_end: true } }),
    });
    expect(ending.facts[0]).toBe('Paid until 1 Dec and then ends.');
    const unknown = said({
      status: 'active',
      facts: facts({ subscription: { ...subscription, current_period_end: null } }),
    });
    expect(unknown.headline).toBe('ACCESS — paid; nothing is blocking.');
  });

  it('says who is comped, until when or with no end', () => {
    const comped = (until: number | null) =>
      said({
        status: 'active',
        // As in a preview: what comes after has the facts, while tags and plan in force are still of before.
        tags: [],
        plan_in_force: 'pro',
        facts: facts({ comp: { plan: 'team', since: NOW - DAY, until } }),
      }).headline;
    expect(comped(NOW + 30 * DAY)).toBe(
      'ACCESS — Team comped until Thu 18 Dec, 14:00 UTC; nothing is blocking.',
    );
    expect(comped(null)).toBe('ACCESS — Team comped with no end; nothing is blocking.');
  });

  it('says when access in grace ends, and offers a comp', () => {
    const it = said({
      status: 'past_due',
      access: access('grace'),
      facts: facts({
        subscription: {
          id: 'sub_1',
          status: 'past_due',
          current_period_end: NOW,
          overdue_since: NOW - 4 * DAY,
          grace_ends_at: Date.UTC(2025, 10, 21, 12),
          ended_at: null,
          cancel_at_period_end: false,
        },
      }),
    });
    expect(it.tone).toBe('grace');
    expect(it.headline).toBe('ACCESS, GRACE — a payment failed; access ends Fri 21 Nov, 12:00 UTC');
    expect(it.fixes).toEqual(['comp']);
  });
});

describe('who is blocked', () => {
  const locked = (denials: Denial[], more: Partial<VerdictTold> = {}) =>
    said({ status: 'expired', access: access('locked', denials, { since: NOW - 4 * HOUR }) }, { ...more });

  it('names the instant, the rule and what unblocks when a trial ended', () => {
    const it = locked([TRIAL_ENDED]);
    expect(it.mark).toBe('✖');
    expect(it.headline).toBe('LOCKED OUT since Tue 18 Nov, 10:00 UTC');
    expect(it.causes).toEqual(['The Pro trial ended Tue 18 Nov, 10:00 UTC.']);
    expect(it.fixes).toEqual(['extend_trial', 'comp']);
    expect(it.remains).toBeNull();
  });

  it('gives the same instant to readers on both sides of the date line, in their own time', () => {
    const west = locked([TRIAL_ENDED], { zone: 'Pacific/Pitcairn' }).headline;
    const east = locked([TRIAL_ENDED], { zone: 'Pacific/Tongatapu' }).headline;
    expect(west).toBe('LOCKED OUT since Tue 18 Nov, 10:00 UTC · 02:00 local');
    expect(east).toBe('LOCKED OUT since Tue 18 Nov, 10:00 UTC · 23:00 local');
  });

  it('does not say trial twice where the plan is called so', () => {
    const ended = (pro: string) => locked([TRIAL_ENDED], { plans: { pro } }).causes[0];
    expect(ended('Trial')).toBe('The trial ended Tue 18 Nov, 10:00 UTC.');
    expect(ended('Free trial')).toBe('The Free trial ended Tue 18 Nov, 10:00 UTC.');
    const runs = said({ facts: facts({ trial: trial(NOW + 7 * DAY) }) }, { plans: { pro: 'Trial' } });
    expect(runs.headline).toBe('ACCESS — trial until Tue 25 Nov, 14:00 UTC; nothing is blocking.');
  });

  it('tells a trial that never was from one that ended', () => {
    const it = locked([{ code: 'trial_ended', ended_at: null }]);
    expect(it.causes).toEqual(['It never had a trial, and pays for nothing.']);
  });

  it('names an ended subscription and an overdue payment with what is known of them', () => {
    expect(locked([{ code: 'subscription_ended', ended_at: NOW - 4 * HOUR }]).causes).toEqual([
      'The Pro subscription ended Tue 18 Nov, 10:00 UTC.',
    ]);
    expect(locked([{ code: 'subscription_ended', ended_at: null }]).causes).toEqual([
      'The Pro subscription ended.',
    ]);
    const overdue = locked([
      { code: 'payment_overdue', since: NOW - 2 * DAY, grace_ended_at: NOW - 4 * HOUR },
    ]);
    expect(overdue.causes).toEqual([
      'A payment is overdue since Sun 16 Nov, 14:00 UTC; grace ended Tue 18 Nov, 10:00 UTC.',
    ]);
    expect(overdue.fixes).toEqual(['comp', 'extend_trial']);
    expect(locked([{ code: 'payment_overdue', since: null, grace_ended_at: null }]).causes).toEqual([
      'A payment is overdue.',
    ]);
  });

  it('says when the paywall does not know the tenant or cannot decide', () => {
    expect(locked([{ code: 'unknown_tenant' }]).causes).toEqual(['The paywall does not know this tenant.']);
    expect(locked([{ code: 'paywall_unavailable' }]).causes).toEqual([
      'The paywall could not decide, and blocks to be safe.',
    ]);
  });

  it('says by whom and why a tenant is suspended, and offers nothing but to reinstate', () => {
    const suspended: Denial = {
      code: 'suspended',
      since: Date.UTC(2025, 10, 3, 9),
      by: 'Tom',
      reason: 'chargeback',
      message: 'Please contact billing.',
    };
    const it = said({
      status: 'suspended',
      access: access('locked', [suspended, TRIAL_ENDED], { since: NOW - 30 * DAY }),
    });
    expect(it.tone).toBe('suspended');
    expect(it.headline).toBe('SUSPENDED since Mon 3 Nov, 09:00 UTC');
    expect(it.causes[0]).toBe(
      'Suspended by Tom on Mon 3 Nov, 09:00 UTC: chargeback. They are told: Please contact billing.',
    );
    expect(it.fixes).toEqual(['reinstate']);
    const silent = said({ access: access('locked', [{ ...suspended, message: null }]) });
    expect(silent.causes[0]).toContain('They are told no reason.');
    const unsaid = said({ access: access('locked', [{ ...suspended, reason: '', message: null }]) });
    expect(unsaid.causes[0]).toBe('Suspended by Tom on Mon 3 Nov, 09:00 UTC. They are told no reason.');
  });

  it('lists several rules in the order of the server, and says that each has to be lifted', () => {
    const it = locked([{ code: 'payment_overdue', since: null, grace_ended_at: null }, TRIAL_ENDED]);
    expect(it.causes).toHaveLength(2);
    expect(it.causes[1]).toContain('trial ended');
    expect(it.remains).toBe('Each of these has to be lifted: the first alone does not give access.');
  });

  it('says what stays blocked after access is given back', () => {
    const it = locked([TRIAL_ENDED, DOCUMENTS_FULL]);
    expect(it.causes).toEqual([
      'The Pro trial ended Tue 18 Nov, 10:00 UTC.',
      'Its documents are used up: 500 of 500.',
    ]);
    expect(it.remains).toBe(
      'Giving access back does not lift the limit on documents: what needs it stays blocked.',
    );
    expect(it.fixes).toEqual(['extend_trial', 'comp', 'override_quota']);
  });

  it('says what is blocked and what still works where it is a quota alone', () => {
    const it = said({
      access: access('partial', [DOCUMENTS_FULL], { denied: ['upload'] }),
    });
    expect(it.mark).toBe('◑');
    expect(it.headline).toBe('PARTLY BLOCKED — uploads');
    expect(it.remains).toBe('Chat, retrieval, parsing, new datasets and invitations still work.');
    expect(it.fixes).toEqual(['override_quota']);
  });

  it('says when a quota is full until, in its unit', () => {
    const storage: Denial = {
      code: 'quota_exhausted',
      meter: 'storage_bytes',
      used: 10e9,
      limit: 10e9,
      resets_at: null,
    };
    const messages: Denial = {
      code: 'quota_exhausted',
      meter: 'messages',
      used: 11_200,
      limit: 10_000,
      resets_at: Date.UTC(2025, 11, 1),
    };
    expect(locked([storage]).causes).toEqual(['Its storage is used up: 10 GB of 10 GB.']);
    expect(locked([messages]).causes).toEqual([
      'Its messages are used up: 11,200 of 10,000, until Mon 1 Dec, 00:00 UTC.',
    ]);
  });
});

describe('how far the verdict can be trusted', () => {
  it('says that it is the copy’s word while the server is not reached', () => {
    const it = said({}, { offline: true, asOf: NOW - 2 * HOUR });
    expect(it.stale).toBe('The paywall server is not reached. From the copy of Tue 18 Nov, 12:00 UTC.');
    expect(said({}).stale).toBeNull();
  });

  it('claims nothing past the instant until which the server’s answer held', () => {
    const ends = NOW - MINUTE;
    const it = said({
      facts: facts({ trial: trial(ends) }),
      as_of: NOW - HOUR,
      access: access('full', [], { holds_until: ends }),
    });
    expect(it.tone).toBe('unknown');
    expect(it.mark).toBe('?');
    expect(it.headline).toMatch(/^CAN’T TELL — /);
    expect(it.stale).toContain('The server’s answer held until Tue 18 Nov, 13:59 UTC.');
    const before = said({ access: access('full', [], { holds_until: NOW + 1 }) });
    expect(before.tone).toBe('full');
  });
});

describe('what is known of payments and of the last refusal', () => {
  it('tells no customer, a deleted one, no card and unknown data apart', () => {
    const first = (of: Partial<Tenant>, told: Partial<VerdictTold> = {}) => said(of, told).facts[0];
    expect(first({ stripe_customer: null })).toBe('No Stripe customer; no payment was tried.');
    expect(first({}, { stripeKnown: false })).toBe('Stripe’s data is not here, so payments are not known.');
    expect(first({}, { billing: { ...BILLING, deleted: true } })).toBe('Its Stripe customer was deleted.');
    expect(first({}, { billing: { ...BILLING, payment_method: false } })).toBe(
      'No subscription; no card on file; no payment was tried.',
    );
    expect(first({}, { billing: BILLING })).toBe('No subscription; no payment was tried.');
    expect(first({}, { billing: { ...BILLING, invoices: null } })).toBe(
      'No subscription; whether a payment was tried is not known.',
    );
    expect(first({}, { billing: null })).toBe('Stripe customer cus_Qacme is not in the copy of Stripe.');
  });

  it('names the amount that is open, with its currency, and how often it was tried', () => {
    const invoice = {
      id: 'in_1',
      number: 'A-1',
      status: 'open',
      created_at: NOW,
      total: { amount: 45_250, currency: 'kwd' },
      remaining: { amount: 45_250, currency: 'kwd' },
      attempts: 3,
    };
    const billing = { ...BILLING, invoices: [invoice] } as Billing;
    expect(said({}, { billing }).facts[0]).toBe('KWD 45.250 is open; payment was tried 3×.');
  });

  it('says when which request was refused, or that none is known', () => {
    const refused = said({
      last_refusal: {
        at: NOW - 6 * MINUTE,
        operation: 'generate',
        code: 'trial_ended',
        method: 'POST',
        path: '/chat',
        http_status: 402,
      },
    });
    expect(refused.facts[1]).toBe('Last request refused 6 min ago (POST /chat, 402).');
    expect(said({}).facts[1]).toBe('No refused request is known.');
  });

  it('puts a refusal older than a week on its date', () => {
    const refused = said({
      last_refusal: {
        at: NOW - 9 * DAY,
        operation: 'generate',
        code: 'trial_ended',
        method: 'POST',
        path: '/chat',
        http_status: 402,
      },
    });
    expect(refused.facts[1]).toBe('Last request refused on 9 Nov (POST /chat, 402).');
  });

  it('says when the tenant was deleted', () => {
    expect(said({ deleted_at: NOW - DAY }).facts).toContain('Deleted in RAGFlow Mon 17 Nov, 14:00 UTC.');
  });
});
