import type { Tenant } from '../host/generated/contract';
import type { Change } from '../host/generated/domain';
import type { ChangeKind } from '../state/changes.svelte';

/** Whether a change takes access away, so that its maker types the tenant's name where it is live. */
export function needsTypedName(change: Change, tenant: Tenant | null): boolean {
  if (change.kind === 'suspend' || change.kind === 'end_trial') return true;
  if (change.kind !== 'override_quota' || change.limit === null) return false;
  const reading = tenant?.meters.find((each) => each.meter === change.meter);
  return reading?.used != null && change.limit <= reading.used;
}

/** What a change does beside what the preview shows, and what it leaves alone. */
export function doesAndDoesNot(kind: ChangeKind, tenant: Tenant | null): string[] {
  const subscription = tenant?.facts.subscription;
  const charging = subscription && ['active', 'past_due', 'trialing', 'unpaid'].includes(subscription.status);
  const members = tenant?.members.length ?? 0;
  switch (kind) {
    case 'extend_trial':
      return [
        'Does not charge, does not touch Stripe. An ended trial counts from now, a running one from its end.',
      ];
    case 'end_trial':
      return ['Ends the trial at once. Data is kept. Does not touch Stripe.'];
    case 'override_quota':
    case 'remove_override':
      return ['Does not change the plan, does not touch Stripe.'];
    case 'comp':
      return [
        'Gives the plan’s limits for free, and then what held before. Counts nothing in MRR.',
        charging
          ? '⚠ It has a Stripe subscription: Stripe keeps charging. A comp does not stop that.'
          : 'Does not charge, refund, or change Stripe.',
      ];
    case 'suspend':
      return [
        `${members} ${members === 1 ? 'member loses' : 'members lose'} access now; API keys are refused. Data is kept.`,
        charging ? '⚠ Stripe keeps charging its subscription.' : 'Does not touch Stripe.',
      ];
    case 'reinstate':
      return ['Lifts the suspension only; other rules go on as the preview shows. Does not touch Stripe.'];
    case 'change_plan':
      return [
        'Changes the limits that hold.',
        charging
          ? '⚠ Its Stripe subscription stays as it is and keeps charging its own price.'
          : 'Does not touch Stripe.',
      ];
    case 'note':
      return ['Changes nothing. A note can’t be taken back, only followed by another.'];
  }
}
