import type { SavedQuery, SqlAnswer, SqlValue, SqlView } from '../generated/ipc';
import type { Host } from '../host';
import { fail, pause } from './fail';
import { accountsOf, isoOf, levelAt, monthOf, movementsOf, todayIn } from './revenue-world';
import type { State } from './state';

type Row = Record<string, string | number | null>;

const LIMIT = 10_000;
const SECONDS = 10;

const view = (name: string, doc: string, columns: [name: string, doc: string][]): SqlView => ({
  name,
  doc,
  columns: columns.map(([name, doc]) => ({ name, doc })),
});

const VIEWS: SqlView[] = [
  view('tenants', 'One row per tenant, deleted ones too.', [
    ['id', 'The tenant’s id.'],
    ['name', 'Its name.'],
    ['email', 'Its owner’s address.'],
    ['plan', 'The plan that it is on, by id.'],
    ['created_at', 'When it was first seen. UTC.'],
    ['trial_ends_at', 'When its trial ends or ended. UTC; NULL = it had none.'],
    ['customer', 'Its customer in Stripe, by id; NULL = none.'],
  ]),
  view('mrr_by_month', 'One row per calendar month and currency.', [
    ['month', 'The month, such as 2026-01.'],
    ['currency', 'In lower case, such as eur.'],
    ['mrr', 'Recurring revenue a month at its end, in the currency’s minor unit.'],
    ['customers', 'Customers paying at its end.'],
  ]),
  view('movements', 'One row per customer, currency and day on which recurring revenue moved.', [
    ['day', 'The day, such as 2026-01-31.'],
    ['customer', 'The customer in Stripe, by id.'],
    ['kind', 'new, reactivation, expansion, contraction or churn.'],
    ['currency', 'In lower case, such as eur.'],
    ['amount', 'By how much, in the currency’s minor unit.'],
  ]),
];

/** Instants as the core writes them. */
const instant = (at: number | null | undefined): string | null =>
  at == null ? null : new Date(at).toISOString().slice(0, 19).replace('T', ' ');

function rowsOf(state: State, name: string): Row[] {
  if (name === 'tenants')
    return [...state.world.people.values()].map((it) => ({
      id: it.id,
      name: it.name,
      email: it.email,
      plan: it.facts.plan,
      created_at: instant(it.created_at),
      trial_ends_at: instant(it.facts.trial?.ends_at),
      customer: it.stripe_customer,
    }));
  const today = todayIn('UTC', state.present());
  const accounts = accountsOf(state, today);
  const movements = movementsOf(accounts, 'paywall', today);
  if (name === 'movements')
    return movements.map((it) => ({
      day: isoOf(it.day),
      customer: it.account.payer.customer,
      kind: it.kind,
      currency: it.account.currency,
      amount: it.amount / 10_000,
    }));
  const currencies = [...new Set(accounts.map((it) => it.currency))].sort();
  return currencies.flatMap((currency) => {
    const of = accounts.filter((it) => it.currency === currency);
    return Array.from({ length: 24 }, (_, back) => {
      const end = Math.min(today, monthOf(today, back - 22) - 1);
      const levels = of.map((it) => levelAt(it.steps, end));
      return {
        month: isoOf(monthOf(today, back - 23)).slice(0, 7),
        currency,
        mrr: levels.reduce((sum, it) => sum + it, 0) / 10_000,
        customers: levels.filter((it) => it > 0).length,
      };
    });
  });
}

function valueOf(value: string | number | null | undefined): SqlValue {
  if (value == null) return { is: 'null' };
  if (typeof value === 'string') return { is: 'text', value };
  return Number.isInteger(value) ? { is: 'integer', value: String(value) } : { is: 'real', value };
}

const broken = (message: string): never => fail({ code: 'sql_failed', message }, message);

/** Names of columns, or `*`, out of one view, in an order and cut off: as much SQL as the page's world knows. */
const SIMPLE =
  /^select\s+(?<what>.+?)\s+from\s+(?<from>\w+)(?:\s+where\s+(?<column>\w+)\s*=\s*'(?<is>[^']*)')?(?:\s+group by\s+(?<group>\w+))?(?:\s+order by\s+(?<by>\w+)(?<down>\s+desc)?)?(?:\s+limit\s+(?<limit>\d+))?$/is;

function answer(state: State, text: string): SqlAnswer {
  const asked = text.replace(/--.*$/gm, '').trim().replace(/;\s*$/, '').trim();
  const refuse = (reason: 'empty' | 'not_a_question' | 'several'): never =>
    fail({ code: 'sql_refused', reason }, reason);
  if (asked === '') refuse('empty');
  if (!/^(select|with|values|explain)\b/i.test(asked)) refuse('not_a_question');
  if (asked.includes(';')) refuse('several');
  const groups = SIMPLE.exec(asked)?.groups;
  if (!groups) return broken(`near "${asked.split(/\s+/)[1] ?? ''}": syntax error`);
  const { what = '', from = '', column, is, group, by, down, limit } = groups;
  const of = VIEWS.find((it) => it.name === from.toLowerCase());
  if (!of) return broken(`no such table: ${from}`);
  let rows = rowsOf(state, of.name);
  if (column) rows = rows.filter((row) => row[column] === is);
  if (group) {
    const sums = new Map<string | number | null, number>();
    for (const row of rows) sums.set(row[group] ?? null, (sums.get(row[group] ?? null) ?? 0) + 1);
    rows = [...sums].map(([key, count]) => ({ [group]: key, 'count(*)': count }));
  }
  const columns =
    what.trim() === '*' ? of.columns.map(({ name }) => name) : what.split(',').map((it) => it.trim());
  for (const name of by ? [...columns, by] : columns)
    if (name !== 'count(*)' && !of.columns.some((it) => it.name === name))
      return broken(`no such column: ${name}`);
  if (by)
    rows.sort((a, b) => {
      const [one, two] = [a[by] ?? '', b[by] ?? ''];
      return (one < two ? -1 : one > two ? 1 : 0) * (down ? -1 : 1);
    });
  const most = Math.min(LIMIT, limit ? Number(limit) : Infinity);
  const more = rows.length > LIMIT && most === LIMIT;
  return {
    columns,
    rows: rows.slice(0, most).map((row) => columns.map((name) => valueOf(row[name]))),
    more,
    took_ms: 4,
  };
}

/** Questions in SQL of the world in the page: a few forms of SELECT, and WITH RECURSIVE, which never ends. */
export function sqlOf(
  state: State,
): Pick<Host, 'sqlViews' | 'sqlRun' | 'sqlCancel' | 'savedQueries' | 'savedQueryPut' | 'savedQueryDelete'> {
  const running = new Map<number, () => void>();
  let saved: SavedQuery[] = [
    { name: 'Revenue by month', sql: 'SELECT month, currency, mrr, customers FROM mrr_by_month' },
  ];
  return {
    sqlViews: () => Promise.resolve(VIEWS),
    async sqlRun(id, text) {
      state.profile();
      if (/^\s*with\s+recursive/i.test(text)) {
        await Promise.race([pause(SECONDS * 1000), new Promise<void>((stop) => running.set(id, stop))]);
        if (running.delete(id)) return fail({ code: 'sql_timed_out', seconds: SECONDS }, 'stopped');
        return fail({ code: 'cancelled' }, 'stopped by whoever asked');
      }
      await pause(30);
      return answer(state, text);
    },
    async sqlCancel(id) {
      const stop = running.get(id);
      running.delete(id);
      stop?.();
    },
    async savedQueries() {
      state.profile();
      return saved;
    },
    async savedQueryPut(query) {
      saved = [...saved.filter((it) => it.name !== query.name), query].sort((a, b) =>
        a.name.localeCompare(b.name),
      );
      return saved;
    },
    async savedQueryDelete(name) {
      saved = saved.filter((it) => it.name !== name);
      return saved;
    },
  };
}
