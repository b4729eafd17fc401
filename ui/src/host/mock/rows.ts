import type { Tenant } from '../generated/contract';
import type { Timestamp } from '../generated/domain';
import type { TenantRow } from '../generated/ipc';
import { accessOf, planInForce, readingsOf, statusOf, tagsOf } from './rules';
import type { State } from './state';
import type { Person } from './world';

/** A tenant in full, as the server tells it. */
export function tenantOf(state: State, it: Person, at: Timestamp): Tenant {
  const plan = state.planOf(planInForce(it.facts, at));
  return {
    id: it.id,
    name: it.name,
    email: it.email,
    domain: it.email.split('@')[1]?.toLowerCase() ?? '',
    created_at: it.created_at,
    deleted_at: it.deleted_at,
    stripe_customer: it.stripe_customer,
    facts: it.facts,
    plan_in_force: plan.id,
    status: statusOf(it.facts, at),
    tags: tagsOf(it.facts, it.deleted_at !== null, at),
    access: accessOf(it.facts, plan, it.usage, at),
    meters: readingsOf(it.facts, plan, it.usage, at),
    measured_at: it.measured_at,
    members: it.members,
    last_active_at: it.last_active_at,
    last_refusal: it.last_refusal,
    version: it.version,
    seq: it.version,
    as_of: at,
  };
}

function rowOf(state: State, it: Person, at: Timestamp): TenantRow {
  const plan = state.planOf(planInForce(it.facts, at));
  const access = accessOf(it.facts, plan, it.usage, at);
  let used_percent: number | null = null;
  let used_meter: TenantRow['used_meter'] = null;
  for (const { meter, used, limit } of readingsOf(it.facts, plan, it.usage, at)) {
    if (used === null || limit === null || limit === 0) continue;
    const share = Math.floor((used / limit) * 100);
    if (used_percent === null || share > used_percent) {
      used_percent = share;
      used_meter = meter;
    }
  }
  return {
    id: it.id,
    name: it.name,
    email: it.email,
    plan_name: state.planOf(it.facts.plan).name,
    status: statusOf(it.facts, at),
    level: access.level,
    tags: tagsOf(it.facts, it.deleted_at !== null, at),
    trial_ends_at: it.facts.trial?.ends_at ?? null,
    extensions: it.facts.trial?.extensions ?? 0,
    extended_ms: it.facts.trial?.extended_ms ?? 0,
    used_percent,
    used_meter,
    last_active_at: it.last_active_at,
    last_refused_at: it.last_refusal?.at ?? null,
    mrr: state.stripe ? it.mrr : null,
    holds_until: access.holds_until,
  };
}

/** Every tenant of the copy as a row. It is derived anew after a change, and every few seconds. */
export function rowsOf(state: State): () => TenantRow[] {
  let kept: { generation: number; at: number; rows: TenantRow[] } | null = null;
  return () => {
    const { generation, offline } = state;
    const at = Math.min(state.present(), offline ? state.asOf : state.present());
    if (!kept || kept.generation !== generation || at - kept.at > 5000)
      kept = { generation, at, rows: [...state.world.people.values()].map((it) => rowOf(state, it, at)) };
    return state.loading ? kept.rows.slice(0, state.read) : kept.rows;
  };
}

/** A page of a list; a cursor is the place from which it goes on. */
export function pageOf<T>(
  rows: T[],
  cursor: string | null,
  limit: number,
): { rows: T[]; next: string | null } {
  const from = cursor === null ? 0 : Number(cursor);
  const end = from + limit;
  return { rows: rows.slice(from, end), next: end < rows.length ? String(end) : null };
}
