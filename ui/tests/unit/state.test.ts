import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { fading } from '../../src/frame/fading';
import type { TenantPage } from '../../src/host/generated/ipc';
import { app } from '../../src/state/app.svelte';
import { changes } from '../../src/state/changes.svelte';
import { TenantList } from '../../src/state/tenant-list.svelte';
import { TOAST_MS, toasts } from '../../src/state/toasts.svelte';
import { failure, freshness, plain } from './given';
import { find, open } from './page';

describe('a list of tenants', () => {
  it('keeps what it shows when it cannot be read again', async () => {
    let broken = false;
    await open((world) => ({
      tenantsPage: (query) =>
        broken ? Promise.reject(failure({ code: 'cache_broken' })) : world.tenantsPage(query),
    }));
    const list = new TenantList();
    await list.select('all', '', 'name', false);
    const shown = list.rows;
    broken = true;
    await list.refresh();
    expect(list.rows).toBe(shown);
    expect(list.failure?.code).toBe('cache_broken');
    broken = false;
    await list.refresh();
    expect(list.failure).toBeNull();
  });

  it('never shows the rows of one view for those of another', async () => {
    await open((world) => ({
      tenantsPage: (query) =>
        query.view === 'suspended'
          ? Promise.reject(failure({ code: 'cache_broken' }))
          : world.tenantsPage(query),
    }));
    const list = new TenantList();
    await list.select('all', '', 'name', false);
    await list.select('suspended', '', 'name', false);
    expect(list.rows).toEqual([]);
    expect(list.total).toBeNull();
    expect(list.failure).not.toBeNull();
  });

  it('shows the selection made last, whichever answer comes first', async () => {
    const waiting: (() => void)[] = [];
    await open((world) => ({
      tenantsPage: async (query): Promise<TenantPage> => {
        const page = await world.tenantsPage(query);
        if (query.text === 'acme') await new Promise<void>((go) => waiting.push(go));
        return page;
      },
    }));
    const list = new TenantList();
    const slow = list.select('all', 'acme', 'name', false);
    await list.select('all', 'hooli', 'name', false);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    waiting[0]?.();
    await slow;
    expect(list.rows.map((row) => row.name)).toEqual(['Hooli']);
  });

  it('never keeps the count of another query where the new one is not counted', async () => {
    await open(
      (world) => ({
        tenantsPage: async (query) => ({
          ...(await world.tenantsPage(query)),
          ...(query.text === 'a' ? { total: null } : {}),
        }),
      }),
      'tenants=250',
    );
    const list = new TenantList();
    await list.select('all', '', 'name', false);
    expect(list.total).toBeGreaterThan(200);
    await list.select('all', 'a', 'name', false);
    expect(list.total).toBeNull();
    expect(list.further).toBe(true);
    await list.select('all', 'hooli', 'name', false);
    expect([list.total, list.further]).toEqual([1, false]);
  });

  it('grows by pages to its end', async () => {
    await open({}, 'tenants=250');
    const list = new TenantList();
    await list.select('all', '', 'name', false);
    expect(list.rows).toHaveLength(100);
    await list.more();
    await list.more();
    await list.more();
    expect(list.rows).toHaveLength(list.total ?? -1);
    expect(new Set(list.rows.map((row) => row.id)).size).toBe(list.rows.length);
  });
});

describe('the undo key', () => {
  beforeEach(() => (toasts.list = []));

  it('undoes the latest change, then the one before, and never a note', async () => {
    const host = await open();
    const { id, name } = await find(host, 'Acme GmbH');
    const make = async (days: number) => {
      const change = { kind: 'extend_trial', target: { days } } as const;
      const { outcome } = await host.changePreview({ tenant_id: id, change });
      const order = { tenant_id: id, change, reason: 'Sales', ticket: null, version: outcome.version };
      changes.made((await host.changeApply({ ...order, key: `k-${days}` })).adjustment, name);
      // The world in the page orders its entries by their millisecond.
      await new Promise((later) => setTimeout(later, 5));
    };
    const extensions = async () => (await host.tenantDetail(id)).tenant.facts.trial?.extensions;
    await make(3);
    await make(7);
    changes.undoLatest();
    await vi.waitFor(async () => expect(await extensions()).toBe(1));
    changes.undoLatest();
    await vi.waitFor(async () => expect(await extensions()).toBe(0));
    expect(toasts.list.map((it) => plain(it.text)).at(-1)).toMatch(
      /^Undone: the trial of Acme GmbH is over again/,
    );
    changes.undoLatest();
    expect(await extensions()).toBe(0);
  });

  it('says why where the tenant changed since', async () => {
    const undo = { refusal: 'changed_since' as const, adjustment: 'a-2', by: 'Tom', at: null };
    const problem = {
      type: 'urn:paywall:problem:undo_refused',
      title: 'undo_refused',
      status: 409,
      code: 'undo_refused' as const,
      detail: 'undo_refused',
      request_id: 'req-1',
      undo,
    };
    const host = await open({ undoApply: () => Promise.reject(failure({ code: 'refused', problem })) });
    const { rows } = await host.activityPage('staff', '', null);
    const body = rows[0]?.entry.body;
    if (body?.kind !== 'adjustment') throw new Error('no adjustment');
    expect(await changes.undo(body.adjustment, 'Acme')).toBe(false);
    expect(toasts.list.at(-1)?.failure).toMatchObject({ code: 'refused', problem: { undo: { by: 'Tom' } } });
  });

  it('asks by its key where the answer was lost, and is a new order once that was given up', async () => {
    const keys: string[] = [];
    const asked: string[] = [];
    const host = await open({
      undoApply: ({ key }) => {
        keys.push(key);
        return Promise.reject(failure({ code: 'unsettled', key }));
      },
      settle: async (key) => {
        asked.push(key);
        return { outcome: 'not_made' };
      },
    });
    const { rows } = await host.activityPage('staff', '', null);
    const body = rows[0]?.entry.body;
    if (body?.kind !== 'adjustment') throw new Error('no adjustment');
    await changes.undo(body.adjustment, 'Acme');
    toasts.list.at(-1)?.retry?.();
    await vi.waitFor(() => expect(keys).toHaveLength(2));
    expect(asked[0]).toBe(keys[0]);
    expect(keys[1]).not.toBe(keys[0]);
  });

  it('that was not made says so, and is a new order when it is tried again', async () => {
    const keys: string[] = [];
    const host = await open({
      undoApply: ({ key }) => {
        keys.push(key);
        return Promise.reject(failure({ code: 'not_made' }));
      },
    });
    const { rows } = await host.activityPage('staff', '', null);
    const body = rows[0]?.entry.body;
    if (body?.kind !== 'adjustment') throw new Error('no adjustment');
    await changes.undo(body.adjustment, 'Acme');
    expect(toasts.list.at(-1)).toMatchObject({ failure: { code: 'not_made' }, lasting: true });
    toasts.list.at(-1)?.retry?.();
    await vi.waitFor(() => expect(keys).toHaveLength(2));
    expect(keys[1]).not.toBe(keys[0]);
  });
});

describe('why nothing can be changed', () => {
  it('is the profile’s write mode before the connection', async () => {
    await open({}, 'tenants=40&write=read_only');
    expect(app.noChange).toContain('read-only');
    await open();
    expect(app.noChange).toBeNull();
    app.freshness = freshness({ offline: true });
    expect(app.noChange).toContain('need a connection');
  });

  it('is the token’s role where that may only look', async () => {
    await open((world) => ({
      appState: async () => {
        const state = await world.appState();
        for (const profile of state.profiles) if (profile.caller) profile.caller.role = 'viewer';
        return state;
      },
    }));
    expect(app.noChange).toContain('viewer');
  });
});

describe('a message', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('stays at least ten seconds, and as long as somebody reads it', () => {
    expect(TOAST_MS).toBeGreaterThanOrEqual(10_000);
    const node = document.createElement('div');
    const gone = vi.fn();
    const action = fading(node, { stay: false, gone });
    vi.advanceTimersByTime(TOAST_MS - 1);
    node.dispatchEvent(new Event('pointerenter'));
    vi.advanceTimersByTime(120_000);
    expect(gone).not.toHaveBeenCalled();
    node.dispatchEvent(new Event('pointerleave'));
    vi.advanceTimersByTime(2_999);
    expect(gone).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(gone).toHaveBeenCalledOnce();
    action?.destroy?.();
  });

  it('that tells of a failure stays until it is closed', () => {
    const gone = vi.fn();
    fading(document.createElement('div'), { stay: true, gone });
    vi.advanceTimersByTime(3_600_000);
    expect(gone).not.toHaveBeenCalled();
  });
});
