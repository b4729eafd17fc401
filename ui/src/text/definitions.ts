/** What a figure on the Overview means. */
export interface Definition {
  title: string;
  text: string;
  excludes: string;
  source: string;
  /** Why it differs from what Stripe's dashboard shows. */
  differs: string | null;
}

/** The definitions of Billing health's figures. */
export const BILLING_DEFINITIONS: Record<'webhook' | 'events' | 'drifts' | 'conversions', Definition> = {
  webhook: {
    title: 'Last webhook',
    text: 'How long ago Stripe last sent a message whose signature was right, and how long that one took from happening to arriving.',
    excludes: 'Events that the server asked Stripe for by itself, and messages that it refused.',
    source: 'The paywall server, from the local copy.',
    differs: 'Stripe lists every try of a message; a message that came twice is one here.',
  },
  events: {
    title: 'Events in 30 days',
    text: 'Events that arrived for the first time, by webhook or because the server asked. Failed ones could not be processed; parked ones are about something that is not known here yet and are tried again; undelivered ones Stripe could not send.',
    excludes: 'Messages about events that had arrived before.',
    source: 'The paywall server’s inbox and Stripe’s events, from the local copy.',
    differs: 'Stripe also counts events that the endpoint does not ask for.',
  },
  drifts: {
    title: 'Differences',
    text: 'What Stripe and the paywall say differently of the same tenant, or what keeps them from agreeing. At stake is what those subscriptions bring per month; no amount is added to one in another currency.',
    excludes: 'Differences that are gone by now.',
    source: 'The paywall server, which compares a tenant with each event of it, and everything every night.',
    differs: null,
  },
  conversions: {
    title: 'Stuck conversions',
    text: 'Tenants who paid and are still locked out, and tenants who opened Checkout and did not finish.',
    excludes: 'Checkout pages that were opened only just now, and such as ran out long ago.',
    source: 'The paywall server’s Checkout sessions, from the local copy.',
    differs: 'Stripe lists every Checkout session; here only those that do not get on, each by itself.',
  },
};

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
