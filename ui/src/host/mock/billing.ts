import type { KnownDrift, RepairOutcome, TenantBilling } from '../generated/contract';
import type { Subscription, TenantFacts } from '../generated/domain';
import type { BillingView, Failure, UnsettledRepair } from '../generated/ipc';
import type { Host } from '../host';
import { billingWorld } from './billing-world';
import { fail } from './fail';
import { pageOf } from './rows';
import { DAY, snapshotOf } from './rules';
import type { State } from './state';
import { itemOf, type Person } from './world';

type BillingHost = Pick<
  Host,
  | 'billingHealth'
  | 'driftsPage'
  | 'eventsPage'
  | 'conversionsPage'
  | 'tenantBilling'
  | 'repairPreview'
  | 'repairApply'
  | 'repairSettle'
  | 'eventRetry'
  | 'checkoutLink'
  | 'portalLink'
>;

/** Billing of the world in the page. `?billing=` says how it is, `?repair=` what becomes of a repair’s answer. */
export function billingOf(state: State): BillingHost {
  const how = state.query.get('billing') ?? (state.scenario === 'sample' ? 'not-configured' : 'well');
  const world = billingWorld(state);
  const doubts: UnsettledRepair[] = [];
  const asked = new Set<string>();

  const told: Failure | null =
    how === 'error' || how === 'error-bare'
      ? {
          code: 'server_fault',
          detail: 'answered 500',
          request_id: 'req-01J9ZB',
          at: state.started - 20_000,
        }
      : null;
  const never = how === 'never' || how === 'error-bare' || state.loading;
  const copy = (): BillingView['copy'] =>
    never || state.loading
      ? 'never'
      : how === 'old'
        ? 'not_offered'
        : how === 'not-configured'
          ? 'not_configured'
          : 'known';
  const found = (id: string): KnownDrift =>
    world.drifts.find((it) => it.id === id) ?? fail({ code: 'not_found' }, id);

  /** The facts once the paywall took over what Stripe says. */
  const takenOver = (it: Person, { drift }: KnownDrift): TenantFacts => {
    const { body } = drift;
    if (body.kind === 'plan_differs') return { ...it.facts, plan: body.stripe };
    const status = 'stripe' in body && typeof body.stripe === 'string' ? body.stripe : 'active';
    const subscription: Subscription = {
      id: drift.subscription ?? 'sub_1Q',
      current_period_end: state.started + 24 * DAY,
      overdue_since: null,
      grace_ends_at: null,
      ended_at: status === 'canceled' ? state.started - 3 * DAY : null,
      ...it.facts.subscription,
      status: status as Subscription['status'],
      cancel_at_period_end: 'stripe_canceling' in body ? body.stripe_canceling : false,
    };
    return { ...it.facts, subscription };
  };
  const outcome = (row: KnownDrift, apply: boolean): RepairOutcome => {
    const now = state.present();
    const { repair, tenant } = row.drift;
    const it = tenant === null ? null : state.found(tenant);
    const after = it && repair.action === 'apply_stripe' ? takenOver(it, row) : null;
    const snapshot = (facts: TenantFacts, of: Person) => snapshotOf(facts, state.world.plans, of.usage, now);
    const done: RepairOutcome = {
      before: it && after ? snapshot(it.facts, it) : null,
      after: it && after ? snapshot(after, it) : null,
      stripe_writes:
        repair.action === 'set_trial_end_in_stripe'
          ? [
              {
                operation: 'update_subscription',
                object: repair.subscription,
                parameters: [
                  { name: 'trial_end', value: String(Math.floor(repair.trial_end / 1000)) },
                  { name: 'proration_behavior', value: 'none' },
                ],
              },
            ]
          : repair.action === 'cancel_subscription'
            ? [{ operation: 'cancel_subscription', object: repair.subscription, parameters: [] }]
            : repair.action === 'add_events'
              ? [
                  {
                    operation: 'update_webhook_endpoint',
                    object: repair.endpoint,
                    parameters: repair.events.map((value) => ({ name: 'enabled_events[]', value })),
                  },
                ]
              : [],
      adjustment: null,
      gone: false,
      now,
    };
    if (apply) {
      if (it && after) {
        it.facts = after;
        it.version += 1;
        state.generation += 1;
      }
      world.drifts.splice(world.drifts.indexOf(row), 1);
      const at = world.conversions.findIndex((each) => each.drift === row.id);
      if (at >= 0) world.conversions.splice(at, 1);
      state.emit('data-changed', null);
    }
    return done;
  };

  const tenantTold = (it: Person): TenantBilling => {
    const subscription = it.facts.subscription;
    const live = state.profile().mode === 'live';
    const page = (kind: string, id: string) =>
      `https://dashboard.stripe.com/${live ? '' : 'test/'}${kind}/${id}`;
    const overdue = subscription?.status === 'past_due';
    const gone = subscription?.status === 'canceled' || subscription?.status === 'unpaid';
    const standing = !subscription
      ? null
      : overdue
        ? 'card_expired'
        : subscription.status === 'unpaid'
          ? 'unpaid'
          : gone
            ? 'canceled'
            : 'paid';
    return {
      tenant_id: it.id,
      customer: it.stripe_customer,
      customer_url: it.stripe_customer ? page('customers', it.stripe_customer) : null,
      subscriptions:
        subscription && standing
          ? [
              {
                subscription: {
                  id: subscription.id,
                  customer: it.stripe_customer ?? '',
                  livemode: live,
                  status: subscription.status,
                  created: it.created_at,
                  tenant: it.id,
                  currency: it.mrr[0]?.currency ?? 'usd',
                  items: it.mrr.slice(0, 1).map((amount) => itemOf(it.facts.plan, amount, subscription)),
                  trial_end: null,
                  cancel_at_period_end: subscription.cancel_at_period_end,
                  cancel_at: null,
                  canceled_at: null,
                  ended_at: subscription.ended_at,
                  pause: null,
                  collection_pause: null,
                  latest_invoice: null,
                  open_invoices: [],
                  disputed_since: null,
                  refunded_at: null,
                  mrr: null,
                },
                fetched_at: state.asOf,
                standing,
                access: overdue ? 'grace' : gone ? 'denies' : 'keeps',
                remedy: overdue ? 'update_card' : gone ? 'choose_plan' : 'none',
                monthly: it.mrr[0] ? { minor: it.mrr[0].amount, currency: it.mrr[0].currency } : null,
                dashboard_url: page('subscriptions', subscription.id),
              },
            ]
          : [],
      standing,
      upcoming: !subscription
        ? []
        : overdue && subscription.grace_ends_at
          ? [
              { kind: 'payment_retried', at: subscription.grace_ends_at - DAY },
              { kind: 'grace_ends', at: subscription.grace_ends_at },
            ]
          : gone || subscription.current_period_end === null
            ? []
            : [
                {
                  kind: subscription.cancel_at_period_end ? 'ends' : 'renews',
                  at: subscription.current_period_end,
                },
              ],
      sessions: [],
      drifts: world.drifts.filter((each) => each.drift.tenant === it.id),
      checkout_refusal:
        it.facts.suspension !== null
          ? { refusal: 'suspended' }
          : subscription && !gone
            ? { refusal: overdue ? 'payment_overdue' : 'subscribed', subscription: subscription.id }
            : null,
      as_of: state.asOf,
    };
  };

  return {
    async billingHealth() {
      state.profile();
      if (how === 'broken') return fail({ code: 'cache_broken' }, 'file is not a database');
      const known = copy() === 'known';
      return {
        copy: copy(),
        health: known ? world.health() : null,
        as_of: copy() === 'never' ? null : state.asOf,
        failure: told,
        drifts: known ? world.drifts.length : 0,
        waiting: known ? world.events.filter((it) => it.state === 'pending').length : 0,
        unknown: 0,
        parked: known ? world.events.filter((it) => it.state === 'parked').length : 0,
        failed: known ? world.events.filter((it) => it.state === 'failed').length : 0,
        conversions: known ? world.conversions.length : 0,
        paid_unnoticed: known
          ? world.conversions.filter((it) => it.at === 'paid_not_unblocked' && it.drift === null).length
          : 0,
        unsettled: [...doubts],
      };
    },
    async driftsPage({ kind, cursor, limit }) {
      const rows = world.drifts.filter((it) => kind === null || it.drift.body.kind === kind);
      return { ...pageOf(rows, cursor, limit), total: cursor === null ? rows.length : null };
    },
    async eventsPage({ state: wanted, cursor, limit }) {
      const rows = world.events.filter((it) => wanted === null || it.state === wanted);
      return { ...pageOf(rows, cursor, limit), total: cursor === null ? rows.length : null };
    },
    async conversionsPage(cursor, limit) {
      return { ...pageOf(world.conversions, cursor, limit), total: world.conversions.length };
    },
    async tenantBilling(id, ask) {
      const it = state.found(id);
      if (ask) await state.reached();
      const known = copy() === 'known';
      if (ask && known) asked.add(id);
      return {
        copy: copy(),
        told: known && asked.has(id) ? tenantTold(it) : null,
        drifts: known ? world.drifts.filter((each) => each.drift.tenant === id) : [],
        conversions: known ? world.conversions.filter((each) => each.tenant_id === id) : [],
      };
    },
    async repairPreview(id) {
      state.writable();
      await state.reached();
      const row = world.drifts.find((it) => it.id === id);
      const gone: RepairOutcome = {
        before: null,
        after: null,
        stripe_writes: [],
        adjustment: null,
        gone: true,
        now: state.present(),
      };
      const sees = row && state.query.get('repair') !== 'gone' ? outcome(row, false) : gone;
      return { outcome: sees, checked_at: state.present() };
    },
    async repairApply({ drift_id, key }) {
      state.writable();
      await state.reached();
      const row = found(drift_id);
      if (state.query.get('repair')?.startsWith('lost')) {
        doubts.push({
          key,
          drift_id,
          kind: row.drift.body.kind,
          tenant_id: row.drift.tenant,
          tenant_name: row.tenant_name,
          sent_at: state.present(),
          instance: 'db-1',
        });
        return fail({ code: 'unsettled', key }, 'connection closed before the answer');
      }
      return { outcome: 'made', repair: outcome(row, true) };
    },
    async repairSettle(key) {
      await state.reached();
      const at = doubts.findIndex((it) => it.key === key);
      const doubt = doubts[at] ?? fail({ code: 'not_found' }, key);
      if (state.query.get('repair') === 'lost-for-long')
        return fail({ code: 'unreachable', source: 'server' }, 'away');
      doubts.splice(at, 1);
      state.emit('data-changed', null);
      if (state.query.get('repair') === 'lost-not-made') return { outcome: 'not_made' };
      outcome(found(doubt.drift_id), true);
      return { outcome: 'made', repair: null };
    },
    async eventRetry(id) {
      state.writable();
      await state.reached();
      const at = world.events.findIndex((it) => it.id === id);
      const event = world.events[at] ?? fail({ code: 'not_found' }, id);
      world.events.splice(at, 1);
      state.emit('data-changed', null);
      return { ...event, state: 'pending', attempts: event.attempts + 1, error: null };
    },
    async checkoutLink({ tenant_id }) {
      state.writable();
      await state.reached();
      state.found(tenant_id);
      return {
        url: `https://checkout.stripe.com/c/pay/cs_live_b1Q${tenant_id.slice(0, 20)}#fidkdWxOYHwnPyd1blpxYHZxWjA0T`,
        expires_at: state.present() + DAY,
      };
    },
    async portalLink(id) {
      state.writable();
      await state.reached();
      state.found(id);
      return { url: `https://billing.stripe.com/p/session/live_${id.slice(0, 24)}` };
    },
  };
}
