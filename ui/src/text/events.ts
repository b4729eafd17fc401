import type { InboxEvent, InboxSource, InboxState } from '../host/generated/contract';
import type { Timestamp } from '../host/generated/domain';
import { clockTime, number, span } from './format';

const STATES: Record<InboxState, string> = {
  pending: 'Waiting',
  done: 'Done',
  parked: 'Parked',
  failed: 'Failed',
};
export const inboxStateWord = (state: InboxState): string => STATES[state];
const FROM: Record<InboxSource, string> = {
  webhook: 'sent by Stripe',
  poll: 'asked for',
  reconcile: 'found by comparing',
};
export const inboxSourceWord = (source: InboxSource): string => FROM[source];

const EVENTS: Record<string, string> = {
  'charge.dispute.closed': 'Dispute closed',
  'charge.dispute.created': 'Payment disputed',
  'charge.dispute.updated': 'Dispute changed',
  'charge.refunded': 'Payment refunded',
  'checkout.session.async_payment_failed': 'Checkout’s payment failed',
  'checkout.session.async_payment_succeeded': 'Checkout’s payment came',
  'checkout.session.completed': 'Checkout finished',
  'checkout.session.expired': 'Checkout ran out',
  'customer.deleted': 'Customer deleted',
  'customer.subscription.created': 'Subscription made',
  'customer.subscription.deleted': 'Subscription ended',
  'customer.subscription.paused': 'Subscription paused',
  'customer.subscription.resumed': 'Subscription resumed',
  'customer.subscription.trial_will_end': 'Trial ends soon',
  'customer.subscription.updated': 'Subscription changed',
  'invoice.finalized': 'Invoice made final',
  'invoice.marked_uncollectible': 'Invoice written off',
  'invoice.paid': 'Invoice paid',
  'invoice.payment_action_required': 'Payment to be confirmed',
  'invoice.payment_failed': 'Payment failed',
  'invoice.voided': 'Invoice taken back',
};
/** What happened by an event, in words; a kind that is not known here stands for itself. */
export const eventWord = (type: string): string => EVENTS[type] ?? type;

const EVENT_ERRORS: Record<string, string> = {
  unknown_customer: 'no tenant has this customer yet',
  unknown_tenant: 'no tenant is known by the id that it names',
  stripe_unreachable: 'Stripe could not be asked about it',
  stripe_key_unknown: 'Stripe refuses the server’s key',
  stripe_permission_missing: 'the server’s key may not read the object',
  stripe_object_missing: 'Stripe does not have the object any more',
  stripe_refused: 'Stripe refused to tell about it',
  stripe_rate_limited: 'Stripe asked to slow down',
  stripe_failing: 'Stripe answered with a fault',
  stripe_unreadable: 'what Stripe answered cannot be read',
  stripe_other_account: 'the server’s key is of another account',
  stripe_other_mode: 'the server’s key is of the other mode',
  store_away: 'the server’s database was away',
};
/** Why an event is parked or failed, in words. */
export function eventReason(event: InboxEvent, now: Timestamp): string {
  if (event.state === 'pending' && event.error === null)
    return event.attempts === 0
      ? `It waits for its turn since ${clockTime(event.received_at, { now })}`
      : `It waits for its turn · tried ${event.attempts === 1 ? 'once' : `${number(event.attempts)}×`}`;
  // The word, and in some cases what it is about.
  const [word = '', ...about] = (event.error ?? '').split(' ');
  const why =
    event.error === null
      ? 'no reason is known'
      : [
          EVENT_ERRORS[word] ?? word.replaceAll('_', ' '),
          ...(about.length > 0 ? [`(${about.join(' ')})`] : []),
        ].join(' ');
  const tries = event.attempts === 1 ? 'tried once' : `tried ${number(event.attempts)}×`;
  const again =
    event.next_attempt_at === null
      ? event.state === 'failed'
        ? ', not tried again by itself'
        : ''
      : event.next_attempt_at > now
        ? `, again in ${span(event.next_attempt_at - now)}`
        : ', again any moment';
  return `${why.charAt(0).toUpperCase()}${why.slice(1)} · ${tries}${again}`;
}
