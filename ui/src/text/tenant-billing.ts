import type {
  CheckoutRefusal,
  Interval,
  Item,
  Remedy,
  Standing,
  StandingAccess,
  Timestamp,
  UpcomingChange,
} from '../host/generated/domain';
import { instant, money, number, UNKNOWN, type Reader } from './format';

const STANDINGS: Record<Standing, string> = {
  paid: 'Paid',
  trialing: 'On trial in Stripe',
  canceling: 'Paid, and to end',
  collection_paused: 'Invoices not collected',
  refunded: 'Refunded',
  disputed: 'Disputed',
  past_due: 'Past due, in grace',
  card_expired: 'Card expired, in grace',
  action_required: 'To be confirmed with the bank, in grace',
  grace_over: 'Past due, grace is over',
  unpaid: 'Unpaid',
  paused: 'Paused',
  card_missing: 'Paused: no card',
  incomplete: 'First payment open',
  incomplete_expired: 'Never paid',
  canceled: 'Canceled',
  unknown: 'Not known to this server',
};
/** Where a subscription stands. */
export const standingWord = (standing: Standing): string => STANDINGS[standing];
/** How a standing looks: as the status of a tenant that it makes. */
export const standingTone = (access: StandingAccess): 'active' | 'past_due' | 'expired' =>
  access === 'keeps' ? 'active' : access === 'grace' ? 'past_due' : 'expired';

const REMEDIES: Record<Remedy, string | null> = {
  none: null,
  pay_invoice: 'The customer pays the open invoice, or puts another card in: send the portal link.',
  update_card: 'The customer puts a card in: send the portal link.',
  confirm_payment: 'The customer confirms the payment with the bank, on the invoice’s page.',
  resume: 'The customer resumes it in the portal, or staff in Stripe.',
  choose_plan: 'The customer chooses a plan anew: send a Checkout link.',
  review: 'Look at it in Stripe, then cancel, suspend or leave it.',
  update_server: 'Update the server: Stripe uses a word that it does not know.',
};
/** What puts a standing right; `null` = nothing is wrong. */
export const remedyText = (remedy: Remedy): string | null => REMEDIES[remedy];

const EVERY: Record<Interval, [one: string, many: string]> = {
  day: ['a day', 'days'],
  week: ['a week', 'weeks'],
  month: ['a month', 'months'],
  year: ['a year', 'years'],
};
/** A price as a person compares it: `$33.00 a month`, `$99.00 every 3 months`. */
export function priceText(
  { unit_amount, interval, interval_count }: Pick<Item, 'unit_amount' | 'interval' | 'interval_count'>,
  currency: string,
): string {
  const amount = unit_amount === null || !currency ? UNKNOWN : money({ amount: unit_amount, currency });
  if (interval === null) return amount;
  const [one, many] = EVERY[interval];
  const every = interval_count ?? 1;
  return `${amount} ${every > 1 ? `every ${number(every)} ${many}` : one}`;
}
/** An item of a subscription: how many, at which price. A metered one has no quantity. */
export function itemText(item: Item, currency: string): string {
  if (item.unit_amount === null)
    return item.quantity === null
      ? 'metered: the price goes by use'
      : `${number(item.quantity)} × a price in tiers`;
  const price = priceText(item, currency);
  return item.quantity === null ? `${price}, metered` : `${number(item.quantity)} × ${price}`;
}

/** What is still to happen: what a copy of before announces for a time that is over is no news. */
export const stillUpcoming = (changes: UpcomingChange[], now: Timestamp): UpcomingChange[] =>
  changes.filter((change) => change.at > now);

/** What happens next by itself. */
export function upcomingText(change: UpcomingChange, reader: Reader = {}): string {
  const at = instant(change.at, reader);
  switch (change.kind) {
    case 'trial_ends':
      return `The trial in Stripe ends, and the first payment is taken, ${at}.`;
    case 'renews':
      return `Renews ${at}.`;
    case 'ends':
      return `Ends ${at}.`;
    case 'payment_retried':
      return `Stripe tries the payment again ${at}.`;
    case 'grace_ends':
      return `The grace period ends, and access with it, ${at}.`;
    case 'resumes':
      return `Goes on again ${at}.`;
  }
}

/**
 * Why no link to Checkout can be made for a tenant at all; `null` = one can. What is wrong with one plan or price
 * alone is not: another one is chosen for the link.
 */
export const noCheckoutText = (refusal: CheckoutRefusal | null): string | null =>
  refusal === null || refusal.refusal === 'no_price' || refusal.refusal === 'price_of_other_plan'
    ? null
    : checkoutRefusalText(refusal);

/** Why a tenant cannot go to Checkout now. */
export function checkoutRefusalText(refusal: CheckoutRefusal): string {
  switch (refusal.refusal) {
    case 'deleted':
      return 'The tenant was deleted.';
    case 'suspended':
      return 'It is suspended: it would pay and stay locked out. Reinstate it first.';
    case 'subscribed':
      return 'It has a subscription already. Changes are made in the portal.';
    case 'payment_overdue':
      return 'A payment of its subscription is overdue. It is paid in the portal.';
    case 'payment_open':
      return 'The first payment of a subscription is open. It is paid in the portal.';
    case 'paused':
      return 'It has a paused subscription, which is resumed in the portal.';
    case 'no_price':
      return 'The plan has no price: set stripe_prices on the server.';
    case 'price_of_other_plan':
      return 'That price does not sell this plan.';
  }
}
