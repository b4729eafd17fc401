import type { Snapshot, Tenant } from '../host/generated/contract';
import type { TenantDetail } from '../host/generated/ipc';
import { verdict, type Verdict } from '../text/verdict';

function planNames(detail: TenantDetail | null): Record<string, string> {
  const names: Record<string, string> = {};
  for (const plan of [detail?.plan, detail?.plan_in_force]) if (plan) names[plan.id] = plan.name;
  return names;
}

/** The verdict on a tenant as the copy has it. */
export function verdictOf(detail: TenantDetail, offline: boolean, now: number): Verdict {
  return verdict(detail.tenant, {
    plans: planNames(detail),
    billing: detail.billing,
    stripeKnown: detail.stripe_known,
    asOf: detail.as_of,
    offline,
    now,
  });
}

/** The verdict on one side of a change, by the server's word of `now`. */
export function verdictOn(tenant: Tenant, side: Snapshot, detail: TenantDetail | null, now: number): Verdict {
  const { facts, status, access, meters } = side;
  return verdict(
    { ...tenant, facts, status, access, meters },
    {
      plans: planNames(detail),
      billing: detail?.billing ?? null,
      stripeKnown: detail?.stripe_known ?? false,
      asOf: now,
      offline: false,
      now,
    },
  );
}
