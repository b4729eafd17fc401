import type { Tenant } from '../host/generated/contract';
import type { Denial, PlanId, Timestamp } from '../host/generated/domain';
import type { Billing } from '../host/generated/ipc';
import { ago, dateOf, instant, meterAmount, money, quoted, type Reader } from './format';
import { listed, meterNoun, operationWord } from './words';

/** How a verdict looks: its shape and colour. Never without its words. */
export type VerdictTone = 'full' | 'grace' | 'partial' | 'locked' | 'suspended' | 'unknown';

/** What unblocks: the changes that answer to the rules that deny, the likeliest first. */
export type Fix = 'extend_trial' | 'comp' | 'reinstate' | 'override_quota';

/** A tenant's access for a person: who is blocked, since when, by which rule, what unblocks. */
export interface Verdict {
  tone: VerdictTone;
  mark: string;
  /** The access and since when, in one line. */
  headline: string;
  /** Every rule that denies, in the order in which the server checks them. */
  causes: string[];
  /** What still works or stays blocked beside; `null` = the causes say it all. */
  remains: string | null;
  /** Why this is only the copy's word, and what that was; `null` = it is the server's of just now. */
  stale: string | null;
  /** Billing and the last refusal. */
  facts: string[];
  fixes: Fix[];
}

/** What the verdict is told beside the tenant itself. */
export interface VerdictTold {
  /** The names of plans by id; an id without a name stands for itself. */
  plans: Partial<Record<PlanId, string>>;
  /** What Stripe says; `null` = no customer, Stripe's data is not here, or the customer is not in it. */
  billing: Billing | null;
  /** Whether Stripe's data is here at all. */
  stripeKnown: boolean;
  /** The instant for which the copy is complete. */
  asOf: Timestamp | null;
  /** Whether the server is not reached now. */
  offline: boolean;
  now: Timestamp;
  zone?: string;
}

const MARKS: Record<VerdictTone, string> = {
  full: '✔',
  grace: '▲',
  partial: '◑',
  locked: '✖',
  suspended: '■',
  unknown: '?',
};

/** A trial by its plan, inside a sentence. A plan that is called so needs no second word for it. */
function trialOf(planName: string): string {
  if (/^trial$/i.test(planName)) return 'trial';
  return /\strial$/i.test(planName) ? planName : `${planName} trial`;
}

function cause(denial: Denial, planName: string, reader: Reader): string {
  switch (denial.code) {
    case 'suspended': {
      const told = denial.message ? ` They are told: ${quoted(denial.message)}` : ' They are told no reason.';
      const why = denial.reason ? `: ${quoted(denial.reason)}` : '';
      return `Suspended by ${quoted(denial.by)} on ${instant(denial.since, reader)}${why}.${told}`;
    }
    case 'payment_overdue': {
      const since = denial.since === null ? '' : ` since ${instant(denial.since, reader)}`;
      const grace =
        denial.grace_ended_at === null ? '' : `; grace ended ${instant(denial.grace_ended_at, reader)}`;
      return `A payment is overdue${since}${grace}.`;
    }
    case 'subscription_ended':
      return denial.ended_at === null
        ? `The ${planName} subscription ended.`
        : `The ${planName} subscription ended ${instant(denial.ended_at, reader)}.`;
    case 'trial_ended':
      return denial.ended_at === null
        ? 'It never had a trial, and pays for nothing.'
        : `The ${trialOf(planName)} ended ${instant(denial.ended_at, reader)}.`;
    case 'quota_exhausted': {
      const used = `${meterAmount(denial.meter, denial.used)} of ${meterAmount(denial.meter, denial.limit)}`;
      const until = denial.resets_at === null ? '' : `, until ${instant(denial.resets_at, reader)}`;
      return `Its ${meterNoun(denial.meter)} are used up: ${used}${until}.`.replace(
        'storage are',
        'storage is',
      );
    }
    case 'unknown_tenant':
      return 'The paywall does not know this tenant.';
    case 'paywall_unavailable':
      return 'The paywall could not decide, and blocks to be safe.';
  }
}

function fixesFor(denials: Denial[], level: Tenant['access']['level']): Fix[] {
  // While it is suspended, nothing else gives access.
  if (denials.some((it) => it.code === 'suspended')) return ['reinstate'];
  const fixes = new Set<Fix>();
  for (const denial of denials) {
    if (denial.code === 'trial_ended') fixes.add('extend_trial').add('comp');
    if (denial.code === 'subscription_ended' || denial.code === 'payment_overdue')
      fixes.add('comp').add('extend_trial');
    if (denial.code === 'quota_exhausted') fixes.add('override_quota');
  }
  if (fixes.size === 0 && level === 'grace') fixes.add('comp');
  return [...fixes];
}

function remaining(tenant: Tenant): string | null {
  const { denials, denied, level } = tenant.access;
  const quotas = denials.filter((it) => it.code === 'quota_exhausted');
  const standing = denials.filter((it) => it.code !== 'quota_exhausted');
  if (level === 'partial') {
    const works = (['generate', 'retrieve', 'upload', 'parse', 'create', 'invite'] as const).filter(
      (it) => !denied.includes(it),
    );
    return `${capital(listed(works.map(operationWord)))} ${works.length === 1 ? 'still goes on' : 'still work'}.`;
  }
  if (standing.length > 1) return 'Each of these has to be lifted: the first alone does not give access.';
  if (standing.length > 0 && quotas.length > 0) {
    const meters = listed(quotas.map((it) => meterNoun(it.meter)));
    return `Giving access back does not lift the limit on ${meters}: what needs ${quotas.length === 1 ? 'it' : 'them'} stays blocked.`;
  }
  return null;
}

function paid(tenant: Tenant, told: VerdictTold, reader: Reader): string {
  const { facts } = tenant;
  if (tenant.stripe_customer === null) return 'No Stripe customer; no payment was tried.';
  const subscription = facts.subscription;
  if (!told.stripeKnown) return 'Stripe’s data is not here, so payments are not known.';
  const billing = told.billing;
  if (billing?.deleted) return 'Its Stripe customer was deleted.';
  const open = billing?.invoices?.find((it) => it.remaining.amount > 0 && it.attempts > 0);
  if (open) {
    const times = open.attempts === 1 ? 'once' : `${open.attempts}×`;
    return `${money(open.remaining, { code: true })} is open; payment was tried ${times}.`;
  }
  const card =
    billing?.payment_method === true
      ? 'a card is on file'
      : billing?.payment_method === false
        ? 'no card on file'
        : null;
  if (subscription && subscription.current_period_end !== null && subscription.status === 'active') {
    const ends = subscription.cancel_at_period_end ? 'and then ends' : 'and renews';
    return `Paid until ${dateOf(subscription.current_period_end, reader)} ${ends}${card ? `; ${card}` : ''}.`;
  }
  if (!billing) return `Stripe customer ${tenant.stripe_customer} is not in the copy of Stripe.`;
  if (!subscription) {
    const tried = billing.invoices ? 'no payment was tried' : 'whether a payment was tried is not known';
    return `No subscription${card ? `; ${card}` : ''}; ${tried}.`;
  }
  return card ? `${capital(card)}.` : 'Whether a card is on file is not known.';
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The verdict: the server's own decision in words. Nothing of it is decided here. */
export function verdict(tenant: Tenant, told: VerdictTold): Verdict {
  const reader: Reader = { now: told.now, ...(told.zone ? { zone: told.zone } : {}) };
  const { access, facts } = tenant;
  const planName = told.plans[facts.plan] ?? facts.plan;
  const suspension = access.denials.find((it) => it.code === 'suspended');
  const tone: VerdictTone = suspension ? 'suspended' : access.level;

  const outdated = access.holds_until !== null && told.now >= access.holds_until;
  // A suspension began when it began, even where access was gone before.
  const began = suspension ? suspension.since : access.since;
  const since = began === null ? '' : ` since ${instant(began, reader)}`;
  let headline: string;
  switch (tone) {
    case 'suspended':
      headline = `SUSPENDED${since}`;
      break;
    case 'locked':
      headline = `LOCKED OUT${since}`;
      break;
    case 'partial':
      headline = `PARTLY BLOCKED — ${listed(access.denied.map(operationWord))}`;
      break;
    case 'grace': {
      const end = facts.subscription?.grace_ends_at ?? null;
      headline = `ACCESS, GRACE — a payment failed${end === null ? '' : `; access ends ${instant(end, reader)}`}`;
      break;
    }
    default:
      headline = `ACCESS — ${reason(tenant, told, reader)}`;
  }
  const causes = access.denials.map((it) => cause(it, planName, reader));

  let stale: string | null = null;
  if (told.offline || outdated) {
    const copy = told.asOf ?? tenant.as_of;
    const word = outdated
      ? `The server’s answer held until ${instant(access.holds_until as Timestamp, reader)}`
      : 'The paywall server is not reached';
    stale = `${word}. From the copy of ${instant(copy, reader)}.`;
  }
  const factLines = [paid(tenant, told, reader)];
  if (tenant.last_refusal) {
    const { at, method, path, http_status } = tenant.last_refusal;
    factLines.push(`Last request refused ${ago(at, told.now)} (${method} ${path}, ${http_status}).`);
  } else {
    factLines.push('No refused request is known.');
  }
  if (tenant.deleted_at !== null) factLines.push(`Deleted in RAGFlow ${instant(tenant.deleted_at, reader)}.`);

  const remains = remaining(tenant);
  if (outdated) {
    return {
      tone: 'unknown',
      mark: MARKS.unknown,
      headline: `CAN’T TELL — time passed since the copy said: ${headline}`,
      causes,
      remains,
      stale,
      facts: factLines,
      fixes: fixesFor(access.denials, access.level),
    };
  }
  return {
    tone,
    mark: MARKS[tone],
    headline,
    causes,
    remains,
    stale,
    facts: factLines,
    fixes: fixesFor(access.denials, access.level),
  };
}

/** Why a tenant with full access has it. */
function reason(tenant: Tenant, told: VerdictTold, reader: Reader): string {
  const { facts } = tenant;
  const inForce = told.plans[tenant.plan_in_force] ?? tenant.plan_in_force;
  if (facts.comp && (facts.comp.until === null || facts.comp.until > told.now)) {
    const until = facts.comp.until === null ? 'with no end' : `until ${instant(facts.comp.until, reader)}`;
    const plan = told.plans[facts.comp.plan] ?? facts.comp.plan;
    return `${plan} comped ${until}; nothing is blocking.`;
  }
  if (tenant.status === 'active') {
    const end = facts.subscription?.current_period_end ?? null;
    return end === null
      ? 'paid; nothing is blocking.'
      : `paid until ${dateOf(end, reader)}; nothing is blocking.`;
  }
  if (tenant.status === 'trial' && facts.trial && facts.trial.ends_at > tenant.as_of) {
    return `${trialOf(inForce)} until ${instant(facts.trial.ends_at, reader)}; nothing is blocking.`;
  }
  return 'nothing is blocking.';
}
