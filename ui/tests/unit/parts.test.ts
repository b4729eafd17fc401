import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { createRawSnippet, tick } from 'svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';

import FreshnessChip from '../../src/frame/FreshnessChip.svelte';
import type { TenantRow } from '../../src/host/generated/ipc';
import FailureNote from '../../src/parts/FailureNote.svelte';
import EmptyState from '../../src/parts/EmptyState.svelte';
import MeterBar from '../../src/parts/MeterBar.svelte';
import Money from '../../src/parts/Money.svelte';
import TenantGrid from '../../src/parts/TenantGrid.svelte';
import VerdictBox from '../../src/screens/Tenants/VerdictBox.svelte';
import { app } from '../../src/state/app.svelte';
import { changes } from '../../src/state/changes.svelte';
import { clock } from '../../src/state/clock.svelte';
import { TenantList } from '../../src/state/tenant-list.svelte';
import { clockTime } from '../../src/text/format';
import { freshness, failure, HOUR, MINUTE, NOW, plain, reading, source } from './given';
import { find, open } from './page';

afterEach(() => {
  vi.useRealTimers();
  clock.now = Date.now();
});

describe('the freshness chip', () => {
  const text = () => plain(screen.getByTestId('chip').textContent ?? '').trim();

  it('goes on by itself while nothing arrives', async () => {
    vi.useFakeTimers({ now: NOW });
    app.freshness = freshness();
    clock.now = NOW;
    const stop = clock.start();
    render(FreshnessChip);
    expect(text()).toMatch(/· 3 min$/);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(text()).toMatch(/· 5 min$/);
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect(text()).toMatch(/· 11 min — older than usual$/);
    stop();
  });

  it('tells per source when it was read, what fails and when it is tried again', async () => {
    await open();
    clock.now = NOW;
    app.freshness = freshness({
      sources: [
        source(),
        source({
          source: 'stripe',
          state: 'failing',
          as_of: NOW - HOUR,
          failing_since: NOW - 50 * MINUTE,
          failure: failure({ code: 'stripe_key_refused' }),
          next_try_at: NOW + MINUTE,
        }),
      ],
    });
    render(FreshnessChip);
    expect(text()).toMatch(/^Stripe: key refused since .* · copy of .* · Paywall server as of/);
    await userEvent.click(screen.getByTestId('chip'));
    const told = plain(screen.getByRole('group', { name: 'How old this is' }).textContent ?? '');
    expect(told).toContain('Stripe refused the key.');
    expect(told).not.toContain('ot reached');
    expect(screen.getByRole('button', { name: 'Mend it in Connections' })).toBeTruthy();
    expect(told).toMatch(/Next try\s+in 1 min/);
    expect(told).toContain('UTC');
    expect(screen.getByRole('button', { name: 'Refresh now' })).toBeTruthy();
  });

  it('says why a refresh failed, and closes with Escape', async () => {
    await open({ syncNow: () => Promise.reject(failure({ code: 'unreachable', source: 'server' })) });
    render(FreshnessChip);
    await userEvent.click(screen.getByTestId('chip'));
    await userEvent.click(screen.getByRole('button', { name: 'Refresh now' }));
    expect((await screen.findByRole('alert')).textContent).toContain('cannot be reached');
    await userEvent.keyboard('{Escape}');
    expect(screen.queryByRole('alert')).toBeNull();
    expect(document.activeElement).toBe(screen.getByTestId('chip'));
  });
});

describe('the list of tenants', () => {
  async function grid(query = 'tenants=40') {
    await open({}, query);
    const list = new TenantList();
    await list.select('all', '', 'name', false);
    const onopen = vi.fn<(row: TenantRow) => void>();
    const onsort = vi.fn();
    render(TenantGrid, {
      list,
      columns: ['name', 'status', 'plan', 'used', 'last_active', 'mrr'],
      label: 'Tenants',
      sort: 'name',
      descending: false,
      selected: null,
      onsort,
      onopen,
    });
    const element = screen.getByRole('grid', { name: 'Tenants' });
    element.focus();
    const press = (key: string) => fireEvent.keyDown(element, { key });
    const active = () => {
      const id = element.getAttribute('aria-activedescendant');
      return list.rows.findIndex((row) => id?.endsWith(row.id));
    };
    return { list, element, press, active, onopen, onsort };
  }

  it('is one tab stop', async () => {
    const { element } = await grid();
    const stops = [element, ...element.querySelectorAll<HTMLElement>('button, a, input, [tabindex]')];
    expect(stops.filter((it) => it.tabIndex >= 0)).toEqual([element]);
  });

  it('is moved through with the arrows, Home, End and the page keys', async () => {
    const { press, active, list } = await grid();
    expect(active()).toBe(0);
    await press('ArrowDown');
    await press('j');
    expect(active()).toBe(2);
    await press('ArrowUp');
    await press('k');
    await press('k');
    expect(active()).toBe(0);
    await press('End');
    await waitFor(() => expect(active()).toBe(list.rows.length - 1));
    await press('ArrowDown');
    await waitFor(() => expect(active()).toBe(list.rows.length - 1));
    await press('Home');
    expect(active()).toBe(0);
    await press('PageDown');
    expect(active()).toBeGreaterThan(0);
  });

  it('opens the tenant in focus with Enter, and acts on it with a single key', async () => {
    const { press, list, onopen } = await grid();
    await press('ArrowDown');
    await press('Enter');
    expect(onopen.mock.calls[0]?.[0].id).toBe(list.rows[1]?.id);
    await press('e');
    expect(changes.dialog).toMatchObject({ kind: 'extend_trial', subject: { id: list.rows[1]?.id } });
    changes.close();
  });

  it('does nothing with a single key when they are switched off or nothing can be changed', async () => {
    const { press } = await grid('tenants=40&write=read_only');
    await press('e');
    expect(changes.dialog).toBeNull();
    await open();
    if (app.state) app.take({ ...app.state, settings: { ...app.state.settings, single_keys: false } });
    await press('e');
    expect(changes.dialog).toBeNull();
  });

  it('brings the row in focus back into sight only for a key that would act on it', async () => {
    const { press, element, active } = await grid();
    vi.spyOn(element, 'clientHeight', 'get').mockReturnValue(32 + 4 * 36);
    await press('ArrowDown');
    element.scrollTop = 20 * 36;
    await fireEvent.scroll(element);
    for (const key of ['Tab', 'Shift', 'Control', 'x']) await press(key);
    await fireEvent.keyDown(element, { key: 'e', ctrlKey: true });
    expect(element.scrollTop).toBe(20 * 36);
    // Nobody saw on whom it would have acted: the first press only shows it.
    await press('e');
    expect(element.scrollTop).toBe(36);
    expect(changes.dialog).toBeNull();
    expect(active()).toBe(1);
    await press('e');
    expect(changes.dialog).toMatchObject({ kind: 'extend_trial' });
    changes.close();
  });

  it('keeps the tenant in focus when the rows are read and sorted anew', async () => {
    const { press, list, element } = await grid();
    await press('ArrowDown');
    await press('ArrowDown');
    const id = list.rows[2]?.id ?? '';
    await list.select('all', '', 'name', true);
    await tick();
    list.rows = list.rows.toSorted((a, b) => (a.id === id ? -1 : b.id === id ? 1 : 0));
    await tick();
    expect(element.getAttribute('aria-activedescendant')).toContain(id);
  });

  it('says by which column it is sorted, and shows unknown as a dash', async () => {
    const { list, onsort, element } = await grid();
    expect(screen.getByRole('columnheader', { name: /Tenant/ }).getAttribute('aria-sort')).toBe('ascending');
    await userEvent.click(screen.getByRole('button', { name: 'Used' }));
    expect(onsort).toHaveBeenCalledWith('used');
    list.rows = list.rows.filter((row) => row.name === 'Never Measured Ltd');
    await tick();
    const cells = [...element.querySelectorAll('.space [role=gridcell]')].map((it) => it.textContent?.trim());
    expect(cells[3]).toBe('—');
    expect(cells[4]).toBe('—');
  });
});

describe('the verdict', () => {
  async function box(name: string) {
    const host = await open();
    const { id } = await find(host, name);
    render(VerdictBox, { detail: await host.tenantDetail(id) });
    return plain(screen.getByTestId('verdict').textContent ?? '').replace(/\s+/g, ' ');
  }

  it('says in one place who is locked out, since when, why and what stays blocked', async () => {
    const text = await box('Acme GmbH');
    expect(text).toMatch(/✖ LOCKED OUT since .* UTC/);
    expect(text).toContain('The Pro trial ended');
    expect(text).toContain('documents are used up: 500 of 500');
    expect(text).toContain('does not lift the limit on documents');
    expect(screen.getAllByRole('listitem')).toHaveLength(2);
  });

  it('says so where nothing blocks', async () => {
    expect(await box('Acme Labs Ltd')).toMatch(/✔ ACCESS — paid until .*; nothing is blocking\./);
  });

  it('marks itself as the copy’s word as soon as the connection is gone', async () => {
    const host = await open();
    const { id } = await find(host, 'Acme GmbH');
    render(VerdictBox, { detail: await host.tenantDetail(id) });
    expect(screen.queryByText(/From the copy of/)).toBeNull();
    app.freshness = freshness({ offline: true });
    expect(await screen.findByText(/The paywall server is not reached\. From the copy of/)).toBeTruthy();
  });
});

describe('a failure', () => {
  it('is dated by the clock of the screen, with an age that goes on', async () => {
    vi.useFakeTimers({ now: NOW });
    // This machine's clock is an hour ahead of the server's.
    clock.follow(NOW - HOUR);
    const stop = clock.start();
    render(FailureNote, { failure: failure({ code: 'server_fault' }, { at: NOW - 2 * MINUTE }) });
    const caption = () =>
      plain(screen.getByRole('alert').querySelector('.caption')?.textContent ?? '').trim();
    expect(caption()).toBe(`${clockTime(NOW - HOUR - 2 * MINUTE)} · 2 min ago`);
    await vi.advanceTimersByTimeAsync(3 * MINUTE);
    expect(caption()).toMatch(/ · 5 min ago$/);
    stop();
    clock.follow(null);
  });
});

describe('small parts', () => {
  it('an empty state says what is empty, why, and offers the way on', async () => {
    const children = createRawSnippet(() => ({ render: () => '<button>Clear filter</button>' }));
    render(EmptyState, { headline: 'No tenants match “acme”.', text: 'Everyone appears here.', children });
    expect(screen.getByRole('heading', { name: 'No tenants match “acme”.' })).toBeTruthy();
    expect(screen.getByText('Everyone appears here.')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Clear filter' })).toBeTruthy();
  });

  it('money is a dash where it is not known, and never a sum of two currencies', () => {
    const { container, rerender } = render(Money, { amounts: null });
    expect(container.textContent).toBe('—');
    void rerender({
      amounts: [
        { amount: 4900, currency: 'usd' },
        { amount: 9900, currency: 'eur' },
      ],
    });
    return tick().then(() => expect(plain(container.textContent ?? '')).toBe('USD 49.00 · EUR 99.00'));
  });

  it('a meter tells unknown, zero, no limit and full apart', () => {
    const shown = (of: Parameters<typeof reading>[1]) => {
      const { container, unmount } = render(MeterBar, { reading: reading('messages', of) });
      const text = plain(container.textContent ?? '')
        .replace(/\s+/g, ' ')
        .trim();
      unmount();
      return text;
    };
    expect(shown({ used: null })).toBe('Messages — / 1,000');
    expect(shown({ used: 0 })).toBe('Messages 0 / 1,000 0 %');
    expect(shown({ used: 12_401, limit: null, plan_limit: null })).toBe('Messages 12,401 · No limit');
    expect(shown({ used: 0, limit: 0, exhausted: true })).toBe('Messages 0 / 0 ■ blocks');
    expect(shown({ used: 1120, exhausted: true })).toBe('Messages 1,120 / 1,000 112 % ■ blocks');
    expect(shown({ used: 800 })).toBe('Messages 800 / 1,000 80 % ▲ near');
  });
});
