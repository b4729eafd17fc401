import { untrack } from 'svelte';

import { app } from './app.svelte';
import type { ReadPage } from './growing-list.svelte';
import { PagedList } from './paged-list.svelte';

/**
 * A list for as long as a part is shown: read from its start when what `ask` reads changes, and again in place when
 * there is news.
 */
export function listOf<T>(read: ReadPage<T>, ask: () => unknown): PagedList<T> {
  const list = new PagedList<T>(read);
  $effect(() => {
    ask();
    void untrack(() => list.select(read));
  });
  $effect(() => {
    void app.generation;
    void untrack(() => (list.loaded ? list.refresh() : undefined));
  });
  return list;
}
