import type { TenantView } from '../host/generated/ipc';

/** The screens of the window. */
export type Screen = 'overview' | 'trials' | 'tenants' | 'activity' | 'connections';

/** Where the window is. */
export interface Route {
  screen: Screen;
  /** Which view of Tenants or Trials. */
  view?: TenantView;
  /** The tenant that is open beside or in place of the list. */
  tenant?: string | null;
}

/** The screens in the order of the sidebar, with the digit that opens each. */
export const SCREENS: { screen: Screen; digit: string | null }[] = [
  { screen: 'overview', digit: '1' },
  { screen: 'trials', digit: '2' },
  { screen: 'tenants', digit: '3' },
  { screen: 'activity', digit: '6' },
  { screen: 'connections', digit: null },
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
