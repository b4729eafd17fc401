import type { TenantView } from '../../host/generated/ipc';

interface Empty {
  headline: string;
  text?: string;
}

const EMPTY: Record<TenantView, Empty> = {
  all: {
    headline: 'No tenants yet',
    text: 'Everyone who signs up in RAGFlow appears here by itself, with a trial that begins at once.',
  },
  blocked: { headline: 'No one was refused in the last 7 days' },
  trial: { headline: 'No trial is running' },
  active: { headline: 'No one pays yet', text: 'Tenants appear here with their first paid subscription.' },
  past_due: { headline: 'No payment is overdue' },
  expired: { headline: 'No trial or subscription is over' },
  suspended: { headline: 'No one is suspended' },
  trial_ending: { headline: 'No trials end in the next 3 days' },
  trial_lapsed: { headline: 'No trial lapsed in the last 14 days' },
  trial_extended: { headline: 'No trial was extended' },
  locked_out_active: { headline: 'No one who was active this week is locked out' },
  quota_blocked: { headline: 'No one is blocked by a quota' },
  deleted: { headline: 'No tenant was deleted' },
};

/** What an empty view means. */
export function viewEmpty(view: TenantView): Empty {
  return EMPTY[view];
}
