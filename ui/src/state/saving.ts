import { asFailure } from '../host/host';
import { csvText, type CsvCell } from '../text/csv';
import { host } from './host';
import type { PageOf } from './growing-list.svelte';
import { toasts } from './toasts.svelte';

/** Saves a table among the downloads, and says where it is. */
export async function saveTable(name: string, rows: CsvCell[][] | Promise<CsvCell[][]>): Promise<void> {
  try {
    const path = await host().csvSave(name, csvText(await rows));
    toasts.show({ text: `Saved as ${path}`, copy: path });
  } catch (error) {
    toasts.show({ text: '', failure: asFailure(error) });
  }
}

/** Every row of a list that is read by pages. */
export async function everyRow<T>(
  read: (cursor: string | null, limit: number) => Promise<Pick<PageOf<T>, 'rows' | 'next'>>,
): Promise<T[]> {
  const rows: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Pick<PageOf<T>, 'rows' | 'next'> = await read(cursor, 500);
    rows.push(...page.rows);
    cursor = page.next;
  } while (cursor !== null);
  return rows;
}
