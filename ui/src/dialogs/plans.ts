import type { Plan } from '../host/generated/domain';
import type { TenantDetail } from '../host/generated/ipc';

/** The plans that the window has met: those of the tenant at hand. */
export function knownPlans(detail: TenantDetail): Plan[] {
  const plans = [detail.plan, detail.plan_in_force].filter((plan) => plan !== null);
  return plans.filter((plan, index) => plans.findIndex((other) => other.id === plan.id) === index);
}
