import type { RepairOutcome } from '../host/generated/contract';
import type {
  ByHand,
  Drift,
  DriftBody,
  DriftKind,
  Money,
  Repair,
  StatusWord,
  SubscriptionStatus,
  Timestamp,
} from '../host/generated/domain';
import { counted, instant, money, quoted, UNKNOWN, type Reader } from './format';
import { listed } from './words';

/** Every kind of drift, the gravest first. */
export const DRIFT_KINDS: DriftKind[] = [
  'paid_but_blocked',
  'access_without_subscription',
  'status_differs',
  'plan_differs',
  'price_differs',
  'quantity_differs',
  'trial_end_differs',
  'collection_differs',
  'currency_differs',
  'customer_differs',
  'two_subscriptions',
  'deleted_customer_subscription',
  'mode_mixed',
  'webhook_endpoint_missing',
  'webhook_endpoint_disabled',
  'webhook_events_missing',
  'undelivered_events',
  'unknown_price',
  'unknown_customer',
];

const KINDS: Record<DriftKind, string> = {
  paid_but_blocked: 'Paid, but locked out',
  access_without_subscription: 'Access without a subscription',
  status_differs: 'Subscription differs',
  plan_differs: 'Plan differs',
  price_differs: 'Price differs',
  quantity_differs: 'Quantity differs',
  trial_end_differs: 'Trial end differs',
  collection_differs: 'Comp and collection differ',
  currency_differs: 'Currency differs',
  customer_differs: 'Customer differs',
  two_subscriptions: 'Two subscriptions',
  deleted_customer_subscription: 'Deleted tenant still pays',
  mode_mixed: 'Test and live mixed',
  webhook_endpoint_missing: 'No webhook endpoint',
  webhook_endpoint_disabled: 'Webhook endpoint is off',
  webhook_events_missing: 'Webhook hears too little',
  undelivered_events: 'Events not delivered',
  unknown_price: 'Price sells no plan',
  unknown_customer: 'Payer is no tenant',
};
/** A kind of drift, as a heading. */
export const driftKindWord = (kind: DriftKind): string => KINDS[kind];

const STATUSES: Record<SubscriptionStatus, string> = {
  incomplete: 'incomplete',
  incomplete_expired: 'never paid',
  trialing: 'on trial',
  active: 'active',
  past_due: 'past due',
  unpaid: 'unpaid',
  canceled: 'canceled',
  paused: 'paused',
};
/** A subscription's status inside a sentence, also one in a word that is not known here. */
export const statusInStripe = (status: StatusWord): string =>
  STATUSES[status as SubscriptionStatus] ?? quoted(status.replaceAll('_', ' '));
const sub = (status: StatusWord | null): string =>
  status === null ? 'no subscription' : statusInStripe(status);
const canceling = (yes: boolean): string => (yes ? ', to end with its period' : '');

const until = (end: Timestamp | null, reader: Reader): string =>
  end === null ? '' : ` until ${instant(end, reader)}`;
const collected = (paused: boolean, end: Timestamp | null, reader: Reader): string =>
  paused ? `not collected${until(end, reader)}` : 'collected';

/** An amount as the server counts it. */
export const amountText = ({ minor, currency }: Money, code = false): string =>
  money({ amount: minor, currency }, { code });

/** Why a drift is one, in a sentence. */
export function driftReason(drift: Drift, reader: Reader = {}): string {
  const { body } = drift;
  switch (body.kind) {
    case 'paid_but_blocked':
      return `Stripe: ${sub(body.stripe)}. Paywall: ${sub(body.paywall)}, and refuses.`;
    case 'access_without_subscription':
      return `Stripe: ${sub(body.stripe)}. Paywall: ${sub(body.paywall)}, and lets it in.`;
    case 'status_differs': {
      const other = body.paywall_subscription === null ? '' : ', another one';
      return `Stripe: ${sub(body.stripe)}${canceling(body.stripe_canceling)}${other}. Paywall: ${sub(body.paywall)}${canceling(body.paywall_canceling)}. Access is the same.`;
    }
    case 'plan_differs':
      return `The paywall gives ${quoted(body.paywall)}; the price that is paid sells ${quoted(body.stripe)}.`;
    case 'price_differs':
      return `On record ${listed(body.paywall) || 'no price'}; in Stripe ${listed(body.stripe) || 'none'}. Both sell the same plan.`;
    case 'quantity_differs':
      return `On record ${counted(body.paywall, 'unit')}; in Stripe ${counted(body.stripe, 'unit')}.`;
    case 'trial_end_differs':
      return `Stripe: ${instant(body.stripe, reader)}. Paywall: ${
        body.paywall === null ? 'no trial' : instant(body.paywall, reader)
      }.`;
    case 'collection_differs':
      return body.paywall
        ? `The comp is not charged for${until(body.paywall_until, reader)}; in Stripe invoices are ${collected(body.stripe, body.stripe_until, reader)}.`
        : `No comp is in force; in Stripe invoices are ${collected(body.stripe, body.stripe_until, reader)}, as it was for one.`;
    case 'currency_differs':
      return `On record ${body.paywall.toUpperCase()}; in Stripe ${body.stripe.toUpperCase()}.`;
    case 'customer_differs':
      return `The subscription is of ${body.stripe}; the tenant’s customer is ${body.paywall ?? 'not set'}.`;
    case 'two_subscriptions':
      return `A second one is ${statusInStripe(body.stripe)} and takes money, beside ${body.counts}, which counts.`;
    case 'deleted_customer_subscription':
      return `The tenant was deleted ${instant(body.deleted_at, reader)}; its subscription is ${statusInStripe(body.stripe)}.`;
    case 'mode_mixed':
      return `The subscription is in ${body.stripe} mode; the server’s key is in ${body.paywall} mode.`;
    case 'webhook_endpoint_missing':
      return `No endpoint in Stripe leads to ${quoted(body.url)}.`;
    case 'webhook_endpoint_disabled':
      return `Stripe sends nothing to ${quoted(body.url)}: somebody, or Stripe after many failures, switched it off.`;
    case 'webhook_events_missing':
      return `${counted(body.events.length, 'kind')} of event ${body.events.length === 1 ? 'is' : 'are'} not sent: ${listed(body.events)}.`;
    case 'undelivered_events':
      return `Stripe could not deliver ${counted(body.count, 'event')}, and ${body.count === 1 ? 'it was' : 'they were'} not fetched since.`;
    case 'unknown_price':
      return `No plan names ${listed(body.prices)}, which ${body.prices.length === 1 ? 'is' : 'are'} paid for; the tenant has ${quoted(body.plan)}.`;
    case 'unknown_customer':
      return `Pays for ${quoted(body.plan)} (${statusInStripe(body.stripe)}), and no tenant is theirs.`;
  }
}

/** One thing that the two sides say differently. */
export interface DriftSide {
  what: string;
  paywall: string;
  stripe: string;
}

const statusOr = (status: StatusWord | null): string =>
  status === null ? 'No subscription' : capital(statusInStripe(status));
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const ends = (yes: boolean): string => (yes ? 'With its period' : 'Not set');

/** What each side says, line by line; empty where there are no two sides. */
export function driftSides(body: DriftBody, reader: Reader = {}): DriftSide[] {
  const side = (what: string, paywall: string, stripe: string): DriftSide => ({ what, paywall, stripe });
  switch (body.kind) {
    case 'paid_but_blocked':
      return [
        side('Subscription', statusOr(body.paywall), statusOr(body.stripe)),
        side('Access', 'Refused', 'Paid for'),
      ];
    case 'access_without_subscription':
      return [
        side('Subscription', statusOr(body.paywall), statusOr(body.stripe)),
        side('Access', 'Given', 'Not paid for'),
      ];
    case 'status_differs':
      return [
        side('Subscription', statusOr(body.paywall), statusOr(body.stripe)),
        side('End', ends(body.paywall_canceling), ends(body.stripe_canceling)),
      ];
    case 'plan_differs':
      return [side('Plan', body.paywall, body.stripe)];
    case 'price_differs':
      return [side('Price', listed(body.paywall) || UNKNOWN, listed(body.stripe) || UNKNOWN)];
    case 'quantity_differs':
      return [side('Quantity', String(body.paywall), String(body.stripe))];
    case 'trial_end_differs':
      return [
        side(
          'Trial ends',
          body.paywall === null ? 'No trial' : instant(body.paywall, reader),
          instant(body.stripe, reader),
        ),
      ];
    case 'collection_differs':
      return [
        side(
          'Invoices',
          capital(collected(body.paywall, body.paywall_until, reader)),
          capital(collected(body.stripe, body.stripe_until, reader)),
        ),
      ];
    case 'currency_differs':
      return [side('Currency', body.paywall.toUpperCase(), body.stripe.toUpperCase())];
    case 'customer_differs':
      return [side('Customer', body.paywall ?? 'None', body.stripe)];
    case 'two_subscriptions':
      return [side('Subscription', body.counts, `And one more, ${statusInStripe(body.stripe)}`)];
    case 'deleted_customer_subscription':
      return [
        side('Tenant', `Deleted ${instant(body.deleted_at, reader)}`, capital(statusInStripe(body.stripe))),
      ];
    case 'mode_mixed':
      return [side('Mode', capital(body.paywall), capital(body.stripe))];
    case 'unknown_price':
      return [side('Sells', body.plan, listed(body.prices))];
    case 'unknown_customer':
      return [side('Tenant', 'None', `Pays for ${body.plan}, ${statusInStripe(body.stripe)}`)];
    case 'webhook_endpoint_missing':
    case 'webhook_endpoint_disabled':
    case 'webhook_events_missing':
    case 'undelivered_events':
      return [];
  }
}

/** What puts a drift right, for a person. */
export interface RepairText {
  /** The button that does it: verb and object. `null` = nothing here can. */
  button: string | null;
  /** What it does, or what a person has to do. */
  does: string;
  /** What it leaves alone. */
  doesNot: string | null;
  /** Whether it takes something away or money moves by it. */
  grave: boolean;
}

const BY_HAND: Record<ByHand, string> = {
  add_price_to_plan:
    'Add the price to the plan that it sells, in the server’s settings (stripe_prices), or move the customer to a price that sells one.',
  check_mode: 'Give the server the key of the other mode, or cancel the subscription there.',
  create_endpoint: 'Create a webhook endpoint in Stripe that leads there, and give the server its secret.',
  assign_tenant:
    'Write the tenant’s id into the subscription’s metadata in Stripe, as tenant_id; or cancel it there.',
  update_server: 'Update the server: Stripe uses a word that this version does not know.',
};

/**
 * Whether to take over what Stripe says takes access away: by the kind of what differs, and by what the server says
 * of before and after once it was asked.
 */
export function takesAccess(
  { body, repair }: Drift,
  outcome: Pick<RepairOutcome, 'before' | 'after'> | null,
): boolean {
  if (repair.action !== 'apply_stripe') return false;
  const [before, after] = [outcome?.before?.access, outcome?.after?.access];
  if (!before || !after) return body.kind === 'access_without_subscription';
  return after.denied.some((operation) => !before.denied.includes(operation));
}

/** What puts a drift right. An instant that has passed makes Stripe end the trial and charge. */
export function repairText(repair: Repair, now: Timestamp, reader: Reader = {}): RepairText {
  const stays = 'Does not change anything in Stripe, does not charge.';
  switch (repair.action) {
    case 'apply_stripe':
      return {
        button: 'Take over from Stripe',
        does: 'The paywall takes over what Stripe says.',
        doesNot: stays,
        grave: false,
      };
    case 'set_trial_end_in_stripe':
      return repair.trial_end > now
        ? {
            button: 'Set trial end in Stripe',
            does: `Stripe takes over the trial’s end: ${instant(repair.trial_end, reader)}. It charges then, not before.`,
            doesNot: 'Does not change the paywall.',
            grave: true,
          }
        : {
            button: 'End trial in Stripe',
            does: 'The trial is over here; Stripe ends it too, and charges the customer now.',
            doesNot: 'Does not change the paywall.',
            grave: true,
          };
    case 'set_collection_in_stripe':
      return repair.paused
        ? {
            button: 'Pause collection in Stripe',
            does: `Stripe voids the subscription’s invoices${until(repair.resumes_at, reader)}: the comp is not charged for.`,
            doesNot: 'Does not change the paywall, does not pay back what was paid.',
            grave: false,
          }
        : {
            button: 'Collect again in Stripe',
            does: 'Stripe collects the subscription’s invoices again, from the next one on.',
            doesNot: 'Does not change the paywall, does not charge for what was given.',
            grave: true,
          };
    case 'cancel_subscription':
      return {
        button: 'Cancel subscription',
        does: `Stripe cancels ${repair.subscription} at once.`,
        doesNot: 'Does not pay back what was paid. It cannot be undone.',
        grave: true,
      };
    case 'enable_endpoint':
      return {
        button: 'Switch endpoint on',
        does: 'Stripe sends its events again from now on.',
        doesNot: 'What happened meanwhile is fetched by the server itself.',
        grave: false,
      };
    case 'add_events':
      return {
        button: 'Add events',
        does: `Stripe sends ${listed(repair.events)} too, from now on.`,
        doesNot: 'Events that are sent already go on.',
        grave: false,
      };
    case 'process_events':
      return {
        button: 'Fetch events',
        does: 'The server fetches these events from Stripe and acts on them.',
        doesNot: stays,
        grave: false,
      };
    case 'none':
      return { button: null, does: BY_HAND[repair.by_hand], doesNot: null, grave: false };
  }
}
