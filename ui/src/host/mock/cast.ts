import type { Meter, Subscription, TenantFacts, Timestamp } from '../generated/domain';
import type { Money } from '../generated/ipc';
import { DAY } from './rules';

/** What is said of a tenant of the world in the page; all else comes by chance. */
export interface Given {
  name: string;
  email: string;
  plan?: string;
  trialEnds?: number;
  subscription?: Partial<Subscription>;
  used?: Partial<Record<Meter, number>>;
  mrr?: Money[];
  active?: number | null;
  refused?: number;
  /** When the first request was refused, where that is another than the last. */
  firstRefused?: number;
  facts?: Partial<TenantFacts>;
  unmeasured?: boolean;
  deleted?: boolean;
  customer?: 'none' | 'deleted';
  card?: boolean | null;
  open?: Money;
  /** Whether payments went back and are disputed. */
  troubled?: boolean;
}

const GB = 1_000_000_000;
export const usd = (amount: number): Money => ({ amount, currency: 'usd' });

/** The tenants that everything can be seen on: each is a case of its own. */
export function cast(now: Timestamp): Given[] {
  const HOUR = DAY / 24;
  const MIN = 60_000;
  return [
    {
      name: 'Acme GmbH',
      email: 'jane@acme.de',
      trialEnds: -2 * DAY - 3 * HOUR,
      used: { documents: 500, messages: 820 },
      active: 6 * MIN,
      refused: 6 * MIN,
      customer: 'none',
    },
    {
      name: 'Acme Labs Ltd',
      email: 'tom@acme.io',
      subscription: {},
      mrr: [usd(9900)],
      active: 40 * MIN,
    },
    { name: 'Acmeworks', email: 'ops@acmeworks.example', trialEnds: 9 * DAY, active: 3 * HOUR },
    {
      name: 'Contoso',
      email: 'it@contoso.example',
      trialEnds: 5 * HOUR + 17 * MIN,
      used: { messages: 820 },
      active: 12 * MIN,
    },
    {
      name: 'Northwind',
      email: 'hello@northwind.example',
      plan: 'team',
      trialEnds: 27 * HOUR,
      active: 6 * DAY,
    },
    {
      name: 'Globex',
      email: 'cto@globex.example',
      trialEnds: -2 * DAY,
      used: { messages: 1000 },
      active: HOUR,
      refused: HOUR,
      firstRefused: 2 * DAY - 20 * MIN,
    },
    {
      name: 'Initech',
      email: 'peter@initech.example',
      plan: 'team',
      subscription: {},
      mrr: [usd(29_900)],
      used: { messages: 11_200, storage_bytes: 92 * GB },
      refused: 20 * MIN,
      active: 20 * MIN,
    },
    {
      name: 'Hooli',
      email: 'gavin@hooli.example',
      plan: 'team',
      subscription: {},
      mrr: [usd(29_900)],
      facts: { comp: { plan: 'scale', since: now - 5 * DAY, until: now + 25 * DAY } },
    },
    {
      name: 'Umbrella',
      email: 'alice@umbrella.example',
      subscription: {},
      mrr: [usd(9900)],
      facts: {
        suspension: {
          since: now - 21 * DAY,
          by: 'Tom',
          reason: 'chargeback',
          message: 'Please contact billing.',
        },
      },
      refused: 2 * DAY,
    },
    {
      name: 'Stark Industries',
      email: 'pepper@stark.example',
      subscription: { status: 'past_due', overdue_since: now - 4 * DAY, grace_ends_at: now + 3 * DAY },
      mrr: [usd(14_900)],
      open: usd(14_900),
    },
    {
      name: 'Wayne Enterprises',
      email: 'lucius@wayne.example',
      subscription: { status: 'unpaid', overdue_since: now - 30 * DAY, ended_at: now - 9 * DAY },
      mrr: [],
      open: usd(14_900),
      refused: 5 * HOUR,
      active: 5 * HOUR,
    },
    {
      name: 'Initrode',
      email: 'bill@initrode.example',
      subscription: { status: 'canceled', ended_at: now - 12 * DAY },
      active: 30 * DAY,
    },
    {
      name: '株式会社さくら情報システム',
      email: 'tanaka@sakura.example',
      subscription: {},
      mrr: [{ amount: 12_000, currency: 'jpy' }],
    },
    {
      name: 'شركة النور للتقنية',
      email: 'info@alnoor.example',
      plan: 'team',
      subscription: {},
      mrr: [{ amount: 45_250, currency: 'kwd' }],
      troubled: true,
    },
    {
      name: 'חברת הדוגמה בע״מ',
      email: 'dana@example-il.example',
      trialEnds: 2 * DAY + HOUR,
      active: 2 * HOUR,
    },
    {
      name: 'Gesellschaft für außerordentlich ausführliche Dokumentenverarbeitung und Wissensmanagement mbH & Co. KG',
      email: 'die.verwaltung.der.gesellschaft@dokumentenverarbeitung-wissensmanagement.example',
      trialEnds: 6 * DAY,
    },
    { name: '🦄 Rainbow & <b>Sons</b>', email: "o'brien+test@rainbow.example", trialEnds: 11 * DAY },
    {
      name: 'Two Currencies SA',
      email: 'ana@twocur.example',
      subscription: {},
      mrr: [usd(4900), { amount: 9900, currency: 'eur' }],
    },
    {
      name: 'Thames Reading Rooms Ltd',
      email: 'hello@thames.example',
      subscription: {},
      mrr: [{ amount: 7900, currency: 'gbp' }],
    },
    {
      name: 'Never Measured Ltd',
      email: 'new@neverseen.example',
      trialEnds: 13 * DAY,
      unmeasured: true,
      active: null,
    },
    {
      name: 'No Trial Ever BV',
      email: 'x@notrial.example',
      plan: 'free',
      active: null,
      customer: 'none',
    },
    {
      name: 'Zero Limit Oy',
      email: 'a@zerolimit.example',
      trialEnds: 4 * DAY,
      facts: { overrides: { seats: { limit: 0, expires_at: null, reason: 'Abuse check' } } },
      used: { seats: 1 },
    },
    {
      name: 'Full Disk SARL',
      email: 'b@fulldisk.example',
      plan: 'team',
      subscription: {},
      mrr: [usd(29_900)],
      used: { storage_bytes: 100 * GB },
      refused: 3 * HOUR,
    },
    {
      name: 'Suspended and Expired AB',
      email: 'c@both.example',
      trialEnds: -20 * DAY,
      facts: { suspension: { since: now - 10 * DAY, by: 'Mia', reason: 'abuse', message: null } },
      refused: 9 * DAY,
    },
    { name: 'Deleted Customer Inc', email: 'd@gone.example', trialEnds: -8 * DAY, customer: 'deleted' },
    { name: 'Deleted Tenant Inc', email: 'e@deleted.example', trialEnds: -30 * DAY, deleted: true },
    { name: 'Free For Ever e.V.', email: 'f@coupon.example', subscription: {}, mrr: [usd(0)] },
  ];
}
