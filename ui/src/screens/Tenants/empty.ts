import type { TenantView } from '../../host/generated/ipc';

interface Empty {
  headline: string;
  text?: string;
}

const EMPTY: Record<TenantView, Empty> = {
  all: {
    headline: 'No tenants yet',
    text: 'Tenants come into the paywall server by “paywall-server import”, and appear here with the next sync.',
  },
  blocked: {
    headline: 'No one was refused in the last 7 days',
    text: 'Tenants appear here with the first request that the paywall refuses them.',
  },
  trial: {
    headline: 'No trial is running',
    text: 'A trial comes with a tenant’s import, or begins with “Extend trial” on a tenant.',
  },
  active: { headline: 'No one pays yet', text: 'Tenants appear here with their first paid subscription.' },
  past_due: {
    headline: 'No payment is overdue',
    text: 'Tenants appear here when a payment fails, for as long as their grace period runs.',
  },
  expired: {
    headline: 'No trial or subscription is over',
    text: 'Tenants appear here when their trial or subscription ends and nothing else gives them access.',
  },
  suspended: {
    headline: 'No one is suspended',
    text: 'Suspending is done on a tenant, under More; it is undone by Reinstate.',
  },
  trial_ending: { headline: 'No trials end in the next 3 days' },
  trial_lapsed: { headline: 'No trial lapsed in the last 14 days' },
  trial_extended: { headline: 'No trial was extended' },
  locked_out_active: { headline: 'No one who was active this week is locked out' },
  quota_blocked: { headline: 'No one is blocked by a quota' },
  paying: {
    headline: 'No subscription counts yet',
    text: 'Tenants appear here with the first subscription that brings revenue each month.',
  },
  trial_cohort: { headline: 'No trial began in the 90 days up to 30 days ago' },
  deleted: { headline: 'No tenant was deleted' },
};

/** What an empty view means. */
export function viewEmpty(view: TenantView): Empty {
  return EMPTY[view];
}
