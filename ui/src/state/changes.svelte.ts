import type { Adjustment } from '../host/generated/contract';
import type { Failure } from '../host/generated/ipc';
import { changeDone, changeUndone, notSure, itDidNot } from '../text/words';
import { app } from './app.svelte';
import { asFailure } from '../host/host';
import { host } from './host';
import { toasts } from './toasts.svelte';

/** The changes that can be made to a tenant through a dialog. */
export type ChangeKind =
  | 'extend_trial'
  | 'end_trial'
  | 'override_quota'
  | 'remove_override'
  | 'comp'
  | 'suspend'
  | 'reinstate'
  | 'change_plan'
  | 'note';

/** Whom a dialog is about. */
export interface Subject {
  id: string;
  name: string;
}

/** A key by which the server knows the same order when it comes twice. */
export function newKey(): string {
  return crypto.randomUUID();
}

/** Which change is being made, and which of one's own can be undone with a key. */
class Changes {
  dialog = $state.raw<{ kind: ChangeKind; subject: Subject; days?: number; meter?: string } | null>(null);
  #mine: Adjustment[] = [];

  open(kind: ChangeKind, subject: Subject, more: { days?: number; meter?: string } = {}): void {
    app.searching = false;
    this.dialog = { kind, subject, ...more };
  }

  close(): void {
    this.dialog = null;
  }

  /** A change went through: says so, with the way back. */
  made(adjustment: Adjustment, tenantName: string): void {
    this.#mine.push(adjustment);
    const undoable = adjustment.change.kind !== 'note';
    const text = changeDone(adjustment, tenantName);
    toasts.show({ text, undo: undoable ? () => void this.undo(adjustment, tenantName) : null, copy: text });
    app.dataChanged();
  }

  /** Undoes the latest change of this window. */
  undoLatest(): void {
    const latest = this.#mine.findLast((adjustment) => adjustment.change.kind !== 'note');
    if (latest) void this.undo(latest, '');
  }

  /** Undoes a change. The server refuses it where something changed since, and says what. */
  async undo(adjustment: Adjustment, tenantName: string, key: string = newKey()): Promise<boolean> {
    try {
      const done = await host().undoApply({ adjustment_id: adjustment.id, reason: '', key });
      this.#mine = this.#mine.filter((a) => a.id !== adjustment.id);
      toasts.show({ text: changeUndone(done.adjustment, tenantName) });
      app.dataChanged();
      return true;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.code === 'unsettled') {
        return this.settle(failure, tenantName, () => void this.undo(adjustment, tenantName, key));
      }
      toasts.show({ text: '', failure });
      return false;
    }
  }

  /** The answer was lost: asks by the order's key whether the change was made. */
  async settle(
    failure: Failure & { code: 'unsettled' },
    tenantName: string,
    retry: () => void,
  ): Promise<boolean> {
    const waiting = toasts.show({ text: notSure(), busy: true });
    try {
      const settled = await host().settle(failure.key);
      toasts.close(waiting);
      if (settled.outcome === 'made') {
        this.made(settled.adjustment, tenantName);
        return true;
      }
      toasts.show({ text: itDidNot(), retry });
    } catch (error) {
      toasts.close(waiting);
      toasts.show({
        text: '',
        failure: asFailure(error),
        retry: () => void this.settle(failure, tenantName, retry),
      });
    }
    return false;
  }
}

export const changes = new Changes();
