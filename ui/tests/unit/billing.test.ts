import { describe, expect, it } from 'vitest';

import type { BillingHealth, InboxEvent } from '../../src/host/generated/contract';
import type { DriftKind } from '../../src/host/generated/domain';
import type { BillingView } from '../../src/host/generated/ipc';
import {
  billingLines,
  billingNeeds,
  billingTroubles,
  billingVerdict,
  lagText,
} from '../../src/text/billing-health';
import { stuckReason } from '../../src/text/conversions';
import { dayParts, dayText, deliveriesText } from '../../src/text/deliveries';
import { eventReason } from '../../src/text/events';
import { stripePage } from '../../src/text/stripe-pages';
import {
  checkoutRefusalText,
  remedyText,
  standingTone,
  standingWord,
  upcomingText,
} from '../../src/text/tenant-billing';
import { DAY, HOUR, MINUTE, NOW, plain, UTC } from './given';

const well: BillingHealth = {
  stripe: { state: 'configured', mode: 'live', key_kind: 'restricted', reachable: true, error: null },
  webhook: {
    secret_configured: true,
    endpoint: { id: 'we_1', url: 'https://p.example/stripe/webhook', status: 'enabled', missing_events: [] },
    last_received_at: NOW - 2 * MINUTE,
    last_event_created_at: NOW - 2 * MINUTE - 1400,
    lag_ms: 1400,
    refused_signatures: 0,
  },
  deliveries: [],
  inbox: { pending: 0, parked: 0, failed: 0, oldest_pending_at: null },
  undelivered: 0,
  drifts: [],
  stuck: { checkout_open: 0, paid_not_unblocked: 0 },
  polled_at: NOW - 20 * MINUTE,
  poll_every_ms: HOUR,
  reconciled_at: NOW - 7 * HOUR,
  as_of: NOW,
};
function view(more: Partial<BillingHealth> = {}, of: Partial<BillingView> = {}): BillingView {
  return {
    copy: 'known',
    health: { ...well, ...more },
    as_of: NOW,
    failure: null,
    drifts: 0,
    waiting: 0,
    unknown: 0,
    parked: 0,
    failed: 0,
    conversions: 0,
    paid_unnoticed: 0,
    unsettled: [],
    ...of,
  };
}
const drifts = (...counts: [DriftKind, number][]): Partial<BillingHealth> => ({
  drifts: counts.map(([kind, count]) => ({ kind, count, oldest_since: NOW - DAY, at_stake: [] })),
});
const line = (label: string, more: Partial<BillingHealth>) => {
  const found = billingLines({ ...well, ...more }, { ...UTC }).find((it) => it.label === label);
  return { text: plain(found?.text ?? ''), warns: found?.warns, next: found?.next };
};
const webhook = (more: Partial<BillingHealth['webhook']>) => ({ webhook: { ...well.webhook, ...more } });

describe('what about billing needs somebody', () => {
  it('is nothing while all is well, or nothing is known of it', () => {
    expect(billingTroubles(view())).toEqual([]);
    expect(billingNeeds(null)).toBe(0);
    expect(billingTroubles(view({}, { copy: 'not_configured', health: null }))).toEqual([]);
    // What is tried again by itself, and who only looked at Checkout, need nobody.
    const alone = { inbox: { ...well.inbox, parked: 4 }, stuck: { checkout_open: 3, paid_not_unblocked: 0 } };
    expect(billingNeeds(view(alone))).toBe(0);
  });

  it('counts each difference and failed event, and who is paid and locked out only once', () => {
    const sick = view(
      {
        ...drifts(['paid_but_blocked', 2], ['plan_differs', 1]),
        inbox: { ...well.inbox, failed: 3 },
        stuck: { checkout_open: 1, paid_not_unblocked: 3 },
      },
      // Two of the three are differences already.
      { paid_unnoticed: 1 },
    );
    expect(billingTroubles(sick).map((it) => [it.kind, it.count])).toEqual([
      ['paid_not_unblocked', 1],
      ['drifts', 3],
      ['failed', 3],
    ]);
    expect(billingNeeds(sick)).toBe(7);
    expect(plain(billingTroubles(sick)[1]?.text ?? '')).toBe(
      '3 differences between Stripe and the paywall — 2 paid and locked out',
    );
  });

  it('tells what keeps Stripe and the server apart, gravest first', () => {
    const { stripe } = well;
    const error = {
      code: 'stripe_unreachable',
      since: NOW - HOUR,
      missing_permission: null,
      request_id: null,
    };
    const apart = view({
      stripe: stripe.state === 'configured' ? { ...stripe, reachable: false, error } : stripe,
      webhook: { ...well.webhook, secret_configured: false, refused_signatures: 12 },
      inbox: { ...well.inbox, pending: 4, oldest_pending_at: NOW - 11 * MINUTE },
    });
    expect(billingTroubles(apart).map((it) => it.kind)).toEqual([
      'stripe_failing',
      'secret_missing',
      'stalled',
      'signatures_refused',
    ]);
    expect(plain(billingTroubles(apart)[0]?.text ?? '')).toBe(
      'The server cannot ask Stripe for 1 h — it cannot be reached',
    );
    const waiting = { inbox: { ...well.inbox, pending: 4, oldest_pending_at: NOW - 9 * MINUTE } };
    expect(billingNeeds(view(waiting))).toBe(0);
  });
});

describe('messages that come late, and comparing that stopped', () => {
  it('need somebody: nothing differs only because nobody looked', () => {
    const said = (more: Partial<BillingHealth>) =>
      billingTroubles(view(more)).map((it) => [it.kind, plain(it.text)]);
    expect(said(webhook({ lag_ms: 7 * MINUTE }))).toEqual([['late', 'Stripe’s messages come 7 min late']]);
    expect(said({ reconciled_at: NOW - 3 * DAY })).toEqual([
      ['not_compared', 'Not compared whole for 3 d — what differs since then is not known'],
    ]);
    expect(said({ polled_at: NOW - 5 * HOUR })).toEqual([
      ['not_compared', 'Stripe was not asked for events for 5 h — what differs since then is not known'],
    ]);
  });
});

describe('what a newer server says', () => {
  it('is counted where this console does not know it', () => {
    expect(billingTroubles(view({}, { unknown: 3 })).map((it) => [it.kind, plain(it.text)])).toEqual([
      ['unknown_rows', 'The server lists 3 things that this console does not know — update it'],
    ]);
  });
});

describe('how billing is in one line', () => {
  it('is not well where nothing was ever received or compared', () => {
    const never = view({ ...webhook({ last_received_at: null, lag_ms: null }), reconciled_at: null });
    expect(billingVerdict(never, false, NOW, UTC)).toMatchObject({
      tone: 'unknown',
      headline: 'CAN’T TELL YET',
      text: 'No message of Stripe’s has ever come here. Stripe and the paywall were never compared whole.',
    });
    expect(billingVerdict(view({ reconciled_at: null }), false, NOW, UTC).text).toBe(
      'Stripe and the paywall were never compared whole.',
    );
    // It is not for long: it needs nobody yet.
    expect(billingNeeds(never)).toBe(0);
  });

  it('says so by a word, not by a colour', () => {
    expect(billingVerdict(view(), false, NOW, UTC)).toMatchObject({
      tone: 'full',
      headline: 'BILLING IS WELL',
    });
    expect(billingVerdict(view(drifts(['plan_differs', 1])), false, NOW, UTC).headline).toBe(
      '1 THING NEEDS SOMEBODY',
    );
    expect(
      plain(billingVerdict(view({ inbox: { ...well.inbox, parked: 2 } }), false, NOW, UTC).text),
    ).toMatch(/2 events are parked and tried again\.$/);
  });

  it('never claims of now what only the copy says', () => {
    const old = billingVerdict(view({}, { as_of: NOW - 2 * HOUR }), true, NOW, UTC);
    expect(old).toMatchObject({ tone: 'unknown', headline: 'WELL WHEN LAST READ' });
    expect(old.text).toMatch(/The server is not reached\. This is the copy of 12:00\.$/);
    const sick = billingVerdict(view(drifts(['plan_differs', 2])), true, NOW, UTC);
    expect(sick.text).toBe('The server is not reached. This is the copy of 14:00.');
    expect(billingVerdict(view({}, { health: null }), true, NOW, UTC).headline).toBe('CAN’T TELL');
    const failure = { code: 'server_fault', detail: '', request_id: null, at: NOW } as const;
    expect(billingVerdict(view({}, { failure }), false, NOW, UTC)).toMatchObject({
      tone: 'unknown',
      text: expect.stringMatching(/It could not be read since\. This is the copy of 14:00\.$/),
    });
  });
});

describe('how billing is connected', () => {
  it('tells each part of the way, and warns of none while all is well', () => {
    const lines = billingLines(well, { ...UTC });
    expect(lines.map((it) => [it.label, plain(it.text), it.warns])).toEqual([
      ['Stripe', 'Live mode, restricted key · answers', false],
      ['Endpoint', 'https://p.example/stripe/webhook is on and hears of everything', false],
      ['Messages', 'The last came 2 min ago · 1.4 s after it happened', false],
      ['Inbox', 'Nothing waits', false],
      ['Comparison', 'Asked for events 20 min ago · all compared 7 h ago', false],
    ]);
  });

  it('names the permission that a key lacks, and what to do', () => {
    const error = {
      code: 'stripe_permission_missing',
      since: NOW - HOUR,
      missing_permission: 'rak_subscription_read',
      request_id: 'req_1',
    };
    const stripe = {
      state: 'configured',
      mode: 'test',
      key_kind: 'secret',
      reachable: false,
      error,
    } as const;
    expect(line('Stripe', { stripe })).toEqual({
      text: 'Test mode, full secret key: not asked since 13:00, the key lacks the permission rak_subscription_read (req_1)',
      warns: true,
      next: 'Give the server’s key the permission rak_subscription_read in Stripe.',
    });
  });

  it('tells none, never and late apart', () => {
    expect(line('Endpoint', webhook({ endpoint: null })).text).toMatch(/^None in Stripe leads here/);
    const endpoint = { id: 'we_1', url: 'https://p', status: 'disabled', missing_events: [] } as const;
    expect(line('Endpoint', webhook({ endpoint: { ...endpoint, missing_events: [] } }))).toMatchObject({
      text: 'https://p is off',
      warns: true,
    });
    expect(line('Messages', webhook({ last_received_at: null, lag_ms: null }))).toMatchObject({
      text: 'None came yet',
      warns: false,
    });
    expect(line('Messages', webhook({ lag_ms: 7 * MINUTE }))).toMatchObject({ warns: true });
    expect(line('Messages', webhook({ secret_configured: false })).next).toMatch(/stripe_webhook_secret/);
    expect(line('Comparison', { polled_at: null, reconciled_at: null }).text).toBe(
      'Not asked for events yet · never compared whole',
    );
    expect(line('Comparison', { polled_at: NOW - 4 * HOUR })).toMatchObject({
      warns: true,
      next: expect.stringMatching(/^It is asked every 1.h and compared every night/),
    });
    // A server that is told to ask once a day is not late after four hours.
    expect(line('Comparison', { polled_at: NOW - 4 * HOUR, poll_every_ms: DAY }).warns).toBe(false);
  });

  it('reads spans from milliseconds on, and never less than nothing', () => {
    expect([lagText(-20), lagText(0), lagText(1449), plain(lagText(7 * MINUTE))]).toEqual([
      '0 s',
      '0.0 s',
      '1.4 s',
      '7 min',
    ]);
  });
});

describe('events and conversions', () => {
  const event = (more: Partial<InboxEvent>): InboxEvent => ({
    id: 'evt_1',
    type: 'invoice.paid',
    object_id: 'in_1',
    customer: 'cus_1',
    tenant_id: null,
    tenant_name: null,
    created_at: NOW - HOUR,
    received_at: NOW - HOUR,
    source: 'webhook',
    state: 'failed',
    attempts: 8,
    next_attempt_at: null,
    error: 'stripe_object_missing',
    done_at: null,
    undelivered: false,
    ...more,
  });

  it('tell why, how often, and whether they are tried again', () => {
    const said = (more: Partial<InboxEvent>) => plain(eventReason(event(more), NOW));
    expect(said({})).toBe('Stripe does not have the object any more · tried 8×, not tried again by itself');
    expect(
      said({ state: 'parked', attempts: 1, error: 'unknown_customer', next_attempt_at: NOW + 12 * MINUTE }),
    ).toBe('No tenant has this customer yet · tried once, again in 12 min');
    expect(said({ state: 'parked', next_attempt_at: NOW - 1 })).toMatch(/again any moment$/);
    expect(said({ error: 'stripe_unreadable no currency' })).toMatch(
      /^What Stripe answered cannot be read \(no currency\) ·/,
    );
    expect(said({ error: 'a_new_word' })).toMatch(/^A new word ·/);
    expect(said({ error: null })).toMatch(/^No reason is known ·/);
  });

  it('say what helps who is stuck', () => {
    const row = {
      tenant_id: 't',
      tenant_name: 'Acme',
      since: NOW,
      session: 'cs_1',
      subscription: null,
      plan: 'pro',
      price: 'p',
    };
    expect(plain(stuckReason({ ...row, at: 'checkout_open', drift: null }))).toBe(
      'Wants pro and has not paid. A new link can be sent.',
    );
    expect(plain(stuckReason({ ...row, at: 'paid_not_unblocked', drift: null }))).toMatch(
      /compares everything again each night\.$/,
    );
    expect(plain(stuckReason({ ...row, at: 'paid_not_unblocked', drift: 'd' }))).toMatch(/still refuses/);
  });
});

describe('a tenant’s billing', () => {
  it('has a word, a look and a remedy for where it stands', () => {
    expect([standingWord('card_expired'), standingTone('grace'), remedyText('update_card')]).toEqual([
      'Card expired, in grace',
      'past_due',
      'The customer puts a card in: send the portal link.',
    ]);
    expect([standingTone('keeps'), standingTone('denies'), remedyText('none')]).toEqual([
      'active',
      'expired',
      null,
    ]);
  });

  it('says what happens next, and why Checkout is shut', () => {
    expect(plain(upcomingText({ kind: 'grace_ends', at: NOW }, UTC))).toBe(
      'The grace period ends, and access with it, Tue 18 Nov, 14:00 UTC.',
    );
    expect(checkoutRefusalText({ refusal: 'subscribed', subscription: 'sub_1' })).toMatch(/in the portal/);
  });

  it('leads to Stripe’s pages, of the right half, and only to such as there are', () => {
    expect(stripePage('sub_1Q', true)).toBe('https://dashboard.stripe.com/subscriptions/sub_1Q');
    expect(stripePage('in_1', false)).toBe('https://dashboard.stripe.com/test/invoices/in_1');
    expect(stripePage('we_1', true)).toBe('https://dashboard.stripe.com/webhooks/we_1');
    for (const id of ['cs_1', '', null, 'cus_../../x', 'cus_1?x=1']) expect(stripePage(id, true)).toBeNull();
  });
});

describe('events per day', () => {
  const day = (back: number, more = {}) => ({
    day: Math.floor(NOW / DAY) * DAY - back * DAY,
    received: 10,
    repeated: 0,
    processed: 10,
    parked: 0,
    failed: 0,
    ...more,
  });

  it('are told in a sentence, also where there are none', () => {
    const days = [day(2), day(1, { received: 42, processed: 38, failed: 3, parked: 1 }), day(0)];
    expect(plain(deliveriesText(days, UTC))).toBe(
      '62 events in 3 days, 42 on the busiest (17 Nov). 3 failed, 1 parked.',
    );
    expect(deliveriesText([day(0, { received: 0, processed: 0 })], UTC)).toBe(
      'No event of Stripe’s arrived in these days.',
    );
    expect(plain(dayText(day(0, { processed: 7, repeated: 2 }), true, UTC))).toBe(
      '18 Nov, to date: 10 arrived, 3 waiting, 2 sent again',
    );
  });

  it('are drawn by what became of them, where more was dealt with than arrived too', () => {
    expect(dayParts(day(0, { received: 10, processed: 6, failed: 1 }))).toMatchObject({
      waiting: 3,
      all: 10,
    });
    expect(dayParts(day(0, { received: 4, processed: 9 }))).toMatchObject({ waiting: 0, all: 9 });
  });
});
