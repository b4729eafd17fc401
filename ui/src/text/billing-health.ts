import type { BillingHealth, EndpointHealth, StripeFailure } from '../host/generated/contract';
import type { StripeMode, Timestamp } from '../host/generated/domain';
import type { BillingView } from '../host/generated/ipc';
import { ago, clockTime, counted, number, quoted, span, type Reader } from './format';
import { listed } from './words';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How long an event may wait for its turn before somebody should look. */
const STALLED_MS = 10 * MINUTE;
/** How often Stripe is asked for events by a server that does not say, and for how long that may be late. */
const POLL_MS = HOUR;
const POLL_LATE_MS = 2 * HOUR;
/** How old the nightly comparison becomes at most. */
const COMPARED_MS = 36 * HOUR;
/** From when on a message is late. */
const LATE_MS = 5 * MINUTE;

/** What about billing needs somebody, one kind of thing each. */
export interface BillingTrouble {
  kind:
    | 'stripe_failing'
    | 'secret_missing'
    | 'signatures_refused'
    | 'stalled'
    | 'late'
    | 'not_compared'
    | 'drifts'
    | 'failed'
    | 'paid_not_unblocked'
    | 'in_doubt'
    | 'unknown_rows';
  /** How many things. */
  count: number;
  text: string;
  /** Where it is shown and mended. */
  tab: BillingTab;
}

/** The parts of Billing health. */
export type BillingTab = 'health' | 'drifts' | 'events' | 'conversions';

const FAILURES: Record<string, string> = {
  stripe_unreachable: 'it cannot be reached',
  stripe_key_unknown: 'it refuses the server’s key',
  stripe_permission_missing: 'the server’s key may not do that',
  stripe_object_missing: 'it does not have what was asked for',
  stripe_refused: 'it refuses what is asked',
  stripe_rate_limited: 'it asks to slow down',
  stripe_failing: 'it answers with faults',
  stripe_unreadable: 'its answer cannot be read',
  stripe_other_account: 'its key is not of the account whose subscriptions are kept here',
  stripe_other_mode: 'its key is of the other mode, live or test, than the subscriptions that are kept here',
};
/** Why Stripe does not answer the server, inside a sentence. */
export function stripeFailureText({ code, missing_permission }: StripeFailure): string {
  if (missing_permission) return `the key lacks the permission ${missing_permission}`;
  return FAILURES[code] ?? code.replaceAll('_', ' ');
}

/** Whether the newest message took too long to come. */
const comesLate = ({ webhook }: BillingHealth): boolean =>
  webhook.lag_ms !== null && webhook.lag_ms > LATE_MS;
/** Since when Stripe should have been asked, or everything compared, and was not; `null` = it was. */
function overdueSince({
  polled_at,
  poll_every_ms,
  reconciled_at,
  as_of,
}: BillingHealth): { what: string; at: number } | null {
  if (reconciled_at !== null && as_of - reconciled_at > COMPARED_MS)
    return { what: 'Not compared whole', at: reconciled_at };
  if (polled_at !== null && as_of - polled_at > (poll_every_ms ?? POLL_MS) + POLL_LATE_MS)
    return { what: 'Stripe was not asked for events', at: polled_at };
  return null;
}

function stalledFor({ inbox, as_of }: BillingHealth): number {
  // By the server’s own clock and word: how long it lasts while nobody asks is not known.
  return inbox.oldest_pending_at === null ? 0 : as_of - inbox.oldest_pending_at;
}

/** What about billing needs somebody, the gravest first. */
export function billingTroubles(view: BillingView | null): BillingTrouble[] {
  const health = view?.health;
  if (!view || !health) return [];
  const troubles: BillingTrouble[] = [];
  const add = (kind: BillingTrouble['kind'], count: number, text: string, tab: BillingTab) =>
    troubles.push({ kind, count, text, tab });
  if (health.stripe.state === 'configured' && health.stripe.error) {
    const lasts = span(Math.max(0, health.as_of - health.stripe.error.since));
    add(
      'stripe_failing',
      1,
      `The server cannot ask Stripe for ${lasts} — ${stripeFailureText(health.stripe.error)}`,
      'health',
    );
  }
  if (health.stripe.state === 'configured' && !health.webhook.secret_configured)
    add(
      'secret_missing',
      1,
      'The server has no webhook secret — it refuses every message of Stripe’s',
      'health',
    );
  // Those that are paid and locked out are differences already, wherever one is known.
  if (view.paid_unnoticed > 0)
    add(
      'paid_not_unblocked',
      view.paid_unnoticed,
      `${number(view.paid_unnoticed)} paid and still locked out`,
      'conversions',
    );
  const drifts = health.drifts.reduce((sum, it) => sum + it.count, 0);
  const locked = health.drifts.find((it) => it.kind === 'paid_but_blocked')?.count ?? 0;
  if (drifts > 0)
    add(
      'drifts',
      drifts,
      `${counted(drifts, 'difference')} between Stripe and the paywall${locked > 0 ? ` — ${number(locked)} paid and locked out` : ''}`,
      'drifts',
    );
  if (health.inbox.failed > 0)
    add(
      'failed',
      health.inbox.failed,
      `${counted(health.inbox.failed, 'event')} of Stripe’s could not be processed`,
      'events',
    );
  const stalled = stalledFor(health);
  if (stalled > STALLED_MS)
    add('stalled', 1, `Events wait for ${span(stalled)} — the server does not get on with them`, 'events');
  const overdue = overdueSince(health);
  if (overdue)
    add(
      'not_compared',
      1,
      `${overdue.what} for ${span(health.as_of - overdue.at)} — what differs since then is not known`,
      'health',
    );
  if (comesLate(health))
    add('late', 1, `Stripe’s messages come ${span(health.webhook.lag_ms ?? 0)} late`, 'health');
  if (health.webhook.refused_signatures > 0)
    add(
      'signatures_refused',
      1,
      `${counted(health.webhook.refused_signatures, 'message')} with a wrong signature in 24 h — is the webhook secret the right one?`,
      'health',
    );
  if (view.unsettled.length > 0)
    add(
      'in_doubt',
      view.unsettled.length,
      `${counted(view.unsettled.length, 'repair')} whose answer was lost`,
      'drifts',
    );
  if (view.unknown > 0)
    add(
      'unknown_rows',
      1,
      `The server lists ${counted(view.unknown, 'thing')} that this console does not know — update it`,
      'health',
    );
  return troubles;
}

/** How many things about billing need somebody. */
export const billingNeeds = (view: BillingView | null): number =>
  billingTroubles(view).reduce((sum, it) => sum + it.count, 0);

/** How billing is in one line; the word and the mark carry it, the colour only comes beside. */
export interface BillingVerdict {
  tone: 'full' | 'grace' | 'unknown';
  mark: string;
  headline: string;
  text: string;
}

/** What was never seen to work, so that nobody can say that it does; `null` = all of it was. */
function unproven({ webhook, reconciled_at }: BillingHealth): string | null {
  const said = [
    webhook.last_received_at === null ? 'No message of Stripe’s has ever come here.' : null,
    reconciled_at === null ? 'Stripe and the paywall were never compared whole.' : null,
  ].filter((it) => it !== null);
  return said.length > 0 ? said.join(' ') : null;
}

/** How billing is. `offline`: the server is not reached, so it is the copy’s word. */
export function billingVerdict(
  view: BillingView,
  offline: boolean,
  now: Timestamp,
  reader: Reader = {},
): BillingVerdict {
  const { health } = view;
  const needs = billingNeeds(view);
  const copy =
    view.as_of === null ? '' : ` This is the copy of ${clockTime(view.as_of, { now, ...reader })}.`;
  // Why this is the copy’s word alone.
  const why = offline ? ' The server is not reached.' : view.failure ? ' It could not be read since.' : null;
  const unread = why === null ? '' : `${why}${copy}`;
  if (!health)
    return { tone: 'unknown', mark: '?', headline: 'CAN’T TELL', text: `Nothing was read yet.${unread}` };
  if (needs > 0)
    return {
      tone: 'grace',
      mark: '▲',
      headline: `${number(needs)} ${needs === 1 ? 'THING NEEDS' : 'THINGS NEED'} SOMEBODY`,
      text: (why === null ? 'Everything else goes on by itself.' : unread).trim(),
    };
  const missing = unproven(health);
  if (missing)
    return {
      tone: 'unknown',
      mark: '?',
      headline: 'CAN’T TELL YET',
      text: `${missing}${unread}`,
    };
  const parked = health.inbox.parked;
  const beside =
    parked > 0 ? ` ${counted(parked, 'event')} ${parked === 1 ? 'is' : 'are'} parked and tried again.` : '';
  return {
    tone: why === null ? 'full' : 'unknown',
    mark: why === null ? '✔' : '?',
    headline: why === null ? 'BILLING IS WELL' : 'WELL WHEN LAST READ',
    text: `Stripe’s messages arrive, and nothing differs between Stripe and the paywall.${beside}${unread}`,
  };
}

/** One line on how billing is connected. */
export interface BillingLine {
  label: string;
  text: string;
  /** What to do about it. */
  next: string | null;
  warns: boolean;
}

const line = (label: string, text: string, next: string | null = null, warns = false): BillingLine => ({
  label,
  text,
  next,
  warns,
});
const KEY_KINDS = { restricted: 'restricted key', secret: 'full secret key' } as const;
export const stripeModeWord = (mode: StripeMode): string => (mode === 'live' ? 'Live' : 'Test');

function connection({ stripe }: BillingHealth, reader: Reader & { now: Timestamp }): BillingLine {
  if (stripe.state === 'not_configured') return line('Stripe', 'No key: there is no billing');
  const what = `${stripeModeWord(stripe.mode)} mode, ${KEY_KINDS[stripe.key_kind]}`;
  if (stripe.error) {
    const next = stripe.error.missing_permission
      ? `Give the server’s key the permission ${stripe.error.missing_permission} in Stripe.`
      : /^stripe_other_/.test(stripe.error.code)
        ? 'Nothing is taken over meanwhile, and nobody loses access. Put back the key of that account.'
        : 'The server tries again by itself. Look at status.stripe.com, and at the server’s way out.';
    const request = stripe.error.request_id ? ` (${stripe.error.request_id})` : '';
    return line(
      'Stripe',
      `${what}: not asked since ${clockTime(stripe.error.since, reader)}, ${stripeFailureText(stripe.error)}${request}`,
      next,
      true,
    );
  }
  const full =
    stripe.key_kind === 'secret'
      ? 'A restricted key with the permissions in docs/stripe.md is enough.'
      : null;
  return line('Stripe', `${what} · ${stripe.reachable === null ? 'not asked yet' : 'answers'}`, full);
}

function endpointLine(endpoint: EndpointHealth | null): BillingLine {
  const label = 'Endpoint';
  if (!endpoint)
    return line(
      label,
      'None in Stripe leads here, or the key may not list them',
      'See the difference “No webhook endpoint”, or give the key the permission rak_webhook_read.',
    );
  if (endpoint.status === 'disabled')
    return line(label, `${quoted(endpoint.url)} is off`, 'It can be switched on under Differences.', true);
  if (endpoint.missing_events.length > 0)
    return line(
      label,
      `${quoted(endpoint.url)} is on, but hears nothing of ${listed(endpoint.missing_events)}`,
      'They can be added under Differences.',
      true,
    );
  return line(label, `${quoted(endpoint.url)} is on and hears of everything`);
}

function messages(health: BillingHealth, reader: Reader & { now: Timestamp }): BillingLine {
  const { webhook } = health;
  const label = 'Messages';
  if (!webhook.secret_configured)
    return line(
      label,
      'Refused, all of them: the server has no secret to check them with',
      'Set stripe_webhook_secret on the server, from the endpoint’s page in Stripe.',
      true,
    );
  const wrong =
    webhook.refused_signatures > 0
      ? ` · ${number(webhook.refused_signatures)} refused in 24 h for a wrong signature`
      : '';
  const next = wrong ? 'Compare stripe_webhook_secret with the endpoint’s page in Stripe.' : null;
  if (webhook.last_received_at === null) return line(label, `None came yet${wrong}`, next, wrong !== '');
  const lag = webhook.lag_ms === null ? '' : ` · ${lagText(webhook.lag_ms)} after it happened`;
  return line(
    label,
    `The last came ${ago(webhook.last_received_at, reader.now)}${lag}${wrong}`,
    next,
    comesLate(health) || wrong !== '',
  );
}

/** How long something took, from milliseconds on. A clock that is off makes it less than nothing. */
export function lagText(ms: number): string {
  if (ms < 0) return '0 s';
  return ms < MINUTE ? `${(Math.round(ms / 100) / 10).toFixed(1)} s` : span(ms);
}

function inbox(health: BillingHealth): BillingLine {
  const label = 'Inbox';
  const { pending } = health.inbox;
  if (pending === 0) return line(label, 'Nothing waits');
  const stalled = stalledFor(health);
  const waits = `${counted(pending, 'event')} ${pending === 1 ? 'waits' : 'wait'}${stalled > 0 ? `, the oldest for ${span(stalled)}` : ''}`;
  return stalled > STALLED_MS
    ? line(
        label,
        waits,
        'See that the server’s database and Stripe answer; the server’s log tells more.',
        true,
      )
    : line(label, waits);
}

function compared(health: BillingHealth, reader: Reader & { now: Timestamp }): BillingLine {
  const { polled_at, reconciled_at } = health;
  const asked =
    polled_at === null ? 'Not asked for events yet' : `Asked for events ${ago(polled_at, reader.now)}`;
  const all =
    reconciled_at === null ? 'never compared whole' : `all compared ${ago(reconciled_at, reader.now)}`;
  const old = overdueSince(health) !== null;
  const next = old
    ? `It is asked every ${span(health.poll_every_ms ?? POLL_MS)} and compared every night. See that a server runs, and its log.`
    : null;
  return line('Comparison', `${asked} · ${all}`, next, old);
}

/** How billing is connected, line by line; `reader.now` is the present, by which ages go on. */
export function billingLines(health: BillingHealth, reader: Reader & { now: Timestamp }): BillingLine[] {
  return [
    connection(health, reader),
    endpointLine(health.webhook.endpoint),
    messages(health, reader),
    inbox(health),
    compared(health, reader),
  ];
}
