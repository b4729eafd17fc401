import type { Plan } from '../host/generated/domain';
import type { TenantDetail } from '../host/generated/ipc';

/** The plans to choose from: those of the server by name, and the tenant's own where it is not among them. */
export function plansFor(detail: TenantDetail, all: Plan[]): Plan[] {
  const plans = [...all];
  for (const plan of [detail.plan, detail.plan_in_force])
    if (plan && !plans.some((other) => other.id === plan.id)) plans.push(plan);
  return plans;
}

/** A plan as one of a list: its name, its id where another has the same name, and whether it is the present one. */
export function planLabel(plan: Plan, plans: Plan[], current: string): string {
  const twice = plans.some((other) => other.name === plan.name && other.id !== plan.id);
  return `${plan.name}${twice ? `, ${plan.id}` : ''}${plan.id === current ? ' (current)' : ''}`;
}
