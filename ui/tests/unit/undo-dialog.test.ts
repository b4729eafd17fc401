import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import UndoDialog from '../../src/dialogs/UndoDialog.svelte';
import type { UndoOrder } from '../../src/host/generated/ipc';
import { changes } from '../../src/state/changes.svelte';
import { toasts } from '../../src/state/toasts.svelte';
import { failure, plain } from './given';
import { open, type Otherwise } from './page';

let clock: ReturnType<typeof vi.spyOn>;
let uptime = 1000;
beforeEach(() => {
  uptime = 1000;
  clock = vi.spyOn(performance, 'now').mockImplementation(() => uptime);
});
afterEach(() => clock.mockRestore());

/** The dialog on the latest change of Contoso: a limit for messages from 1,000 to 1,200. */
async function dialog(otherwise: Otherwise = {}) {
  const host = await open(otherwise);
  const { rows } = await host.activityPage('staff', 'Contoso', null);
  const body = rows[0]?.entry.body;
  if (body?.kind !== 'adjustment') throw new Error('no adjustment');
  changes.askUndo(body.adjustment, 'Contoso');
  if (changes.undoing) render(UndoDialog, { undoing: changes.undoing });
  return { host, adjustment: body.adjustment };
}
const apply = () => screen.getByTestId('undo-apply');
const ready = () => waitFor(() => expect(apply().getAttribute('aria-disabled')).toBeNull());
/** A host that fails every undo as told, and keeps what was ordered. */
function failing(how: (order: UndoOrder) => unknown) {
  const orders: UndoOrder[] = [];
  return {
    orders,
    undoApply: (order: UndoOrder) => {
      orders.push(order);
      return Promise.reject(how(order));
    },
  };
}

describe('an undo', () => {
  it('shows what it will change before it does, and changes nothing until then', async () => {
    const { host, adjustment } = await dialog();
    const table = await screen.findByTestId('preview');
    const row = within(table).getByRole('rowheader', { name: 'Limit of messages' }).closest('tr');
    const cells = within(row as HTMLElement).getAllByRole('cell');
    expect(cells.map((it) => it.textContent)).toEqual(['1,200 (override)', '1,000']);
    const limit = async () =>
      (await host.tenantDetail(adjustment.tenant_id)).tenant.meters.find((it) => it.meter === 'messages')
        ?.limit;
    expect(await limit()).toBe(1200);
    await userEvent.type(screen.getByTestId('undo-reason'), 'wrong tenant');
    await ready();
    uptime += 500;
    await fireEvent.keyDown(screen.getByTestId('undo-reason'), { key: 'Enter' });
    await waitFor(() => expect(changes.undoing).toBeNull());
    expect(await limit()).toBe(1000);
    expect(plain(toasts.list.at(-1)?.text ?? '')).toBe(
      'Undone: the limit for messages of Contoso is 1,000 again.',
    );
    const { rows } = await host.activityPage('mine', 'wrong tenant', null);
    expect(rows).toHaveLength(1);
  });

  it('that the server refuses says why, and cannot be applied', async () => {
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
    const host = failing(() => new Error('must not be ordered'));
    await dialog({
      ...host,
      undoPreview: () => Promise.reject(failure({ code: 'refused', problem })),
    });
    expect(plain((await screen.findByRole('alert')).textContent ?? '')).toContain('Changed again by Tom.');
    await userEvent.click(apply());
    expect(host.orders).toEqual([]);
    expect(changes.undoing).not.toBeNull();
  });

  it('that fails stays open with what was typed, and is tried again under the same key', async () => {
    const host = failing(() => failure({ code: 'timed_out', source: 'server' }));
    await dialog(host);
    await userEvent.type(screen.getByTestId('undo-reason'), 'by mistake');
    await ready();
    await userEvent.click(apply());
    await userEvent.click(
      within(await screen.findByRole('alert')).getByRole('button', { name: 'Try again' }),
    );
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]).toEqual(host.orders[0]);
    expect(screen.getByTestId<HTMLInputElement>('undo-reason').value).toBe('by mistake');
  });

  it('whose answer was lost is settled in a message, and not in a dialog that covers it', async () => {
    const host = failing(({ key }) => failure({ code: 'unsettled', key }));
    await dialog({ ...host, settle: async () => ({ outcome: 'not_made' }) });
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(changes.undoing).toBeNull());
    await waitFor(() => expect(toasts.list.at(-1)?.text).toBe('It did not work. Nothing was changed.'));
  });
});

describe('an undo that was not made after all', () => {
  it('is tried again from the message as another order, for the same reason', async () => {
    const host = failing(({ key }) => failure({ code: 'unsettled', key }));
    await dialog({ ...host, settle: async () => ({ outcome: 'not_made' }) });
    await userEvent.type(screen.getByTestId('undo-reason'), ' wrong tenant ');
    await ready();
    await userEvent.click(apply());
    for (const times of [2, 3]) {
      await waitFor(() => expect(toasts.list.at(-1)?.retry).toBeTruthy());
      const message = toasts.list.at(-1);
      if (message) toasts.close(message.id);
      message?.retry?.();
      await waitFor(() => expect(host.orders).toHaveLength(times));
    }
    expect(host.orders.map((it) => it.reason)).toEqual(['wrong tenant', 'wrong tenant', 'wrong tenant']);
    expect(new Set(host.orders.map((it) => it.key)).size).toBe(3);
  });
});

describe('the message that offers an undo', () => {
  it('goes once that was done in another way, and names the tenant only as far as there is room', async () => {
    const { host, adjustment } = await dialog();
    const name = 'Gesellschaft für außerordentlich ausführliche Dokumentenverarbeitung mbH';
    changes.closeUndo();
    changes.made(adjustment, name);
    expect(plain(toasts.list[0]?.text ?? '')).toMatch(/^Gesellschaft für außerordentlich…’s limit/);
    expect(plain(toasts.list[0]?.copy ?? '')).toContain(name);
    changes.undoLatest();
    await waitFor(() => expect(plain(toasts.list[0]?.text ?? '')).toMatch(/^Undone: .*außerordentlich… is/));
    expect(toasts.list).toHaveLength(1);
    expect((await host.activityPage('mine', '', null)).rows[0]?.entry.body).toMatchObject({
      adjustment: { undoes: adjustment.id },
    });
  });
});
