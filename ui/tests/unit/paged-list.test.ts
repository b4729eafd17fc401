import { describe, expect, it } from 'vitest';

import { PagedList } from '../../src/state/paged-list.svelte';

/** A list of numbers that pages by the place, and can be broken and shortened. */
function numbers(size: number) {
  const of = { size, broken: false, asked: 0 };
  const read = (cursor: string | null, limit: number) => {
    of.asked += 1;
    if (of.broken) return Promise.reject(new Error('broken'));
    const from = Number(cursor ?? 0);
    const rows = Array.from({ length: Math.min(limit, of.size - from) }, (_, at) => from + at);
    const end = from + rows.length;
    const next = end < of.size ? String(end) : null;
    return Promise.resolve({ rows, next, total: cursor === null ? of.size : null });
  };
  return { of, read };
}

describe('a list read page by page', () => {
  it('grows to its end, once, and counts all of it', async () => {
    const { of, read } = numbers(250);
    const list = new PagedList(read);
    await list.refresh();
    expect([list.rows.length, list.total]).toEqual([100, 250]);
    await Promise.all([list.more(), list.more()]);
    await list.more();
    await list.more();
    expect([list.rows.length, of.asked]).toEqual([250, 3]);
    expect(list.rows).toEqual([...new Set(list.rows)]);
  });

  it('reads again as much as it shows, and keeps it when that fails', async () => {
    const { of, read } = numbers(250);
    const list = new PagedList(read);
    await list.refresh();
    await list.more();
    await list.refresh();
    expect(list.rows.length).toBe(200);
    of.broken = true;
    await list.refresh();
    expect([list.rows.length, list.failure?.code]).toEqual([200, 'internal']);
    of.broken = false;
    of.size = 3;
    await list.refresh();
    expect([list.rows.length, list.total, list.failure]).toEqual([3, 3, null]);
  });

  it('shows no row of another selection', async () => {
    const list = new PagedList(numbers(5).read);
    await list.refresh();
    const other = numbers(2);
    other.of.broken = true;
    await list.select(other.read);
    expect([list.rows.length, list.loaded, list.failure?.code]).toEqual([0, false, 'internal']);
  });
});
