import type { Adjustment } from '../host/generated/contract';
import type { Failure, Settled, SettledChange, UnsettledChange } from '../host/generated/ipc';
import { shortened } from '../text/format';
import { changeDone, changeUndone, itDidNot, nobodyKnows, notSure, settledText } from '../text/words';
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

/** A change whose answer was lost, as far as a message about it needs. */
export type LostChange = Pick<UnsettledChange, 'key' | 'tenant_id' | 'tenant_name' | 'change' | 'undoes'>;

/** Which change is being made, and which of one's own can be undone with a key. */
class Changes {
  dialog = $state.raw<{ kind: ChangeKind; subject: Subject; days?: number; meter?: string } | null>(null);
  /** The adjustment that is about to be undone, once its dialog agrees. */
  undoing = $state.raw<{ adjustment: Adjustment; tenantName: string } | null>(null);
  #mine: { adjustment: Adjustment; tenantName: string }[] = [];
  /** The message that offers to undo each adjustment. */
  #offers = new Map<string, number>();
  /** Who is told what became of a change by its key, in place of a message. */
  #waiting = new Map<string, (settled: Settled) => void>();
  /** What became of changes that nobody waited for, and the message that said so. */
  #heard = new Map<string, { settled: Settled; toast: number }>();

  open(kind: ChangeKind, subject: Subject, more: { days?: number; meter?: string } = {}): void {
    app.searching = false;
    this.dialog = { kind, subject, ...more };
  }

  close(): void {
    this.dialog = null;
  }

  /** A change went through: says so, with the way back. A ticket gets the name in full. */
  made(adjustment: Adjustment, tenantName: string): void {
    this.#keep(adjustment, tenantName);
    const undo = this.#wayBack(adjustment, tenantName);
    const text = changeDone(adjustment, shortened(tenantName));
    const toast = toasts.show({ text, undo, copy: changeDone(adjustment, tenantName) });
    this.#offers.set(adjustment.id, toast);
    app.dataChanged();
  }

  /** Shows what undoing would change, and asks. */
  askUndo(adjustment: Adjustment, tenantName: string): void {
    this.undoing = { adjustment, tenantName };
  }

  closeUndo(): void {
    this.undoing = null;
  }

  /** Undoes the latest change of this window. */
  undoLatest(): void {
    const latest = this.#mine.findLast(({ adjustment }) => adjustment.change.kind !== 'note');
    if (latest) void this.undo(latest.adjustment, latest.tenantName);
  }

  /** Undoes a change. The server refuses it where something changed since, and says what. */
  async undo(adjustment: Adjustment, tenantName: string, reason = ''): Promise<boolean> {
    // What was given up under one key is never made under it: another try is another order.
    const again = () => void this.undo(adjustment, tenantName, reason);
    try {
      await this.orderUndo(adjustment, tenantName, reason, newKey());
      return true;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.code === 'unsettled') {
        return this.settle(failure, { id: adjustment.tenant_id, name: tenantName }, again);
      }
      toasts.show({ text: '', failure, retry: failure.code === 'not_made' ? again : null });
      return false;
    }
  }

  /** Sends the undo and says what holds again; a failure is the caller's to tell. */
  async orderUndo(adjustment: Adjustment, tenantName: string, reason: string, key: string): Promise<void> {
    const done = await host().undoApply({ adjustment_id: adjustment.id, reason, key });
    this.#keep(done.adjustment, tenantName);
    // What is undone is offered to be undone no more.
    const offer = this.#offers.get(adjustment.id);
    if (offer !== undefined) toasts.close(offer);
    const copy = changeUndone(done.adjustment, tenantName);
    toasts.show({ text: changeUndone(done.adjustment, shortened(tenantName)), copy });
    app.dataChanged();
  }

  /** The answer was lost: asks by the order's key whether the change was made. */
  async settle(
    failure: Failure & { code: 'unsettled' },
    subject: Subject,
    retry: () => void,
  ): Promise<boolean> {
    const waiting = toasts.show({ text: notSure(), busy: true });
    try {
      const settled = await this.outcome(failure.key);
      toasts.close(waiting);
      if (settled.outcome === 'made') {
        this.made(settled.adjustment, subject.name);
        return true;
      }
      if (settled.outcome === 'not_made') toasts.show({ text: itDidNot(), retry, lasting: true });
      else {
        const open = () => app.openTenant(subject.id);
        toasts.show({ text: nobodyKnows(), mark: 'otherwise', open, lasting: true });
      }
    } catch (error) {
      toasts.close(waiting);
      toasts.show({
        text: '',
        failure: asFailure(error),
        retry: () => void this.settle(failure, subject, retry),
      });
    }
    return false;
  }

  /** What became of a change whose answer was lost: as the server says, or as it was heard meanwhile. */
  async outcome(key: string): Promise<Settled> {
    const before = this.#takeHeard(key);
    if (before) return before;
    let release = () => {};
    const meanwhile = new Promise<Settled>((tell) => (release = this.await(key, tell)));
    try {
      return await Promise.race([this.#ask(key), meanwhile]);
    } finally {
      release();
    }
  }

  async #ask(key: string): Promise<Settled> {
    try {
      return await host().settle(key);
    } catch (error) {
      // What is no longer in doubt was settled in the background just now: its outcome is on its way.
      if (asFailure(error).code === 'not_found') await new Promise((later) => setTimeout(later, 3000));
      throw error;
    }
  }

  /** Wants to be told what became of a change, in place of a message. Answers the way to stop. */
  await(key: string, tell: (settled: Settled) => void): () => void {
    this.#waiting.set(key, tell);
    return () => {
      if (this.#waiting.get(key) === tell) this.#waiting.delete(key);
    };
  }

  /** A change in doubt was settled in the background. */
  settled({ change, settled }: SettledChange): void {
    const tell = this.#waiting.get(change.key);
    if (tell) tell(settled);
    else this.#heard.set(change.key, { settled, toast: this.tell(change, settled) });
  }

  /** Says what became of a change whose answer was lost. It stays until somebody closes it. */
  tell({ tenant_id, tenant_name, change, undoes }: LostChange, settled: Settled): number {
    const made = settled.outcome === 'made' ? settled.adjustment : null;
    // Not one for the shortcut: it may be of another day, and somebody is about to take back something else.
    if (made && made.undoes !== null) this.#keep(made, tenant_name);
    const say = (name: string) => settledText(change.kind, undoes !== null, name, settled);
    app.dataChanged();
    return toasts.show({
      text: say(shortened(tenant_name)),
      mark: made ? 'done' : 'otherwise',
      undo: made && this.#wayBack(made, tenant_name),
      open: made ? null : () => app.openTenant(tenant_id),
      copy: say(tenant_name),
      lasting: true,
    });
  }

  #takeHeard(key: string): Settled | null {
    const heard = this.#heard.get(key);
    if (!heard) return null;
    this.#heard.delete(key);
    toasts.close(heard.toast);
    return heard.settled;
  }

  #keep(adjustment: Adjustment, tenantName: string): void {
    const gone = adjustment.undoes ?? adjustment.id;
    this.#mine = this.#mine.filter((each) => each.adjustment.id !== gone);
    if (adjustment.undoes === null) this.#mine.push({ adjustment, tenantName });
  }

  /** Undoes a change; `null` for what cannot be undone: a note, and an undo itself. */
  #wayBack(adjustment: Adjustment, tenantName: string): (() => void) | null {
    if (adjustment.change.kind === 'note' || adjustment.undoes !== null) return null;
    return () => void this.undo(adjustment, tenantName);
  }
}

export const changes = new Changes();
