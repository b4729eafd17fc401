import type { Failure } from '../host/generated/ipc';

/** A message at the window's edge. */
export interface Toast {
  id: number;
  text: string;
  failure: Failure | null;
  /** Undoes what the message tells of. */
  undo: (() => void) | null;
  /** Tries again. */
  retry: (() => void) | null;
  /** Text to copy. */
  copy: string | null;
  busy: boolean;
}

/** How long a message stays at least; hovering or focusing it stops the time. */
export const TOAST_MS = 12_000;

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  show(toast: Partial<Toast> & { text: string }): number {
    const id = this.#next++;
    this.list = [
      ...this.list.slice(-2),
      { failure: null, undo: null, retry: null, copy: null, busy: false, ...toast, id },
    ];
    return id;
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
