import type { Failure } from '../host/generated/ipc';

/** A message at the window's edge. */
export interface Toast {
  id: number;
  text: string;
  failure: Failure | null;
  /** Whether it went as wanted, went otherwise, or is under way still. */
  mark: 'done' | 'otherwise' | null;
  /** Undoes what the message tells of. */
  undo: (() => void) | null;
  /** Tries again. */
  retry: (() => void) | null;
  /** Opens the tenant that the message is about. */
  open: (() => void) | null;
  /** Text to copy. */
  copy: string | null;
  busy: boolean;
  /** Stays until it is closed. */
  lasting: boolean;
}

/** How long a message stays at least; hovering or focusing it stops the time. */
export const TOAST_MS = 12_000;
/** How many messages that go by themselves there are at once. */
const PASSING = 3;

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  show(toast: Partial<Toast> & { text: string }): number {
    const id = this.#next++;
    const made: Toast = {
      failure: null,
      mark: toast.busy || toast.retry ? null : 'done',
      undo: null,
      retry: null,
      open: null,
      copy: null,
      busy: false,
      lasting: toast.failure !== undefined && toast.failure !== null,
      ...toast,
      id,
    };
    const list = [...this.list, made];
    // The oldest make room, but never one that has to be closed by who read it.
    const passing = list.filter((each) => !each.lasting);
    const gone = new Set(passing.slice(0, -PASSING).map((each) => each.id));
    this.list = list.filter((each) => !gone.has(each.id));
    return id;
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
