import type { AttentionItem, Billing, Money, TenantPage, TenantRow } from '../generated/ipc';
import type { Host } from '../host';
import { VIEWS } from '../../state/route';
import type { Adjusting } from './changing';
import { pageOf, rowsOf, tenantOf } from './rows';
import { DAY, METERS } from './rules';
import { searchIn } from './search';
import { ACTOR, type State } from './state';
import { inView } from './views';

type Reading = Pick<
  Host,
  | 'overview'
  | 'tenantsPage'
  | 'tenantCounts'
  | 'tenantDetail'
  | 'plans'
  | 'planPrices'
  | 'timelinePage'
  | 'activityPage'
  | 'search'
  | 'searchServer'
>;

function sums(rows: TenantRow[]): Money[] {
  const by = new Map<string, { amount: number; rows: number }>();
  for (const { amount, currency } of rows.flatMap((it) => it.mrr ?? [])) {
    const sum = by.get(currency) ?? { amount: 0, rows: 0 };
    by.set(currency, { amount: sum.amount + amount, rows: sum.rows + 1 });
  }
  return [...by]
    .sort(([, a], [, b]) => b.rows - a.rows)
    .map(([currency, { amount }]) => ({ currency, amount }));
}

/** A part of each amount, in whole hundreds of its minor unit: what began or ended of late. */
const share = (amounts: Money[], of: number): Money[] =>
  amounts.map(({ amount, currency }) => ({ currency, amount: Math.round((amount * of) / 100) * 100 }));

/** Everything that a screen shows. */
export function readingOf(state: State, adjusting: Adjusting): Reading {
  const { world, partial } = state;
  const allRows = rowsOf(state);
  const lists = (billing: Billing): Billing =>
    partial
      ? {
          ...billing,
          subscriptions: null,
          invoices: null,
          payments: null,
          refunds: null,
          disputes: null,
          credit_notes: null,
        }
      : billing;
  // Entries of tenants that were not read yet are not here either, and those of staff come last of all.
  const entries = () => {
    if (!state.loading) return world.entries;
    const here = new Set(allRows().map((it) => it.id));
    return world.entries.filter((it) => here.has(it.tenant_id) && it.body.kind !== 'adjustment');
  };
  return {
    async overview() {
      state.profile();
      const now = state.present();
      const { stripe } = state;
      const rows = allRows().filter((it) => !it.tags.includes('deleted'));
      const cohort = allRows().filter((it) => inView(it, 'trial_cohort', now));
      const paying = rows.filter((it) => inView(it, 'paying', now));
      const ending = rows.filter((it) => inView(it, 'trial_ending', now));
      const due = rows.filter((it) => it.status === 'past_due');
      const attention: AttentionItem[] = (
        ['locked_out_active', 'quota_blocked', 'past_due', 'trial_ending'] as const
      )
        .map((kind) => {
          const hits = rows.filter((it) => inView(it, kind, now));
          const meters = METERS.filter((meter) => hits.some((it) => it.used_meter === meter));
          return {
            kind,
            view: kind,
            count: hits.length,
            meters: kind === 'quota_blocked' ? meters : [],
            due_at: null,
            tenant_id: null,
            dispute: null,
            livemode: false,
          };
        })
        .filter((it) => it.count > 0);
      const disputes = [...world.people.values()].flatMap((it) =>
        (it.billing?.disputes ?? []).map((dispute) => ({ ...dispute, tenant: it.id })),
      );
      const nearest = disputes.toSorted((a, b) => (a.evidence_due_at ?? 0) - (b.evidence_due_at ?? 0))[0];
      if (nearest && stripe && !state.loading)
        attention.unshift({
          kind: 'dispute_open',
          view: null,
          count: disputes.length,
          meters: [],
          due_at: nearest.evidence_due_at,
          tenant_id: nearest.tenant,
          dispute: nearest.id,
          livemode: false,
        });
      const next = rows
        .filter((it) => it.status === 'trial' && it.trial_ends_at !== null && it.trial_ends_at > now)
        .sort((a, b) => (a.trial_ends_at as number) - (b.trial_ends_at as number))[0];
      const monthly = sums(paying);
      return {
        mrr: stripe
          ? {
              now: monthly,
              new_30d: share(monthly, 0.05),
              churned_30d: share(monthly.slice(0, 2), 0.02),
              subscriptions: paying.length,
              including_tax: 2,
              untold: partial ? 3 : 0,
              elsewhere: partial ? 12 : 0,
            }
          : null,
        trials: { running: rows.filter((it) => it.status === 'trial').length, ending: ending.length },
        conversion: stripe
          ? {
              started: cohort.length,
              decided: cohort.filter((it) => it.status !== 'trial').length,
              converted: cohort.filter((it) => (it.mrr ?? []).some((m) => m.amount > 0)).length,
              from: now - 120 * DAY,
              to: now - 30 * DAY,
            }
          : null,
        past_due: {
          tenants: due.length,
          at_risk: stripe ? sums(due) : null,
          oldest_since: due.length > 0 ? state.started - 4 * DAY : null,
        },
        attention,
        next_trial_end: next
          ? { tenant_id: next.id, name: next.name, at: next.trial_ends_at as number }
          : null,
        recent: entries()
          .filter((it) => it.body.kind === 'adjustment')
          .slice(0, 5)
          .map(adjusting.entryRow),
        tenants: rows.length,
      };
    },
    async tenantsPage({ view, plan, text, sort, descending, cursor, limit }): Promise<TenantPage> {
      state.profile();
      const now = state.present();
      const wanted = text.trim().toLowerCase();
      const rows = allRows().filter(
        (it) =>
          inView(it, view, now) &&
          (plan === null || it.plan_name.toLowerCase() === plan.toLowerCase()) &&
          (wanted === '' || `${it.name} ${it.email} ${it.id}`.toLowerCase().includes(wanted)),
      );
      const key = (it: TenantRow): number | string | null =>
        sort === 'name'
          ? it.name.toLowerCase()
          : sort === 'used'
            ? it.used_percent
            : sort === 'created_at'
              ? (world.people.get(it.id)?.created_at ?? null)
              : it[sort];
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        // What is not known comes last, whichever way round.
        if (x === null || y === null) return x === y ? (a.id < b.id ? -1 : 1) : x === null ? 1 : -1;
        if (x === y) return a.id < b.id ? -1 : 1;
        return (x < y ? -1 : 1) * (descending ? -1 : 1);
      });
      const page = pageOf(rows, cursor, limit);
      return { ...page, total: cursor === null ? rows.length : null };
    },
    async tenantCounts() {
      state.profile();
      const now = state.present();
      const rows = allRows();
      return VIEWS.map((view) => ({ view, count: rows.filter((it) => inView(it, view, now)).length }));
    },
    async tenantDetail(id) {
      const it = state.found(id);
      const at = state.offline ? state.asOf : state.present();
      const tenant = tenantOf(state, it, at);
      // Every third customer is not in the copy, where that is not whole.
      const known = state.stripe && it.billing && !(partial && it.name.length % 3 === 0);
      return {
        tenant,
        plan: state.planOf(it.facts.plan),
        plan_in_force: state.planOf(tenant.plan_in_force),
        billing: known && it.billing ? lists(it.billing) : null,
        stripe_known: state.stripe,
        as_of: state.asOf,
      };
    },
    async planPrices() {
      state.profile();
      return state.stripe
        ? world.plans.map((plan, index) => ({
            id: plan.stripe_prices[0] ?? '',
            currency: 'usd',
            unit_amount: [4900, 9900, 29_900][index % 3] ?? null,
            interval: 'month' as const,
            interval_count: 1,
          }))
        : [];
    },
    async plans() {
      state.profile();
      return world.plans.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async timelinePage(id, cursor) {
      state.found(id);
      const own = entries().filter((it) => it.tenant_id === id);
      const page = pageOf(own, cursor, 50);
      return { rows: page.rows.map(adjusting.entryRow), next: page.next, unsettled: [] };
    },
    async activityPage(view, text, cursor) {
      state.profile();
      const wanted = text.trim().toLowerCase();
      const rows = entries().filter(({ body, tenant_name }) => {
        const made = body.kind === 'adjustment' ? body.adjustment : null;
        if (view === 'staff' && !made) return false;
        if (view === 'system' && made) return false;
        if (view === 'mine' && made?.actor !== ACTOR) return false;
        return (
          wanted === '' ||
          `${tenant_name} ${made?.actor ?? ''} ${made?.reason ?? ''}`.toLowerCase().includes(wanted)
        );
      });
      const page = pageOf(rows, cursor, 100);
      return {
        rows: page.rows.map(adjusting.entryRow),
        next: page.next,
        unsettled: cursor === null ? [...adjusting.doubts] : [],
      };
    },
    async search(text) {
      return { ...searchIn(text, allRows(), world.people), as_of: state.asOf };
    },
    async searchServer(text) {
      await state.reached();
      return { ...searchIn(text, allRows(), world.people), as_of: null };
    },
  };
}
