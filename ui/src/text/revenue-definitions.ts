import type { Definition } from './definitions';

const SOURCE = 'Stripe’s subscriptions, prices and invoices, from the local copy.';
const DASHBOARD =
  'Stripe’s dashboard converts all currencies into one, closes its day in your account’s zone and counts cancellations and discounts by its own rules. The lens “Stripe” counts by those, and “Reconcile” lists every customer that differs.';
const OUT = 'Trials, one-time charges, metered usage, tax that is added to the price.';

const of = (
  title: string,
  text: string,
  excludes: string,
  differs: string | null = DASHBOARD,
): Definition => ({
  title,
  text,
  excludes,
  source: SOURCE,
  differs,
});

/** What each figure of Revenue means. */
export const REVENUE_DEFINITIONS = {
  mrr: of(
    'Monthly recurring revenue',
    'What active and past-due subscriptions bring per month at their licensed prices, after recurring discounts; a yearly price counts a twelfth. Shown as of the end of today, against 30 days ago.',
    `${OUT} The lens says where another definition differs.`,
  ),
  arr: of('Annual recurring revenue', 'Twelve times MRR. It is no forecast.', OUT),
  quick_ratio: of(
    'Quick ratio',
    'What was gained (new, expansion, reactivation) divided by what was lost (contraction, churn) in the last 30 days.',
    'It says nothing where nothing was lost.',
    'Stripe does not show it.',
  ),
  mrr_churn: of(
    'MRR churn',
    'Churn and contraction of the last 30 days, divided by the MRR at their start. Beside it, customers: those who paid at the start and do not now, divided by those who paid at the start.',
    'Expansion and reactivation do not lower it. Of fewer than ten customers the counts are shown.',
  ),
  nrr: of(
    'Net revenue retention',
    'The MRR of 30 days ago with its expansion, contraction and churn since, divided by itself: above 100 % the present customers alone grow.',
    'New customers and reactivation.',
  ),
  arpa: of(
    'Average revenue per account',
    'MRR divided by the customers who pay it.',
    'Customers who pay nothing.',
  ),
  ltv: of(
    'Lifetime value',
    'Average revenue per account divided by the churn of customers of the last 30 days: what a customer brings if that goes on.',
    'It is not shown below ten churned customers: it would be a guess. Costs are not taken off.',
  ),
  start: of('At the start', 'MRR at the close of the day before the period.', OUT),
  end: of('At the end', 'MRR at the close of the period’s last day; of the running one, of today.', OUT),
  new: of('New', 'From zero, by customers who never paid before.', 'Trials: they are new when they pay.'),
  expansion: of(
    'Expansion',
    'More than before by a customer who paid: another plan, more seats, a discount that ran out.',
    'Exchange rates are never a movement.',
  ),
  reactivation: of(
    'Reactivation',
    'From zero, by customers who paid before.',
    'Exchange rates are never a movement.',
  ),
  contraction: of(
    'Contraction',
    'Less than before, and still above zero; ending one of two subscriptions is this too.',
    'Exchange rates are never a movement.',
  ),
  churn: of(
    'Churn',
    'To zero: the customer’s last subscription ended, or is unpaid.',
    'A cancellation for later counts when the paid period ends.',
  ),
  net: of('Net', 'All movements together: the end less the start, to the last digit.', 'Exchange rates.'),
  exchange: of(
    'Exchange rates',
    'What the rates did: the end less the start less all movements, each at the rate of its day.',
    'It is no movement: nobody pays more or less in their own currency.',
  ),
  customers: of('Customers', 'Who pays more than zero at the end of the period.', 'Trials and free plans.'),
  customer_churn: of(
    'Customer churn',
    'Customers who paid at the start of the period and not at its end, divided by those at its start.',
    'Of fewer than ten the counts are shown.',
  ),
  invoices: of(
    'Invoices',
    'What was billed, by the day on which an invoice became final. It is not revenue: yearly invoices are billed once.',
    'Nothing: drafts are listed too, without a number.',
    'Stripe lists by the day on which an invoice was made.',
  ),
  failed: of(
    'Failed payments',
    'Invoices billed in the month whose payment failed at least once.',
    'Invoices that nobody tried to collect.',
    'Stripe counts failed attempts; one invoice can have several.',
  ),
  recovered: of(
    'Recovered',
    'Of the invoices whose payment failed, those that a later attempt paid. The rate is of those that are decided.',
    'Those that wait are in no rate.',
    'Stripe attributes recovered revenue to its own retries and mails only.',
  ),
  waiting: of(
    'Waiting',
    'Still open: payment is tried again or asked for.',
    'Those written off or taken back.',
    null,
  ),
  given_up: of('Given up', 'Written off as uncollectible, or taken back.', 'Those still open.', null),
  cohort: of(
    'Cohort',
    'The customers who began to pay in one month, and how much of their MRR is left at each later month’s close. It can be above 100 %: expansion counts.',
    'Customers of other currencies, who have a table of their own.',
  ),
  conversion: of(
    'Trial conversion, by start',
    'Of the trials that began in the month and are decided, how many converted: their first invoice above zero was paid.',
    'Trials that still run or wait for a payment: they are undecided and in no rate. Of fewer than ten the counts are shown.',
    'Stripe counts by the month in which a trial ends.',
  ),
  rolling: of(
    'Trial conversion, Stripe’s basis',
    'Of the trials that ended in the last 30 days, how many converted.',
    'Trials that still run.',
    null,
  ),
  committed: of(
    'Committed MRR',
    'What recurs at that month’s end if nobody changes anything any more: scheduled cancellations and discounts that end are counted.',
    'Trials: they are shown beside it, by whether a payment method is on file.',
    'Stripe does not show it.',
  ),
  forecast: of(
    'Forecast',
    'MRR now, and the average net growth of the last full months added for each month ahead.',
    'Seasons, price changes and anything else that has not happened yet.',
    'Stripe does not show it.',
  ),
} satisfies Record<string, Definition>;
