import { describe, expect, it } from 'vitest';

import type { Drift, DriftBody, DriftKind, Repair } from '../../src/host/generated/domain';
import {
  amountText,
  DRIFT_KINDS,
  driftKindWord,
  driftReason,
  driftSides,
  repairText,
} from '../../src/text/drift';
import { parameterText, repairDoneText } from '../../src/text/repair';
import { DAY, HOUR, NOW, plain, UTC } from './given';

const BODIES: { [K in DriftKind]: DriftBody & { kind: K } } = {
  paid_but_blocked: { kind: 'paid_but_blocked', paywall: null, stripe: 'active' },
  access_without_subscription: { kind: 'access_without_subscription', paywall: 'active', stripe: null },
  status_differs: {
    kind: 'status_differs',
    paywall_subscription: 'sub_0',
    paywall: 'active',
    paywall_canceling: false,
    stripe: 'active',
    stripe_canceling: true,
  },
  plan_differs: { kind: 'plan_differs', paywall: 'pro', stripe: 'team' },
  price_differs: { kind: 'price_differs', paywall: ['price_a'], stripe: ['price_b', 'price_c'] },
  quantity_differs: { kind: 'quantity_differs', paywall: 1, stripe: 12 },
  trial_end_differs: { kind: 'trial_end_differs', paywall: null, stripe: NOW },
  collection_differs: {
    kind: 'collection_differs',
    paywall: false,
    paywall_until: null,
    stripe: true,
    stripe_until: null,
  },
  currency_differs: { kind: 'currency_differs', paywall: 'jpy', stripe: 'kwd' },
  customer_differs: { kind: 'customer_differs', paywall: null, stripe: 'cus_2' },
  two_subscriptions: { kind: 'two_subscriptions', counts: 'sub_1', stripe: 'past_due' },
  deleted_customer_subscription: { kind: 'deleted_customer_subscription', deleted_at: NOW, stripe: 'active' },
  mode_mixed: { kind: 'mode_mixed', paywall: 'live', stripe: 'test' },
  webhook_endpoint_missing: { kind: 'webhook_endpoint_missing', url: 'https://p' },
  webhook_endpoint_disabled: { kind: 'webhook_endpoint_disabled', url: 'https://p' },
  webhook_events_missing: { kind: 'webhook_events_missing', events: ['charge.refunded'] },
  undelivered_events: { kind: 'undelivered_events', count: 1 },
  unknown_price: { kind: 'unknown_price', prices: ['price_x'], plan: 'pro' },
  unknown_customer: { kind: 'unknown_customer', plan: 'team', stripe: 'active' },
};
const drift = (body: DriftBody): Drift => ({
  tenant: null,
  customer: null,
  subscription: null,
  endpoint: null,
  body,
  at_stake: null,
  repair: { action: 'apply_stripe' },
});
const reason = (kind: DriftKind) => plain(driftReason(drift(BODIES[kind]), UTC));

describe('differences', () => {
  it('have each a heading and a reason of their own, with both sides', () => {
    expect(DRIFT_KINDS.toSorted()).toEqual(Object.keys(BODIES).toSorted());
    expect(new Set(DRIFT_KINDS.map(driftKindWord)).size).toBe(DRIFT_KINDS.length);
    expect(DRIFT_KINDS.map(reason)).toEqual([
      'Stripe: active. Paywall: no subscription, and refuses.',
      'Stripe: no subscription. Paywall: active, and lets it in.',
      'Stripe: active, to end with its period, another one. Paywall: active. Access is the same.',
      'The paywall gives pro; the price that is paid sells team.',
      'On record price_a; in Stripe price_b and price_c. Both sell the same plan.',
      'On record 1 unit; in Stripe 12 units.',
      'Stripe: Tue 18 Nov, 14:00 UTC. Paywall: no trial.',
      'No comp is in force; in Stripe invoices are not collected, as it was for one.',
      'On record JPY; in Stripe KWD.',
      'The subscription is of cus_2; the tenant’s customer is not set.',
      'A second one is past due and takes money, beside sub_1, which counts.',
      'The tenant was deleted Tue 18 Nov, 14:00 UTC; its subscription is active.',
      'The subscription is in test mode; the server’s key is in live mode.',
      'No endpoint in Stripe leads to https://p.',
      'Stripe sends nothing to https://p: somebody, or Stripe after many failures, switched it off.',
      '1 kind of event is not sent: charge.refunded.',
      'Stripe could not deliver 1 event, and it was not fetched since.',
      'No plan names price_x, which is paid for; the tenant has pro.',
      'Pays for team (active), and no tenant is theirs.',
    ]);
  });

  it('put a word of Stripe’s that nobody knows as it is', () => {
    const body: DriftBody = { kind: 'paid_but_blocked', paywall: 'unpaid', stripe: 'on_probation' };
    expect(plain(driftReason(drift(body), UTC))).toBe('Stripe: on probation. Paywall: unpaid, and refuses.');
  });

  it('stand side by side, but those of the account, which has but one side', () => {
    expect(driftSides(BODIES.paid_but_blocked).map((it) => [it.what, it.paywall, it.stripe])).toEqual([
      ['Subscription', 'No subscription', 'Active'],
      ['Access', 'Refused', 'Paid for'],
    ]);
    const one: DriftKind[] = DRIFT_KINDS.filter((kind) => driftSides(BODIES[kind]).length === 0);
    expect(one).toEqual([
      'webhook_endpoint_missing',
      'webhook_endpoint_disabled',
      'webhook_events_missing',
      'undelivered_events',
    ]);
  });

  it('never mix up minor units', () => {
    expect(plain(amountText({ minor: 12_000, currency: 'jpy' }))).toBe('¥12,000');
    expect(plain(amountText({ minor: 45_250, currency: 'kwd' }))).toBe('KWD 45.250');
  });
});

describe('a repair', () => {
  const told = (repair: Repair) => repairText(repair, NOW, UTC);

  it('says what it does, what it leaves alone, and whether money moves', () => {
    expect(told({ action: 'apply_stripe' })).toMatchObject({ button: 'Take over from Stripe', grave: false });
    expect(told({ action: 'cancel_subscription', subscription: 'sub_2' })).toMatchObject({
      button: 'Cancel subscription',
      does: 'Stripe cancels sub_2 at once.',
      grave: true,
    });
    expect(told({ action: 'none', by_hand: 'assign_tenant' })).toMatchObject({
      button: null,
      does: expect.stringMatching(/tenant_id/),
    });
  });

  it('warns that an end that has passed makes Stripe charge now', () => {
    const at = (trial_end: number) =>
      told({ action: 'set_trial_end_in_stripe', subscription: 'sub_1', trial_end });
    // Either way it changes when Stripe takes money.
    expect(at(NOW + DAY)).toMatchObject({ grave: true, button: 'Set trial end in Stripe' });
    expect(at(NOW - HOUR)).toMatchObject({
      grave: true,
      does: expect.stringMatching(/charges the customer now/),
    });
  });

  it('says of a comp whether its invoices are collected again', () => {
    const set = (paused: boolean, resumes_at: number | null) =>
      told({ action: 'set_collection_in_stripe', subscription: 'sub_1', paused, resumes_at });
    expect(set(false, null)).toMatchObject({ button: 'Collect again in Stripe', grave: true });
    expect(set(true, NOW)).toMatchObject({ grave: false, does: expect.stringMatching(/until/) });
  });

  it('tells what became of it, whose it was, and reads parameters as a person does', () => {
    expect(plain(repairDoneText('plan_differs', { outcome: 'made', repair: null }, 'Acme'))).toBe(
      '“Plan differs” of Acme was repaired after all: its answer was lost, and it is gone.',
    );
    expect(repairDoneText('undelivered_events', { outcome: 'not_made' }, '')).toBe(
      '“Events not delivered” was not repaired. Nothing was changed.',
    );
    expect(plain(parameterText({ name: 'trial_end', value: String(NOW / 1000) }, UTC))).toBe(
      'trial_end = Tue 18 Nov, 14:00 UTC',
    );
    expect(parameterText({ name: 'trial_end', value: 'now' })).toBe('trial_end = now');
  });
});
