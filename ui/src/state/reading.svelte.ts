import { untrack } from 'svelte';

import type { Failure } from '../host/generated/ipc';
import { asFailure } from '../host/host';
import { app } from './app.svelte';

/** Something that is read again whenever the copy changes or it is asked for otherwise; the last stays shown. */
export class Reading<T> {
  value = $state.raw<T | null>(null);
  failure = $state.raw<Failure | null>(null);
  #round = 0;
  #read: () => Promise<T>;

  /** To be made while a component is: `read` says by what it reads which change makes it read again. */
  constructor(of: () => () => Promise<T>) {
    this.#read = untrack(of);
    $effect(() => {
      void app.generation;
      this.#read = of();
      void untrack(() => this.again());
    });
  }

  again = async (): Promise<void> => {
    const round = ++this.#round;
    try {
      const value = await this.#read();
      if (round !== this.#round) return;
      this.value = value;
      this.failure = null;
    } catch (error) {
      if (round === this.#round) this.failure = asFailure(error);
    }
  };
}
