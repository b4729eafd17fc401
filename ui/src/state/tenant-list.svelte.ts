import type { Failure, TenantColumn, TenantQuery, TenantRow, TenantView } from '../host/generated/ipc';
import { asFailure } from '../host/host';
import { host } from './host';

const PAGE = 100;

/** A list of tenants that grows a page at a time, and keeps what it shows while it reads again. */
export class TenantList {
  rows = $state.raw<TenantRow[]>([]);
  /** How many rows there are in all; `null` = not counted. */
  total = $state<number | null>(null);
  /** Whether there are rows past those that are here. */
  further = $state(false);
  failure = $state.raw<Failure | null>(null);
  loaded = $state(false);
  #next: string | null = null;
  #reading: Promise<void> | null = null;
  #round = 0;
  /** What the rows are a selection of. */
  #shown = '';
  #query: TenantQuery = {
    view: 'all',
    plan: null,
    text: '',
    sort: 'name',
    descending: false,
    cursor: null,
    limit: PAGE,
  };

  /** Shows another selection; the rows of the one before go only when the new ones are here. */
  async select(view: TenantView, text: string, sort: TenantColumn, descending: boolean): Promise<void> {
    const query = { ...this.#query, view, text, sort, descending };
    const other = query.view !== this.#query.view || !this.loaded;
    this.#query = query;
    if (other) this.loaded = false;
    await this.refresh(other || this.rows.length === 0 ? PAGE : undefined);
  }

  /** Reads again as many rows as are shown. */
  async refresh(least: number = this.rows.length): Promise<void> {
    const round = ++this.#round;
    const wanted = `${this.#query.view} ${this.#query.text}`;
    const rows: TenantRow[] = [];
    let cursor: string | null = null;
    let total: number | null = null;
    try {
      do {
        const limit = Math.min(500, Math.max(PAGE, least - rows.length));
        const page = await host().tenantsPage({ ...this.#query, cursor, limit });
        if (round !== this.#round) return;
        if (cursor === null) total = page.total;
        rows.push(...page.rows);
        cursor = page.next;
      } while (cursor !== null && rows.length < least);
      this.rows = rows;
      this.#shown = wanted;
      this.#goOn(cursor);
      // What is here whole is counted, also where nobody counted it.
      this.total = total ?? (cursor === null ? rows.length : null);
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      if (round !== this.#round) return;
      this.failure = asFailure(error);
      // Rows of another selection must not stand for those that could not be read.
      if (wanted !== this.#shown) {
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
        const page = await host().tenantsPage({ ...this.#query, cursor: this.#next });
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
