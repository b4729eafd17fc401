import { GrowingList, type ReadPage } from './growing-list.svelte';

/** A growing list of whatever is read by pages; the rows of one selection go as soon as another is made. */
export class PagedList<T> extends GrowingList<T> {
  protected override read: ReadPage<T>;

  constructor(read: ReadPage<T>) {
    super();
    this.read = read;
  }

  /** Reads another selection of it from its start. */
  async select(read: ReadPage<T>): Promise<void> {
    this.read = read;
    this.loaded = false;
    this.rows = [];
    this.total = null;
    await this.refresh();
  }
}
