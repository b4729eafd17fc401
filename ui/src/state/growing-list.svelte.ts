import type { Failure } from '../host/generated/ipc';
import { asFailure } from '../host/host';

/** A page of a list as the host gives it. */
export interface PageOf<T> {
  rows: T[];
  next: string | null;
  total: number | null;
}

/** How a page is read: from where the one before ended, so many rows. */
export type ReadPage<T> = (cursor: string | null, limit: number) => Promise<PageOf<T>>;

export const PAGE = 100;

/** A list that grows a page at a time, and keeps what it shows while it reads again. */
export abstract class GrowingList<T> {
  rows = $state.raw<T[]>([]);
  /** How many rows there are in all; `null` = not counted. */
  total = $state<number | null>(null);
  /** Whether there are rows past those that are here. */
  further = $state(false);
  failure = $state.raw<Failure | null>(null);
  loaded = $state(false);
  #next: string | null = null;
  #reading: Promise<void> | null = null;
  #round = 0;
  /** Of which selection the rows are. */
  #shown = '';

  /** Reads a page of what is selected now. */
  protected abstract read: ReadPage<T>;
  /** What is selected now, where rows of another selection may still be shown. */
  protected selection = '';

  /** Reads again as many rows as are shown. */
  async refresh(least: number = this.rows.length): Promise<void> {
    const round = ++this.#round;
    const { selection } = this;
    const rows: T[] = [];
    let cursor: string | null = null;
    let total: number | null = null;
    try {
      do {
        const limit = Math.min(500, Math.max(PAGE, least - rows.length));
        const page: PageOf<T> = await this.read(cursor, limit);
        if (round !== this.#round) return;
        if (cursor === null) total = page.total;
        rows.push(...page.rows);
        cursor = page.next;
      } while (cursor !== null && rows.length < least);
      this.rows = rows;
      this.#shown = selection;
      this.#goOn(cursor);
      // What is here whole is counted, also where nobody counted it.
      this.total = total ?? (cursor === null ? rows.length : null);
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      if (round !== this.#round) return;
      this.failure = asFailure(error);
      // Rows of another selection must not stand for those that could not be read.
      if (selection !== this.#shown) {
        this.rows = [];
        this.total = null;
        this.#goOn(null);
      }
    }
  }

  #goOn(next: string | null): void {
    this.#next = next;
    this.further = next !== null;
  }

  /** Reads the next page, if there is one. */
  more(): Promise<void> {
    if (this.#next === null || this.#reading) return this.#reading ?? Promise.resolve();
    const round = this.#round;
    const read = async () => {
      try {
        const page = await this.read(this.#next, PAGE);
        if (round !== this.#round) return;
        this.rows = [...this.rows, ...page.rows];
        this.#goOn(page.next);
        this.failure = null;
      } catch (error) {
        if (round === this.#round) this.failure = asFailure(error);
      }
    };
    this.#reading = read().finally(() => (this.#reading = null));
    return this.#reading;
  }
}
