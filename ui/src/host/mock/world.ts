import type { Member, Refusal, TimelineBody, TimelineEntry } from '../generated/contract';
import type { Item, Meter, Plan, Subscription, TenantFacts, Timestamp } from '../generated/domain';
import type { Billing, Money } from '../generated/ipc';
import { cast, usd, type Given } from './cast';
import { accessOf, DAY, planInForce, type Usage } from './rules';

/** A tenant of the world in the page, with nothing derived. */
export interface Person {
  id: string;
  name: string;
  email: string;
  created_at: Timestamp;
  deleted_at: Timestamp | null;
  stripe_customer: string | null;
  facts: TenantFacts;
  usage: Usage;
  measured_at: Timestamp | null;
  members: Member[];
  last_active_at: Timestamp | null;
  last_refusal: Refusal | null;
  version: number;
  mrr: Money[];
  billing: Billing | null;
}

export interface World {
  plans: Plan[];
  people: Map<string, Person>;
  /** Newest first. */
  entries: TimelineEntry[];
}

const GB = 1_000_000_000;
export const PLANS: Plan[] = [
  plan('free', 'Free', [100, 200_000, 500, 20, GB / 2, 2, 1]),
  plan('pro', 'Pro', [1000, 5_000_000, 20_000, 500, 10 * GB, 20, 5]),
  plan('team', 'Team', [10_000, 50_000_000, null, 5000, 100 * GB, 200, 25]),
  plan('scale', 'Scale', [null, null, null, null, 1000 * GB, null, 200]),
];

function plan(id: string, name: string, limits: (number | null)[]): Plan {
  const [messages, tokens, api_requests, documents, storage_bytes, datasets, seats] = limits as [
    number | null,
    number | null,
    number | null,
    number | null,
    number | null,
    number | null,
    number | null,
  ];
  return {
    id,
    name,
    limits: { messages, tokens, api_requests, documents, storage_bytes, datasets, seats },
    stripe_prices: [`price_${id}_month`],
    trial_days: 14,
  };
}

/** What is subscribed to at so much a month: three at a third where that comes out even, else one. */
export function itemOf(plan: string, monthly: Money, { current_period_end: end }: Subscription): Item {
  const quantity = monthly.amount % 300 === 0 ? 3 : 1;
  return {
    price: `price_${plan}_month`,
    quantity,
    unit_amount: monthly.amount / quantity,
    interval: 'month',
    interval_count: 1,
    current_period_start: end === null ? null : end - 30 * DAY,
    current_period_end: end,
  };
}

/** A generator that gives the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const COMPANIES =
  'Amber,Birch,Cobalt,Delta,Ember,Fjord,Garnet,Harbor,Iris,Juniper,Kestrel,Linden,Maple,Nimbus,Onyx,Poplar,Quartz,Raven,Sable,Tundra,Umbra,Vale,Willow,Yarrow,Zephyr'.split(
    ',',
  );
const TRADES =
  'Analytics,Health,Legal,Robotics,Foods,Energy,Media,Logistics,Bank,Insurance,Studio,Research,Textiles,Travel,Software,Optics,Marine,Schools'.split(
    ',',
  );
const FORMS = 'GmbH,Ltd,Inc,SARL,AB,BV,Oy,SpA'.split(',');

/** What a tenant paid, got back and disputes. */
function paid(
  id: string,
  mrr: Money[],
  given: Given,
  now: Timestamp,
): Pick<Billing, 'payments' | 'refunds' | 'disputes' | 'credit_notes'> {
  const at = (back: number) => now - (back * 30 + 3) * DAY;
  const charge = (amount: Money, back: number) => `ch_1Q${id.slice(0, 10)}${back}${amount.currency}`;
  const nothing = (amount: Money): Money => ({ amount: 0, currency: amount.currency });
  const first = mrr[0];
  return {
    payments: mrr.flatMap((amount) =>
      [0, 1, 2].map((back) => {
        const failed = back === 0 && given.open !== undefined;
        return {
          id: charge(amount, back),
          status: failed ? 'failed' : 'succeeded',
          amount,
          refunded: given.troubled && back === 1 ? amount : nothing(amount),
          failure: failed ? 'expired_card' : null,
          card: 'visa',
          last4: '4242',
          invoice: `in_1Q${id.slice(0, 10)}${back}${amount.currency}`,
          created_at: at(back),
        };
      }),
    ),
    refunds:
      given.troubled && first
        ? [
            {
              id: `re_1Q${id.slice(0, 10)}`,
              charge: charge(first, 1),
              status: 'succeeded',
              amount: first,
              reason: 'requested_by_customer',
              created_at: at(1) + 2 * DAY,
            },
          ]
        : [],
    disputes:
      given.troubled && first
        ? [
            {
              id: `dp_1Q${id.slice(0, 10)}`,
              charge: charge(first, 0),
              status: 'needs_response',
              amount: first,
              reason: 'fraudulent',
              evidence_due_at: now + 6 * DAY,
              created_at: now - DAY,
            },
          ]
        : [],
    credit_notes:
      given.troubled && first
        ? [
            {
              id: `cn_1Q${id.slice(0, 10)}`,
              invoice: `in_1Q${id.slice(0, 10)}2${first.currency}`,
              status: 'issued',
              total: { amount: Math.round(first.amount / 4), currency: first.currency },
              created_at: at(2) + 3 * DAY,
            },
          ]
        : [],
  };
}

export function makeWorld(now: Timestamp, size: number, stripe: boolean): World {
  const random = generator(7);
  const people = new Map<string, Person>();
  const entries: TimelineEntry[] = [];
  let serial = 0;
  let entryId = 0;
  const hex = () => {
    let id = '';
    while (id.length < 32) id += Math.floor(random() * 16).toString(16);
    return id;
  };
  const month = new Date(now);
  const resets_at = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1);
  const tell = (person: Person, at: Timestamp, body: TimelineBody) => {
    entryId += 1;
    entries.push({ id: `entry-${entryId}`, tenant_id: person.id, tenant_name: person.name, at, body });
  };

  const person = (given: Given): Person => {
    serial += 1;
    const id = hex();
    const planId = given.plan ?? 'pro';
    const subscribed = given.subscription !== undefined;
    const started = now - Math.floor((20 + random() * 400) * DAY);
    const facts: TenantFacts = {
      plan: planId,
      trial:
        given.trialEnds === undefined
          ? subscribed
            ? { started_at: started, ends_at: started + 14 * DAY, extensions: 0, extended_ms: 0 }
            : null
          : {
              started_at: now + given.trialEnds - 14 * DAY,
              ends_at: now + given.trialEnds,
              extensions: 0,
              extended_ms: 0,
            },
      comp: null,
      suspension: null,
      subscription: given.subscription
        ? {
            id: `sub_1Q${id.slice(0, 14)}`,
            status: 'active',
            current_period_end: now + Math.floor(random() * 28 + 1) * DAY,
            overdue_since: null,
            grace_ends_at: null,
            ended_at: null,
            cancel_at_period_end: false,
            ...given.subscription,
          }
        : null,
      overrides: {},
      ...given.facts,
    };
    const limits = PLANS.find((it) => it.id === planId)?.limits ?? {};
    const part = (meter: Meter) => Math.floor((limits[meter] ?? 20_000) * (0.05 + random() * 0.7));
    const used: Partial<Record<Meter, number>> = given.unmeasured
      ? {}
      : {
          messages: part('messages'),
          tokens: part('tokens'),
          api_requests: part('api_requests'),
          documents: part('documents'),
          storage_bytes: part('storage_bytes'),
          datasets: part('datasets'),
          seats: Math.max(1, part('seats')),
          ...given.used,
        };
    const customer =
      given.customer === 'none' || (!subscribed && serial % 3 === 0) ? null : `cus_Q${id.slice(0, 13)}`;
    const mrr = given.mrr ?? [];
    const subscription = facts.subscription;
    const billing: Billing | null =
      customer && stripe
        ? {
            customer,
            deleted: given.customer === 'deleted',
            livemode: false,
            payment_method: given.card === undefined ? subscribed : given.card,
            dashboard_url: `https://dashboard.stripe.com/test/customers/${customer}`,
            subscriptions: subscription
              ? mrr.map((amount, index) => ({
                  id: index === 0 ? subscription.id : `${subscription.id}${index}`,
                  status: subscription.status,
                  mrr: subscription.status === 'active' || subscription.status === 'past_due' ? amount : null,
                  monthly: amount,
                  items: [itemOf(planId, amount, subscription)],
                  current_period_end: subscription.current_period_end,
                  cancel_at_period_end: subscription.cancel_at_period_end,
                }))
              : [],
            invoices: mrr.flatMap((amount) =>
              [0, 1, 2].map((back) => ({
                id: `in_1Q${id.slice(0, 10)}${back}${amount.currency}`,
                number: `${id.slice(0, 4).toUpperCase()}-000${3 - back}`,
                status: back === 0 && given.open ? 'open' : 'paid',
                total: amount,
                remaining: back === 0 && given.open ? given.open : { amount: 0, currency: amount.currency },
                created_at: now - (back * 30 + 3) * DAY,
                attempts: back === 0 && given.open ? 3 : 1,
              })),
            ),
            ...paid(id, mrr, given, now),
            upcoming:
              subscription?.status === 'active' && subscription.current_period_end !== null
                ? [
                    {
                      kind: subscription.cancel_at_period_end ? 'ends' : 'renews',
                      at: subscription.current_period_end,
                    },
                  ]
                : [],
          }
        : null;
    const made: Person = {
      id,
      name: given.name,
      email: given.email,
      created_at: facts.trial?.started_at ?? started,
      deleted_at: given.deleted ? now - 3 * DAY : null,
      stripe_customer: customer,
      facts,
      usage: { used, resets_at },
      measured_at: given.unmeasured ? null : now - 10 * 60_000,
      members: [
        { user_id: id, name: given.email.split('@')[0] ?? '', email: given.email, role: 'owner' },
        ...(serial % 4 === 0
          ? [
              {
                user_id: hex(),
                name: 'Sam',
                email: `sam@${given.email.split('@')[1]}`,
                role: 'normal' as const,
              },
            ]
          : []),
      ],
      last_active_at: given.active === null ? null : now - (given.active ?? Math.floor(random() * 20 * DAY)),
      last_refusal: null,
      version: 1,
      mrr,
      billing,
    };
    if (given.refused !== undefined) {
      const inForce = PLANS.find((it) => it.id === planInForce(facts, now)) as Plan;
      const denial = accessOf(facts, inForce, made.usage, now).denials[0];
      if (denial) {
        made.last_refusal = {
          at: now - given.refused,
          operation: 'generate',
          code: denial.code,
          method: 'POST',
          path: '/v1/conversation/completion',
          http_status: denial.code === 'suspended' ? 403 : 402,
        };
        // Of one that goes on asking, the last refusal is another than the first.
        const first = given.firstRefused ?? given.refused;
        tell(made, now - first, { kind: 'blocked', code: denial.code });
      }
    }
    people.set(id, made);
    if (facts.trial) {
      tell(made, facts.trial.started_at, {
        kind: 'trial_started',
        plan: planId,
        ends_at: facts.trial.ends_at,
      });
      if (facts.trial.ends_at <= now && !subscribed) tell(made, facts.trial.ends_at, { kind: 'trial_ended' });
    }
    if (subscription) {
      tell(made, started + 14 * DAY, {
        kind: 'subscription_started',
        plan: planId,
        subscription: subscription.id,
      });
      if (subscription.ended_at) {
        tell(made, subscription.ended_at, { kind: 'subscription_ended', subscription: subscription.id });
      }
    }
    if (given.open) {
      tell(made, now - 3 * DAY, {
        kind: 'payment_failed',
        invoice: `in_1Q${id.slice(0, 10)}`,
        ...given.open,
        attempts: 3,
      });
    }
    return made;
  };

  for (const given of cast(now)) person(given);

  while (people.size < size) {
    const pick = <T>(list: T[]): T => list[Math.floor(random() * list.length)] as T;
    const name = `${pick(COMPANIES)} ${pick(TRADES)} ${pick(FORMS)}`;
    const email = `owner${people.size}@${name.toLowerCase().split(' ').slice(0, 2).join('-')}.example`;
    const lot = random();
    if (lot < 0.86) {
      const price = pick([4900, 9900, 14_900, 29_900]);
      person({ name, email, plan: price > 10_000 ? 'team' : 'pro', subscription: {}, mrr: [usd(price)] });
    } else if (lot < 0.9) person({ name, email, trialEnds: Math.floor(4 * DAY + random() * 10 * DAY) });
    else if (lot < 0.985) person({ name, email, trialEnds: -Math.floor(15 * DAY + random() * 200 * DAY) });
    else
      person({
        name,
        email,
        subscription: { status: 'canceled', ended_at: now - Math.floor(random() * 90) * DAY },
      });
  }
  entries.sort((a, b) => b.at - a.at);
  return { plans: PLANS, people, entries };
}
