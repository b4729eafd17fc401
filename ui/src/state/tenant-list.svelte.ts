import type { TenantColumn, TenantQuery, TenantRow, TenantView } from '../host/generated/ipc';
import { GrowingList, PAGE } from './growing-list.svelte';
import { host } from './host';

/** A growing list of tenants; the rows of one selection stay until those of another are here. */
export class TenantList extends GrowingList<TenantRow> {
  #query: Omit<TenantQuery, 'cursor' | 'limit'> = {
    view: 'all',
    plan: null,
    text: '',
    sort: 'name',
    descending: false,
  };

  protected override read = (cursor: string | null, limit: number) =>
    host().tenantsPage({ ...this.#query, cursor, limit });

  /** Shows another selection; the rows of the one before go only when the new ones are here. */
  async select(view: TenantView, text: string, sort: TenantColumn, descending: boolean): Promise<void> {
    const other = view !== this.#query.view || !this.loaded;
    this.#query = { ...this.#query, view, text, sort, descending };
    this.selection = `${view} ${text}`;
    if (other) this.loaded = false;
    await this.refresh(other || this.rows.length === 0 ? PAGE : undefined);
  }
}
