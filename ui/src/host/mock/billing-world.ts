import type {
  BillingHealth,
  DeliveryDay,
  InboxEvent,
  KnownDrift,
  StuckConversion,
} from '../generated/contract';
import type { Drift, DriftBody, Money, Repair, Timestamp } from '../generated/domain';
import { DRIFT_KINDS } from '../../text/drift';
import { DAY } from './rules';
import type { State } from './state';
import type { Person } from './world';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** How billing is in the page, by `?billing=`. */
export interface BillingWorld {
  drifts: KnownDrift[];
  events: InboxEvent[];
  conversions: StuckConversion[];
  health(): BillingHealth;
}

function deliveriesOf(now: Timestamp, sick: boolean): DeliveryDay[] {
  const today = Math.floor(now / DAY) * DAY;
  return Array.from({ length: 30 }, (_, index) => {
    const back = 29 - index;
    const day = today - back * DAY;
    // Weekends are quieter, and the first of a month is when most invoices are made.
    const weekday = new Date(day).getUTCDay();
    const quiet = weekday === 0 || weekday === 6 ? 0.45 : 1;
    const first = new Date(day).getUTCDate() === 1 ? 2.4 : 1;
    const received = Math.round((38 + ((index * 17) % 23)) * quiet * first * (back === 0 ? 0.4 : 1));
    const failed = sick ? ([1, 1, 0, 1, 0, 4, 9][back] ?? 0) : 0;
    const parked = sick ? ([1, 0, 1][back] ?? 0) : 0;
    const outage = sick && back === 11;
    return {
      day,
      received: outage ? 0 : received,
      repeated: Math.round(received * 0.08),
      processed: outage ? 0 : received - failed - parked - (sick && back === 0 ? 3 : 0),
      parked: outage ? 0 : parked,
      failed: outage ? 0 : failed,
    };
  });
}

/** Makes how billing is. */
export function billingWorld(state: State): BillingWorld {
  const how = state.query.get('billing') ?? 'well';
  const sick = how === 'sick' || how === 'many';
  const now = state.started;
  const people = [...state.world.people.values()];
  const named = (name: string): Person | null => people.find((it) => it.name.startsWith(name)) ?? null;
  let serial = 0;
  const drifts: KnownDrift[] = [];
  const drift = (
    who: Person | null,
    body: DriftBody,
    repair: Repair,
    back: number,
    at_stake: Money | null,
    more: Partial<Drift> = {},
  ) => {
    serial += 1;
    const subscription = who
      ? (who.facts.subscription?.id ?? `sub_1Q${who.id.slice(0, 14)}`)
      : (more.subscription ?? null);
    drifts.push({
      id: `d${String(serial).padStart(5, '0')}`,
      tenant_name: who?.name ?? null,
      drift: {
        tenant: who?.id ?? null,
        customer: who?.stripe_customer ?? null,
        endpoint: null,
        body,
        at_stake,
        repair,
        ...more,
        subscription,
      },
      dashboard_url: subscription ? `https://dashboard.stripe.com/subscriptions/${subscription}` : null,
      first_seen_at: now - back,
      last_seen_at: now - 3 * MINUTE,
    });
  };
  const events: InboxEvent[] = [];
  const event = (
    type: string,
    who: Person | null,
    status: 'pending' | 'parked' | 'failed',
    error: string | null,
    back: number,
    more: Partial<InboxEvent> = {},
  ) => {
    serial += 1;
    events.push({
      id: `evt_1Q${String(serial).padStart(12, '0')}`,
      type,
      object_id: type.startsWith('invoice') ? `in_1Qz${serial}` : `sub_1Qz${serial}`,
      customer: who?.stripe_customer ?? `cus_Qz${serial}`,
      tenant_id: who?.id ?? null,
      tenant_name: who?.name ?? null,
      created_at: now - back - 2000,
      received_at: now - back,
      source: 'webhook',
      state: status,
      attempts: { pending: 0, parked: 3, failed: 8 }[status],
      next_attempt_at: status === 'parked' ? now + 12 * MINUTE : null,
      error,
      done_at: null,
      undelivered: false,
      ...more,
    });
  };
  const conversions: StuckConversion[] = [];
  const stuck = (
    who: Person | null,
    at: StuckConversion['at'],
    back: number,
    plan: string,
    of: string | null,
  ) => {
    if (!who) return;
    serial += 1;
    conversions.push({
      tenant_id: who.id,
      tenant_name: who.name,
      at,
      since: now - back,
      session: `cs_live_b1Q${String(serial).padStart(20, '0')}`,
      subscription: at === 'paid_not_unblocked' ? `sub_1Q${who.id.slice(0, 14)}` : null,
      plan,
      price: `price_${plan}_month`,
      drift: of,
    });
  };

  if (sick) {
    const usd = (minor: number): Money => ({ minor, currency: 'usd' });
    drift(
      named('Globex'),
      { kind: 'paid_but_blocked', paywall: null, stripe: 'active' },
      { action: 'apply_stripe' },
      2 * HOUR,
      usd(9900),
    );
    stuck(named('Globex'), 'paid_not_unblocked', 2 * HOUR, 'pro', drifts.at(-1)!.id);
    drift(
      named('Wayne'),
      { kind: 'paid_but_blocked', paywall: 'unpaid', stripe: 'active' },
      { action: 'apply_stripe' },
      26 * HOUR,
      { minor: 29_900, currency: 'eur' },
    );
    drift(
      named('Initech'),
      { kind: 'access_without_subscription', paywall: 'active', stripe: 'canceled' },
      { action: 'apply_stripe' },
      3 * DAY,
      usd(14_900),
    );
    drift(
      named('Gesellschaft'),
      {
        kind: 'status_differs',
        paywall_subscription: null,
        paywall: 'active',
        paywall_canceling: false,
        stripe: 'active',
        stripe_canceling: true,
      },
      { action: 'apply_stripe' },
      50 * MINUTE,
      usd(9900),
    );
    drift(
      named('شركة النور'),
      { kind: 'plan_differs', paywall: 'pro', stripe: 'team' },
      { action: 'apply_stripe' },
      5 * DAY,
      { minor: 45_250, currency: 'kwd' },
    );
    drift(
      named('株式会社さくら'),
      { kind: 'quantity_differs', paywall: 5, stripe: 12 },
      { action: 'apply_stripe' },
      9 * DAY,
      { minor: 12_000, currency: 'jpy' },
    );
    const trial = named('Contoso');
    drift(
      trial,
      { kind: 'trial_end_differs', paywall: now + 5 * DAY, stripe: now + 5 * HOUR },
      { action: 'set_trial_end_in_stripe', subscription: 'sub_1Qcontoso', trial_end: now + 5 * DAY },
      HOUR,
      usd(9900),
    );
    drift(
      named('חברת הדוגמה'),
      { kind: 'two_subscriptions', counts: 'sub_1Qfirst', stripe: 'active' },
      { action: 'cancel_subscription', subscription: 'sub_1Qsecond' },
      11 * DAY,
      usd(4900),
      { subscription: 'sub_1Qsecond' },
    );
    drift(
      null,
      { kind: 'webhook_events_missing', events: ['charge.refunded', 'charge.dispute.created'] },
      { action: 'add_events', endpoint: 'we_1Qhook', events: ['charge.refunded', 'charge.dispute.created'] },
      4 * DAY,
      null,
      { endpoint: 'we_1Qhook' },
    );
    drift(null, { kind: 'undelivered_events', count: 7 }, { action: 'process_events' }, 5 * HOUR, null);
    drift(
      named('Two Currencies'),
      { kind: 'unknown_price', prices: ['price_legacy_2019_eur_month'], plan: 'pro' },
      { action: 'none', by_hand: 'add_price_to_plan' },
      21 * DAY,
      { minor: 9900, currency: 'eur' },
    );
    drift(
      null,
      { kind: 'unknown_customer', plan: 'team', stripe: 'active' },
      { action: 'none', by_hand: 'assign_tenant' },
      40 * DAY,
      usd(29_900),
      { customer: 'cus_Qnobody', subscription: 'sub_1Qnobody' },
    );
    event('invoice.paid', named('Stark'), 'pending', null, 16 * MINUTE);
    event('customer.subscription.updated', named('Hooli'), 'pending', null, 12 * MINUTE);
    event('invoice.finalized', null, 'pending', null, 11 * MINUTE);
    event('checkout.session.completed', null, 'parked', 'unknown_customer', 14 * MINUTE);
    event('invoice.paid', named('Stark'), 'failed', 'stripe_object_missing', 3 * HOUR);
    event(
      'customer.subscription.updated',
      named('Gesellschaft'),
      'failed',
      'stripe_permission_missing rak_invoice_read',
      26 * HOUR,
    );
    event('invoice.payment_failed', null, 'parked', 'unknown_customer', 2 * DAY, {
      next_attempt_at: now + 3 * HOUR,
    });
    event('charge.dispute.created', named('Umbrella'), 'failed', 'stripe_unreachable', 3 * DAY);
    stuck(named('🦄 Rainbow'), 'checkout_open', 19 * HOUR, 'pro', null);
    stuck(named('株式会社さくら'), 'paid_not_unblocked', 8 * MINUTE, 'team', null);
    stuck(named('Northwind'), 'checkout_open', 3 * HOUR, 'team', null);
  }
  if (how === 'many')
    for (const who of people.slice(27, 1200)) {
      drift(
        who,
        {
          kind: 'status_differs',
          paywall_subscription: null,
          paywall: 'active',
          paywall_canceling: false,
          stripe: 'past_due',
          stripe_canceling: false,
        },
        { action: 'apply_stripe' },
        (serial % 400) * HOUR,
        who.mrr[0] ? { minor: who.mrr[0].amount, currency: who.mrr[0].currency } : null,
      );
      event(
        'invoice.paid',
        who,
        serial % 3 === 0 ? 'parked' : 'failed',
        'stripe_failing',
        (serial % 700) * HOUR,
      );
    }
  const gravity = (it: KnownDrift) => DRIFT_KINDS.indexOf(it.drift.body.kind);
  drifts.sort((a, b) => gravity(a) - gravity(b) || a.first_seen_at - b.first_seen_at);
  events.sort((a, b) => b.received_at - a.received_at);
  conversions.sort((a, b) => a.since - b.since);

  const health = (): BillingHealth => {
    const at = state.asOf;
    const kinds = DRIFT_KINDS.map((kind) => {
      const of = drifts.filter((it) => it.drift.body.kind === kind);
      const sums = new Map<string, number>();
      for (const { drift: one } of of)
        if (one.at_stake)
          sums.set(one.at_stake.currency, (sums.get(one.at_stake.currency) ?? 0) + one.at_stake.minor);
      return {
        kind,
        count: of.length,
        oldest_since: Math.min(...of.map((it) => it.first_seen_at)),
        at_stake: [...sums].map(([currency, minor]) => ({ currency, minor })),
      };
    }).filter((it) => it.count > 0);
    const inState = (wanted: string) => events.filter((it) => it.state === wanted).length;
    const mode = state.profile().mode === 'live' ? 'live' : 'test';
    return {
      stripe:
        how === 'not-configured'
          ? { state: 'not_configured' }
          : {
              state: 'configured',
              mode,
              key_kind: sick ? 'secret' : 'restricted',
              reachable: true,
              error: null,
            },
      webhook: {
        secret_configured: true,
        endpoint: {
          id: 'we_1Qhook',
          url: 'https://paywall.example.com/stripe/webhook',
          status: 'enabled',
          missing_events: drifts.some((it) => it.drift.body.kind === 'webhook_events_missing')
            ? ['charge.refunded', 'charge.dispute.created']
            : [],
        },
        last_received_at: at - (sick ? 47 * MINUTE : 90_000),
        last_event_created_at: at - (sick ? 54 * MINUTE : 91_400),
        lag_ms: sick ? 7 * MINUTE : 1400,
        refused_signatures: sick ? 12 : 0,
      },
      deliveries: deliveriesOf(at, sick),
      inbox: {
        pending: inState('pending'),
        parked: inState('parked'),
        failed: inState('failed'),
        oldest_pending_at: sick ? at - 16 * MINUTE : null,
      },
      undelivered: drifts.some((it) => it.drift.body.kind === 'undelivered_events') ? 7 : 0,
      drifts: kinds,
      stuck: {
        checkout_open: conversions.filter((it) => it.at === 'checkout_open').length,
        paid_not_unblocked: conversions.filter((it) => it.at === 'paid_not_unblocked').length,
      },
      polled_at: at - 23 * MINUTE,
      poll_every_ms: HOUR,
      reconciled_at: at - 7 * HOUR,
      as_of: at,
    };
  };
  return { drifts, events, conversions, health };
}
