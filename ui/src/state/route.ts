import type { DriftKind } from '../host/generated/domain';
import type { TenantView } from '../host/generated/ipc';
import type { BillingTab } from '../text/billing-health';
import type { RevenueTab } from '../text/revenue';

/** The screens of the window. */
export type Screen =
  'overview' | 'trials' | 'tenants' | 'revenue' | 'billing' | 'sql' | 'activity' | 'connections';

/** Where the window is. */
export interface Route {
  screen: Screen;
  /** Which view of Tenants or Trials. */
  view?: TenantView;
  /** The tenant that is open beside or in place of the list. */
  tenant?: string | null;
  /** Which part of Billing health, and of its differences only those of a kind. */
  billing?: { tab: BillingTab; kind?: DriftKind | null };
  /** Which part of Revenue. */
  revenue?: RevenueTab;
}

/** The screens in the order of the sidebar, each with the key that opens it: digits from the top on. */
export const SCREENS: { screen: Screen; key: string }[] = [
  { screen: 'overview', key: '1' },
  { screen: 'trials', key: '2' },
  { screen: 'tenants', key: '3' },
  { screen: 'revenue', key: '4' },
  { screen: 'billing', key: '5' },
  { screen: 'sql', key: '6' },
  { screen: 'activity', key: '7' },
  // As the settings of any app.
  { screen: 'connections', key: ',' },
];

/** The views of Trials; every other view belongs to Tenants. */
export const TRIAL_VIEWS: TenantView[] = ['trial_ending', 'trial', 'trial_lapsed', 'trial_extended'];

/** The views of Tenants. */
export const TENANT_VIEWS: TenantView[] = [
  'all',
  'blocked',
  'trial',
  'active',
  'past_due',
  'expired',
  'suspended',
];

/** The views that only a figure leads to: each has its tab as long as it is shown. */
export const FIGURE_VIEWS: TenantView[] = [
  'locked_out_active',
  'quota_blocked',
  'paying',
  'trial_cohort',
  'deleted',
];

/** Every view, once. */
export const VIEWS: TenantView[] = [...new Set([...TENANT_VIEWS, ...TRIAL_VIEWS, ...FIGURE_VIEWS])];
