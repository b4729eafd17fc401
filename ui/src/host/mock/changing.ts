import type { Adjustment, AdjustmentOutcome, Problem, Snapshot, TimelineEntry } from '../generated/contract';
import type { Change, TenantFacts, Timestamp, UndoRefusal } from '../generated/domain';
import type { EntryRow, Settled, UndoState, UnsettledChange } from '../generated/ipc';
import type { Host } from '../host';
import { fail } from './fail';
import { history } from './history';
import { tenantOf } from './rows';
import { applied, DAY, snapshotOf } from './rules';
import { ACTOR, type State } from './state';
import type { Person } from './world';

type Changing = Pick<Host, 'changePreview' | 'changeApply' | 'undoPreview' | 'undoApply' | 'settle'>;

/** The changes to tenants, and what the rest of the host has to know of them. */
export interface Adjusting {
  host: Changing;
  entryRow(entry: TimelineEntry): EntryRow;
  /** Changes that were sent and whose answer is not known. */
  doubts: UnsettledChange[];
  becameOf(key: string): Settled;
}

export function changingOf(state: State): Adjusting {
  const { world, adjustments, byKey } = state;

  /** The request of a first refusal, while it is the tenant's last refused one. */
  const refusalOf = ({ tenant_id, at, body }: TimelineEntry): EntryRow['refusal'] => {
    const last = world.people.get(tenant_id)?.last_refusal ?? null;
    return body.kind === 'blocked' && last?.at === at && last.code === body.code ? last : null;
  };
  const undoOf = (adjustment: Adjustment): UndoState => {
    const refuse = (reason: UndoRefusal): UndoState => ({ state: 'refused', reason });
    if (adjustment.undoes) return refuse({ refusal: 'is_undo' });
    if (adjustment.undone_by) return refuse({ refusal: 'already_undone' });
    const later = [...adjustments.values()].filter(
      (it) =>
        it.tenant_id === adjustment.tenant_id &&
        it.id > adjustment.id &&
        it.change.kind !== 'note' &&
        !it.undone_by &&
        !it.undoes,
    );
    const last = later.at(-1);
    if (last) return refuse({ refusal: 'changed_since', adjustment: last.id, by: last.actor, at: last.at });
    return { state: 'possible' };
  };
  const snapshot = (it: Person, facts: TenantFacts, at: Timestamp): Snapshot =>
    snapshotOf(facts, world.plans, it.usage, at);

  /** Gives a tenant other facts and keeps the adjustment that did. */
  const adjust = (
    it: Person,
    facts: TenantFacts,
    at: Timestamp,
    of: Pick<Adjustment, 'change' | 'reason'> & Partial<Adjustment>,
  ): Adjustment => {
    const before = snapshot(it, it.facts, at);
    it.facts = facts;
    const adjustment: Adjustment = {
      id: `01J9Z${String(at).padStart(14, '0')}${String(adjustments.size).padStart(7, '0')}`,
      tenant_id: it.id,
      at,
      actor: ACTOR,
      actor_role: 'support',
      ticket: null,
      before,
      after: snapshot(it, facts, at),
      undoes: null,
      undone_by: null,
      request_id: state.requestId(),
      ...of,
    };
    adjustments.set(adjustment.id, adjustment);
    world.entries.unshift({
      id: adjustment.id,
      tenant_id: it.id,
      tenant_name: it.name,
      at,
      body: { kind: 'adjustment', adjustment },
    });
    it.version += 1;
    state.generation += 1;
    return adjustment;
  };
  const tried = (it: Person, change: Change, reason: string, at: Timestamp): TenantFacts => {
    const facts = applied(it.facts, change, ACTOR, reason, world.plans, at);
    if (typeof facts !== 'string') return facts;
    return state.refuse({
      code: 'change_refused',
      status: 422,
      adjustment: { refusal: facts } as Problem['adjustment'] & object,
    });
  };
  const toUndo = (id: string): { made: Adjustment; it: Person } => {
    const made = adjustments.get(id) ?? fail({ code: 'not_found' }, id);
    const undo = undoOf(made);
    if (undo.state === 'refused') state.refuse({ code: 'undo_refused', status: 409, undo: undo.reason });
    return { made, it: state.found(made.tenant_id) };
  };
  const outcome = (it: Person, facts: TenantFacts, at: Timestamp): AdjustmentOutcome => ({
    adjustment: null,
    before: snapshot(it, it.facts, at),
    after: snapshot(it, facts, at),
    stripe_writes: [],
    version: it.version,
    seq: it.version,
    now: at,
  });

  for (const { name, back, change, reason, actor, ticket } of history(state.started)) {
    const it = [...world.people.values()].find((each) => each.name === name);
    if (!it) continue;
    const at = state.started - back;
    const facts = applied(it.facts, change, actor, reason, world.plans, at);
    adjust(it, typeof facts === 'string' ? it.facts : facts, at, { change, reason, actor, ticket });
  }
  world.entries.sort((a, b) => b.at - a.at);

  // A change that was sent and whose answer is not known; `?unsettled=` says what became of it.
  const waiting = [...world.people.values()][1];
  const doubts: UnsettledChange[] =
    state.query.get('unsettled') !== null && waiting
      ? [
          {
            key: 'lost-1',
            tenant_id: waiting.id,
            tenant_name: waiting.name,
            change: { kind: 'comp', plan: 'team', until: state.started + 30 * DAY },
            sent_at: state.started - 40_000,
            instance: 'db-1',
            undoes: null,
          },
        ]
      : [];
  const becameOf = (key: string): Settled => {
    const doubt = doubts.find((it) => it.key === key);
    const made = byKey.get(key);
    if (made) return { outcome: 'made', adjustment: made };
    doubts.length = 0;
    const outcome = doubt ? state.query.get('unsettled') : 'not_made';
    if (outcome === 'other_database') return { outcome };
    if (outcome !== 'made' || !doubt) return { outcome: 'not_made' };
    const it = state.found(doubt.tenant_id);
    const at = state.present();
    const { change } = doubt;
    const adjustment = adjust(it, tried(it, change, 'Sales', at), at, { change, reason: 'Sales' });
    byKey.set(key, adjustment);
    return { outcome, adjustment };
  };

  const host: Changing = {
    async changePreview({ tenant_id, change }) {
      state.writable();
      await state.reached();
      const it = state.found(tenant_id);
      const at = state.present();
      return {
        outcome: outcome(it, tried(it, change, '', at), at),
        tenant: tenantOf(state, it, at),
        checked_at: at,
        changed_since_copy: false,
        changed_by: null,
      };
    },
    async changeApply({ tenant_id, change, reason, ticket, version, key }) {
      state.writable();
      await state.reached();
      const before = byKey.get(key);
      if (before) return { adjustment: before, settled: false };
      const it = state.found(tenant_id);
      if (version !== it.version)
        state.refuse({ code: 'version_mismatch', status: 412, version: it.version });
      const at = state.present();
      const adjustment = adjust(it, tried(it, change, reason, at), at, { change, reason, ticket });
      byKey.set(key, adjustment);
      state.emit('data-changed', null);
      return { adjustment, settled: false };
    },
    async undoPreview(id) {
      await state.reached();
      const { made, it } = toUndo(id);
      return outcome(it, made.before.facts, state.present());
    },
    async undoApply({ adjustment_id, reason, key }) {
      state.writable();
      await state.reached();
      const before = byKey.get(key);
      if (before) return { adjustment: before, settled: false };
      const { made, it } = toUndo(adjustment_id);
      const of = { change: made.change, reason, undoes: made.id };
      const adjustment = adjust(it, made.before.facts, state.present(), of);
      made.undone_by = adjustment.id;
      byKey.set(key, adjustment);
      state.emit('data-changed', null);
      return { adjustment, settled: false };
    },
    async settle(key) {
      await state.reached();
      const settled = becameOf(key);
      state.emit('data-changed', null);
      return settled;
    },
  };

  return {
    host,
    entryRow: (entry) => ({
      entry,
      refusal: refusalOf(entry),
      undo: entry.body.kind === 'adjustment' ? undoOf(entry.body.adjustment) : null,
      mine: entry.body.kind === 'adjustment' && entry.body.adjustment.actor === ACTOR,
    }),
    doubts,
    becameOf,
  };
}
