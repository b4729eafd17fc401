/** What a figure on the Overview means. */
export interface Definition {
  title: string;
  text: string;
  excludes: string;
  source: string;
  /** Why it differs from what Stripe's dashboard shows. */
  differs: string | null;
}

/** The definitions of the Overview's figures. */
export const DEFINITIONS: Record<'mrr' | 'trials' | 'conversion' | 'past_due', Definition> = {
  mrr: {
    title: 'Monthly recurring revenue',
    text: 'What active and past-due subscriptions bring per month at their licensed recurring prices, after recurring discounts. Yearly prices count a twelfth. Subscriptions of Stripe customers that are no tenant here count too; Details says how many.',
    excludes:
      'Trials, one-time charges, metered usage, comped plans, and tax that is added to the price. Tax inside a price cannot be told apart, and a few subscriptions’ revenue cannot be computed; Details says for how many.',
    source:
      'Stripe’s subscriptions and prices, from the local copy. One row per currency; currencies are never added.',
    differs:
      'Stripe’s dashboard converts currencies into one, and can count discounts, metered prices and past-due subscriptions otherwise, by the settings of your account.',
  },
  trials: {
    title: 'Active trials',
    text: 'Tenants whose trial runs now, and who neither pay nor are comped.',
    excludes: 'Deleted and suspended tenants, and trials that are over.',
    source: 'The paywall server, from the local copy.',
    differs: 'These are the paywall’s trials. Stripe knows only of trials that were started in Stripe.',
  },
  conversion: {
    title: 'Trial to paid',
    text: 'Of the trials that began in the span shown, how many tenants paid a first invoice above zero.',
    excludes:
      'Trials still running: they are counted as undecided, not as lost. Comped tenants do not count as paid.',
    source: 'The paywall server’s trials and Stripe’s invoices, from the local copy.',
    differs:
      'Stripe counts its own trials by the month of their end; this counts by the month of their start.',
  },
  past_due: {
    title: 'Past due',
    text: 'Tenants with a failed payment who still have access because the grace period runs, and their monthly recurring revenue.',
    excludes: 'Tenants who are locked out already, suspended or comped.',
    source: 'The paywall server’s statuses, and amounts from Stripe’s subscriptions.',
    differs: 'Stripe also lists subscriptions as past due after the paywall’s grace has ended.',
  },
};
