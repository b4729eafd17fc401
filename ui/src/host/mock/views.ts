import type { Timestamp } from '../generated/domain';
import type { TenantRow, TenantView } from '../generated/ipc';
import { DAY } from './rules';

/** Whether a row belongs to a view. */
export const inView = (row: TenantRow, view: TenantView, now: Timestamp): boolean => {
  if (view === 'deleted') return row.tags.includes('deleted');
  const ends = row.trial_ends_at;
  if (view === 'trial_cohort') {
    // Also who was deleted since: a trial that was given up is decided.
    const began = ends === null ? null : ends - row.extended_ms - 14 * DAY;
    return began !== null && began >= now - 120 * DAY && began < now - 30 * DAY;
  }
  if (row.tags.includes('deleted')) return false;
  switch (view) {
    case 'all':
      return true;
    case 'blocked':
      return row.last_refused_at !== null && now - row.last_refused_at < 7 * DAY;
    case 'trial_ending':
      return row.status === 'trial' && ends !== null && ends > now && ends - now <= 3 * DAY;
    case 'trial_lapsed':
      return row.status === 'expired' && ends !== null && ends <= now && now - ends <= 14 * DAY;
    case 'trial_extended':
      return row.extensions > 0;
    case 'locked_out_active':
      return (
        row.level === 'locked' &&
        row.status !== 'suspended' &&
        row.last_active_at !== null &&
        now - row.last_active_at < 7 * DAY
      );
    case 'quota_blocked':
      return row.level === 'partial';
    case 'paying':
      return (
        (row.mrr ?? []).some((it) => it.amount > 0) &&
        (row.status === 'active' || row.status === 'past_due') &&
        !row.tags.includes('comped')
      );
    default:
      return row.status === view;
  }
};
