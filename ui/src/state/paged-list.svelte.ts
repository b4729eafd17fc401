import type { Failure } from '../host/generated/ipc';
import { asFailure } from '../host/host';

/** A page of a list as the host gives it. */
export interface PageOf<T> {
  rows: T[];
  next: string | null;
  total: number | null;
}

const PAGE = 100;

/** A list that grows a page at a time, and keeps what it shows while it reads again. */
export class PagedList<T> {
  rows = $state.raw<T[]>([]);
  /** How many rows there are in all; `null` = not counted. */
  total = $state<number | null>(null);
  failure = $state.raw<Failure | null>(null);
  loaded = $state(false);
  #next: string | null = null;
  #reading: Promise<void> | null = null;
  #round = 0;
  #read: (cursor: string | null, limit: number) => Promise<PageOf<T>>;

  constructor(read: (cursor: string | null, limit: number) => Promise<PageOf<T>>) {
    this.#read = read;
  }

  /** Reads another selection of it from its start. */
  async select(read: (cursor: string | null, limit: number) => Promise<PageOf<T>>): Promise<void> {
    this.#read = read;
    this.loaded = false;
    this.rows = [];
    await this.refresh();
  }

  /** Reads again as many rows as are shown. */
  async refresh(least: number = this.rows.length): Promise<void> {
    const round = ++this.#round;
    const rows: T[] = [];
    let cursor: string | null = null;
    let total: number | null = null;
    try {
      do {
        const limit = Math.min(500, Math.max(PAGE, least - rows.length));
        const page: PageOf<T> = await this.#read(cursor, limit);
        if (round !== this.#round) return;
        if (cursor === null) total = page.total;
        rows.push(...page.rows);
        cursor = page.next;
      } while (cursor !== null && rows.length < least);
      this.rows = rows;
      this.#next = cursor;
      this.total = total ?? (cursor === null ? rows.length : null);
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      if (round === this.#round) this.failure = asFailure(error);
    }
  }

  /** Reads the next page, if there is one. */
  more(): Promise<void> {
    if (this.#next === null || this.#reading) return this.#reading ?? Promise.resolve();
    const round = this.#round;
    const read = async () => {
      try {
        const page = await this.#read(this.#next, PAGE);
        if (round !== this.#round) return;
        this.rows = [...this.rows, ...page.rows];
        this.#next = page.next;
        this.failure = null;
      } catch (error) {
        if (round === this.#round) this.failure = asFailure(error);
      }
    };
    this.#reading = read().finally(() => (this.#reading = null));
    return this.#reading;
  }
}
