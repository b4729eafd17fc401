import type { Snapshot, Tag } from '../generated/contract';
import type {
  Access,
  Change,
  Denial,
  Meter,
  Operation,
  Plan,
  Reading,
  Status,
  TenantFacts,
  Timestamp,
} from '../generated/domain';

// The server's rules, so that changes to the world in the page have the results they would have.

export const DAY = 86_400_000;
export const METERS: Meter[] = [
  'messages',
  'tokens',
  'api_requests',
  'documents',
  'storage_bytes',
  'datasets',
  'seats',
];
const NEEDS: Record<Operation, Meter[]> = {
  generate: ['messages', 'tokens', 'api_requests'],
  retrieve: ['api_requests'],
  upload: ['documents', 'storage_bytes'],
  parse: ['tokens'],
  create: ['datasets'],
  invite: ['seats'],
};

export interface Usage {
  used: Partial<Record<Meter, number>>;
  resets_at: Timestamp;
}

const comped = (facts: TenantFacts, now: Timestamp) =>
  facts.comp !== null && (facts.comp.until === null || facts.comp.until > now);
const trying = (facts: TenantFacts, now: Timestamp) => facts.trial !== null && facts.trial.ends_at > now;
function subscribed(facts: TenantFacts, now: Timestamp): boolean {
  const it = facts.subscription;
  if (!it) return false;
  if (it.status === 'active' || it.status === 'trialing') return true;
  return it.status === 'past_due' && it.grace_ends_at !== null && it.grace_ends_at > now;
}

export function statusOf(facts: TenantFacts, now: Timestamp): Status {
  if (facts.suspension) return 'suspended';
  if (comped(facts, now)) return 'active';
  if (subscribed(facts, now)) return facts.subscription?.status === 'past_due' ? 'past_due' : 'active';
  return trying(facts, now) ? 'trial' : 'expired';
}

export function planInForce(facts: TenantFacts, now: Timestamp): string {
  return facts.comp && comped(facts, now) ? facts.comp.plan : facts.plan;
}

export function readingsOf(facts: TenantFacts, plan: Plan, usage: Usage, now: Timestamp): Reading[] {
  return METERS.map((meter) => {
    const override = facts.overrides[meter];
    const overridden = override !== undefined && (override.expires_at === null || override.expires_at > now);
    const plan_limit = plan.limits[meter] ?? null;
    const limit = overridden ? override.limit : plan_limit;
    const used = usage.used[meter] ?? null;
    const counter = meter === 'messages' || meter === 'tokens' || meter === 'api_requests';
    return {
      meter,
      used,
      limit,
      plan_limit,
      overridden,
      override_expires_at: overridden ? override.expires_at : null,
      resets_at: counter ? usage.resets_at : null,
      exhausted: used !== null && limit !== null && used >= limit,
    };
  });
}

function lapse(facts: TenantFacts): Denial {
  const trial: Denial = { code: 'trial_ended', ended_at: facts.trial?.ends_at ?? null };
  const it = facts.subscription;
  if (it?.status === 'past_due' || it?.status === 'unpaid') {
    return {
      code: 'payment_overdue',
      since: it.overdue_since,
      grace_ended_at: it.grace_ends_at ?? it.ended_at,
    };
  }
  if (it?.status === 'canceled' || it?.status === 'paused') {
    return { code: 'subscription_ended', ended_at: it.ended_at };
  }
  return trial;
}

export function accessOf(facts: TenantFacts, plan: Plan, usage: Usage, now: Timestamp): Access {
  const standing: Denial[] = [];
  if (facts.suspension) standing.push({ code: 'suspended', ...facts.suspension });
  if (!comped(facts, now) && !subscribed(facts, now) && !trying(facts, now)) standing.push(lapse(facts));
  const readings = readingsOf(facts, plan, usage, now);
  const exhausted = readings.filter((it) => it.exhausted);
  const denials: Denial[] = [...standing];
  for (const { meter, used, limit, resets_at } of exhausted) {
    if (used !== null && limit !== null)
      denials.push({ code: 'quota_exhausted', meter, used, limit, resets_at });
  }
  const operations = Object.keys(NEEDS) as Operation[];
  const denied =
    standing.length > 0
      ? operations
      : operations.filter((it) => NEEDS[it].some((meter) => exhausted.some((e) => e.meter === meter)));
  const since = denials
    .map((it) => {
      if (it.code === 'suspended') return it.since;
      if (it.code === 'payment_overdue') return it.grace_ended_at;
      if (it.code === 'subscription_ended' || it.code === 'trial_ended') return it.ended_at;
      return null;
    })
    .filter((it) => it !== null);
  const turns = [
    facts.trial?.ends_at,
    facts.comp?.until,
    facts.subscription?.status === 'past_due' ? facts.subscription.grace_ends_at : null,
    usage.resets_at,
    ...Object.values(facts.overrides).map((it) => it.expires_at),
  ].filter((it): it is number => typeof it === 'number' && it > now);
  const locked = standing.length > 0 || denied.length === operations.length;
  const grace = statusOf(facts, now) === 'past_due';
  return {
    level: locked ? 'locked' : denied.length > 0 ? 'partial' : grace ? 'grace' : 'full',
    denied,
    denials,
    since: since.length > 0 ? Math.min(...since) : null,
    holds_until: turns.length > 0 ? Math.min(...turns) : null,
  };
}

export function tagsOf(facts: TenantFacts, deleted: boolean, now: Timestamp): Tag[] {
  const tags: Tag[] = [];
  if (comped(facts, now)) tags.push('comped');
  if ((facts.trial?.extensions ?? 0) > 0) tags.push('extended');
  if (Object.values(facts.overrides).some((it) => it.expires_at === null || it.expires_at > now)) {
    tags.push('overridden');
  }
  if (deleted) tags.push('deleted');
  return tags;
}

export function snapshotOf(facts: TenantFacts, plans: Plan[], usage: Usage, now: Timestamp): Snapshot {
  const plan = plans.find((it) => it.id === planInForce(facts, now)) as Plan;
  return {
    facts,
    status: statusOf(facts, now),
    access: accessOf(facts, plan, usage, now),
    meters: readingsOf(facts, plan, usage, now),
  };
}

/** The facts after a change, or the word for why it cannot be made. */
export function applied(
  facts: TenantFacts,
  change: Change,
  actor: string,
  reason: string,
  plans: Plan[],
  now: Timestamp,
): TenantFacts | string {
  switch (change.kind) {
    case 'extend_trial': {
      const from = facts.trial ?? { started_at: now, ends_at: now, extensions: 0, extended_ms: 0 };
      let end: number;
      if ('days' in change.target) {
        if (!Number.isInteger(change.target.days) || change.target.days < 1 || change.target.days > 365) {
          return 'days_out_of_range';
        }
        end = Math.max(now, from.ends_at) + change.target.days * DAY;
      } else {
        end = change.target.until;
        if (end <= now || end < from.ends_at || end > now + 366 * DAY) return 'end_out_of_range';
      }
      const gained = end - Math.max(now, from.ends_at);
      return {
        ...facts,
        trial: {
          ...from,
          ends_at: end,
          extensions: from.extensions + 1,
          extended_ms: from.extended_ms + gained,
        },
      };
    }
    case 'end_trial':
      if (!facts.trial || facts.trial.ends_at <= now) return 'no_trial_running';
      return { ...facts, trial: { ...facts.trial, ends_at: now } };
    case 'override_quota':
      if (change.limit !== null && (!Number.isSafeInteger(change.limit) || change.limit < 0)) {
        return 'limit_out_of_range';
      }
      if (change.expires_at !== null && change.expires_at <= now) return 'expiry_in_past';
      return {
        ...facts,
        overrides: {
          ...facts.overrides,
          [change.meter]: { limit: change.limit, expires_at: change.expires_at, reason },
        },
      };
    case 'remove_override': {
      if (!facts.overrides[change.meter]) return 'no_override';
      const overrides = { ...facts.overrides };
      delete overrides[change.meter];
      return { ...facts, overrides };
    }
    case 'comp':
      if (!plans.some((it) => it.id === change.plan)) return 'unknown_plan';
      if (change.until !== null && change.until <= now) return 'expiry_in_past';
      return { ...facts, comp: { plan: change.plan, since: now, until: change.until } };
    case 'suspend':
      if (facts.suspension) return 'already_suspended';
      return { ...facts, suspension: { since: now, by: actor, reason, message: change.message } };
    case 'reinstate':
      return facts.suspension ? { ...facts, suspension: null } : 'not_suspended';
    case 'change_plan':
      if (!plans.some((it) => it.id === change.plan)) return 'unknown_plan';
      return change.plan === facts.plan ? 'same_plan' : { ...facts, plan: change.plan };
    case 'repair_billing':
      return 'only_by_repair';
    case 'note':
      return facts;
  }
}
