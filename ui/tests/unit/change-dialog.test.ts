import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import ChangeDialog from '../../src/dialogs/ChangeDialog.svelte';
import type { ChangeOrder } from '../../src/host/generated/ipc';
import type { Host } from '../../src/host/host';
import { changes, type ChangeKind } from '../../src/state/changes.svelte';
import { toasts } from '../../src/state/toasts.svelte';
import { failure, plain } from './given';
import { find, open, type Otherwise } from './page';

let clock: ReturnType<typeof vi.spyOn>;
let uptime = 1000;
/** Lets the time pass in which the dialog takes no Enter. */
const read = () => (uptime += 500);

beforeEach(() => {
  uptime = 1000;
  clock = vi.spyOn(performance, 'now').mockImplementation(() => uptime);
});
afterEach(() => clock.mockRestore());

async function dialog(kind: ChangeKind, name = 'Acme GmbH', otherwise: Otherwise = {}) {
  const host = await open(otherwise);
  const subject = await find(host, name);
  changes.open(kind, subject);
  if (changes.dialog) render(ChangeDialog, { dialog: changes.dialog });
  return { host, subject };
}
const apply = () => screen.getByTestId<HTMLButtonElement>(/^(extend|change)-apply$/);
const ready = () => waitFor(() => expect(apply().getAttribute('aria-disabled')).toBeNull());
const choose = (reason: string) =>
  fireEvent.change(screen.getByTestId('reason'), { target: { value: reason } });
const enter = (on: Element, more: KeyboardEventInit = {}) => fireEvent.keyDown(on, { key: 'Enter', ...more });

/** A host that answers every order as told, and keeps what was ordered. */
function counting(answer: (order: ChangeOrder) => ReturnType<Host['changeApply']>) {
  const orders: ChangeOrder[] = [];
  return {
    orders,
    changeApply: (order: ChangeOrder) => {
      orders.push(order);
      return answer(order);
    },
  };
}
const unanswered = () => counting(() => new Promise(() => undefined));

describe('the preview', () => {
  it('shows what holds before and after, with the access that results', async () => {
    await dialog('extend_trial');
    const table = await screen.findByTestId('preview');
    const row = (name: string) =>
      within(within(table).getByRole('rowheader', { name }).closest('tr') as HTMLElement).getAllByRole(
        'cell',
      );
    expect(row('Status').map((it) => it.textContent)).toEqual(['Expired', 'Trial']);
    const [before, after] = row('Access').map((it) => plain(it.textContent ?? ''));
    expect(before).toContain('LOCKED OUT since');
    expect(after).toContain('PARTLY BLOCKED — uploads');
    expect(after).toContain('documents are used up: 500 of 500');
    expect(row('Trial ends')[1]?.textContent).toContain('UTC');
  });

  it('tells what follows in Stripe, where the trial lives there', async () => {
    await dialog('extend_trial', 'Acme GmbH', (world) => ({
      changePreview: async (asked) => {
        const told = await world.changePreview(asked);
        const trial_end = { name: 'trial_end', value: '1800000000' };
        const write = { operation: 'update_subscription', object: 'sub_1', parameters: [trial_end] };
        return { ...told, outcome: { ...told.outcome, stripe_writes: [write] } };
      },
    }));
    const follows = await screen.findByTestId('stripe-writes');
    expect(plain(follows.textContent ?? '')).toContain('Change the subscription sub_1');
    expect(plain(follows.textContent ?? '')).toContain('trial_end = Fri 15 Jan 2027');
  });

  it('names the environment, the tenant and the deed', async () => {
    await dialog('extend_trial');
    const shown = screen.getByRole('dialog', { name: 'Extend trial — Acme GmbH' });
    expect(within(shown).getByText('Live')).toBeTruthy();
    expect(apply().textContent).toContain('Extend 7 days');
  });

  it('is asked for anew when another length is chosen, and the button waits for it', async () => {
    await dialog('extend_trial');
    await ready();
    await userEvent.click(screen.getByLabelText('14 days'));
    expect(apply().getAttribute('aria-disabled')).toBe('true');
    await ready();
    expect(apply().textContent).toContain('Extend 14 days');
  });

  it('says who changed the tenant since the copy', async () => {
    const host = await open();
    const subject = await find(host, 'Acme GmbH');
    const told = await host.changePreview({
      tenant_id: subject.id,
      change: { kind: 'extend_trial', target: { days: 7 } },
    });
    const done = await host.changeApply({
      tenant_id: subject.id,
      change: { kind: 'extend_trial', target: { days: 3 } },
      reason: 'Sales',
      ticket: null,
      version: told.outcome.version,
      key: 'k-0',
    });
    const adjustment = { ...done.adjustment, actor: 'tom' };
    await dialog('extend_trial', 'Acme GmbH', {
      changePreview: async () => ({ ...told, changed_since_copy: true, changed_by: adjustment }),
    });
    const notice = await screen.findByText(/Changed since your copy: by tom/);
    expect(notice.closest('[role=status]')?.textContent).toContain('extend trial');
  });
});

describe('the Enter key', () => {
  it('applies nothing in the first 400 ms, nor while it is held down', async () => {
    const host = unanswered();
    await dialog('extend_trial', 'Acme GmbH', host);
    await ready();
    await enter(apply());
    uptime += 399;
    await enter(apply());
    expect(host.orders).toHaveLength(0);
    uptime += 2;
    await enter(apply(), { repeat: true });
    expect(host.orders).toHaveLength(0);
    await enter(apply());
    expect(host.orders).toHaveLength(1);
  });

  it('applies once when hit twice', async () => {
    const host = unanswered();
    await dialog('extend_trial', 'Acme GmbH', host);
    await ready();
    read();
    await enter(apply());
    await enter(apply());
    expect(host.orders).toHaveLength(1);
  });

  it('on Cancel does not apply', async () => {
    const host = unanswered();
    await dialog('extend_trial', 'Acme GmbH', host);
    await ready();
    read();
    await enter(screen.getByRole('button', { name: 'Cancel' }));
    expect(host.orders).toHaveLength(0);
  });

  it('makes a new line in a note, and keeps the note only with Control', async () => {
    const host = unanswered();
    await dialog('note', 'Acme GmbH', host);
    const note = screen.getByTestId('note-text');
    await userEvent.type(note, 'CTO is back');
    await ready();
    read();
    await enter(note);
    expect(host.orders).toHaveLength(0);
    await enter(note, { ctrlKey: true });
    expect(host.orders[0]).toMatchObject({ change: { kind: 'note' }, reason: 'CTO is back' });
  });
});

describe('a change that goes through', () => {
  it('is sent with its reason and its ticket, closes the dialog, and can be undone', async () => {
    const orders: ChangeOrder[] = [];
    const { host, subject } = await dialog('extend_trial', 'Acme GmbH', (world) => ({
      changeApply: (order) => {
        orders.push(order);
        return world.changeApply(order);
      },
    }));
    await choose('Goodwill');
    await userEvent.type(screen.getByLabelText('Ticket, optional'), 'https://tickets.example.com/1');
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(changes.dialog).toBeNull());
    expect(orders).toHaveLength(1);
    expect(orders[0]).toMatchObject({
      tenant_id: subject.id,
      change: { kind: 'extend_trial', target: { days: 7 } },
      reason: 'Goodwill',
      ticket: 'https://tickets.example.com/1',
    });
    expect((await host.tenantDetail(subject.id)).tenant.status).toBe('trial');
    expect(plain(toasts.list[0]?.text ?? '')).toMatch(/^Acme GmbH’s trial now ends .* UTC/);

    toasts.list[0]?.undo?.();
    await waitFor(async () => expect((await host.tenantDetail(subject.id)).tenant.status).toBe('expired'));
    expect(plain(toasts.list.at(-1)?.text ?? '')).toMatch(
      /^Undone: the trial of Acme GmbH is over again, since .* UTC/,
    );
  });

  it('keeps the reason for the next dialog', async () => {
    await dialog('extend_trial');
    await choose('Sales');
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(changes.dialog).toBeNull());
    cleanup();
    await dialog('comp', 'Contoso');
    expect((await screen.findByTestId<HTMLSelectElement>('reason')).value).toBe('Sales');
  });
});

describe('a change that fails', () => {
  it('keeps everything that was typed, and shows the request id to copy', async () => {
    const host = counting(() => Promise.reject(failure({ code: 'server_fault' }, { request_id: 'req-77' })));
    await dialog('extend_trial', 'Acme GmbH', host);
    await userEvent.click(screen.getByLabelText('30 days'));
    await userEvent.type(screen.getByLabelText('More, optional'), 'by phone');
    await userEvent.type(screen.getByLabelText('Ticket, optional'), 'https://tickets.example.com/1');
    await ready();
    await userEvent.click(apply());
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain('The server had a fault.');
    expect(alert.textContent).toContain('req-77');
    expect(within(alert).getByRole('button', { name: 'Copy details' })).toBeTruthy();
    expect(screen.getByLabelText<HTMLInputElement>('30 days').checked).toBe(true);
    expect(screen.getByLabelText<HTMLInputElement>('More, optional').value).toBe('by phone');
    expect(screen.getByLabelText<HTMLInputElement>('Ticket, optional').value).toBe(
      'https://tickets.example.com/1',
    );
  });

  it('is sent again under the same key', async () => {
    const host = counting(() => Promise.reject(failure({ code: 'timed_out', source: 'server' })));
    await dialog('extend_trial', 'Acme GmbH', host);
    await ready();
    await userEvent.click(apply());
    await userEvent.click(await screen.findByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]?.key).toBe(host.orders[0]?.key);
    expect(host.orders[0]?.key).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is a new order when its answer was lost and the server gave it up', async () => {
    const settled: string[] = [];
    const host = counting((order) => Promise.reject(failure({ code: 'unsettled', key: order.key })));
    await dialog('extend_trial', 'Acme GmbH', {
      ...host,
      settle: async (key) => {
        settled.push(key);
        return { outcome: 'not_made' };
      },
    });
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(settled).toEqual([host.orders[0]?.key]));
    // It is said where the eye and the focus are: in the dialog, which covers everything else.
    const retry = await within(screen.getByRole('dialog')).findByRole('button', { name: 'Try again' });
    expect(screen.getByText(/It did not work. Nothing was changed./)).toBeTruthy();
    await userEvent.click(retry);
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]?.key).not.toBe(host.orders[0]?.key);
  });

  it('and never will be made keeps what was typed, and is a new order when it is sent again', async () => {
    const host = counting(() => Promise.reject(failure({ code: 'not_made' })));
    await dialog('extend_trial', 'Acme GmbH', host);
    await userEvent.click(screen.getByLabelText('30 days'));
    await userEvent.type(screen.getByLabelText('More, optional'), 'by phone');
    await ready();
    await userEvent.click(apply());
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain('The change was not made.');
    expect(screen.getByLabelText<HTMLInputElement>('30 days').checked).toBe(true);
    expect(screen.getByLabelText<HTMLInputElement>('More, optional').value).toBe('by phone');
    await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]?.key).not.toBe(host.orders[0]?.key);
    expect(host.orders[1]).toMatchObject({ change: { target: { days: 30 } } });
  });

  it('for good in a database that is gone says so, and keeps its key should that one answer again', async () => {
    const host = counting((order) => Promise.reject(failure({ code: 'unsettled', key: order.key })));
    await dialog('extend_trial', 'Acme GmbH', {
      ...host,
      settle: async () => ({ outcome: 'other_database' }),
    });
    await ready();
    await userEvent.click(apply());
    await screen.findByText(/database that no longer answers at this address/);
    expect(screen.getByRole('button', { name: 'Open tenant' })).toBeTruthy();
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]?.key).toBe(host.orders[0]?.key);
  });

  it('as far as anybody knows closes once it is heard in the background that it was made', async () => {
    const lost: ChangeOrder[] = [];
    const { host, subject } = await dialog('extend_trial', 'Acme GmbH', () => ({
      changeApply: (order) => {
        lost.push(order);
        return Promise.reject(failure({ code: 'unsettled', key: order.key }));
      },
      settle: () => Promise.reject(failure({ code: 'unreachable', source: 'server' })),
    }));
    const { rows } = await host.activityPage('staff', '', null);
    const body = rows[0]?.entry.body;
    if (body?.kind !== 'adjustment') throw new Error('no adjustment');
    await ready();
    await userEvent.click(apply());
    expect((await screen.findByRole('alert')).textContent).toContain('Not sure it worked');
    changes.settled({
      change: {
        key: lost[0]?.key ?? '',
        tenant_id: subject.id,
        tenant_name: subject.name,
        change: { kind: 'extend_trial', target: { days: 7 } },
        sent_at: 0,
        instance: null,
        undoes: null,
      },
      settled: { outcome: 'made', adjustment: body.adjustment },
    });
    expect(changes.dialog).toBeNull();
    expect(toasts.list).toHaveLength(1);
  });

  it('because somebody was faster shows that, and is a new order when it is sent again', async () => {
    const problem = {
      type: 'urn:paywall:problem:version_mismatch',
      title: 'version_mismatch',
      status: 412,
      code: 'version_mismatch' as const,
      detail: 'version_mismatch',
      request_id: 'req-1',
    };
    const host = counting(() => Promise.reject(failure({ code: 'refused', problem })));
    await dialog('extend_trial', 'Acme GmbH', host);
    await ready();
    await userEvent.click(apply());
    expect((await screen.findByRole('alert')).textContent).toContain(
      'Somebody changed this tenant meanwhile.',
    );
    await ready();
    await userEvent.click(apply());
    await waitFor(() => expect(host.orders).toHaveLength(2));
    expect(host.orders[1]?.key).not.toBe(host.orders[0]?.key);
  });

  it('in its preview says why the button does nothing', async () => {
    await dialog('extend_trial', 'Acme GmbH', {
      changePreview: () => Promise.reject(failure({ code: 'server_fault' })),
    });
    await screen.findByRole('alert');
    expect(apply().getAttribute('aria-disabled')).toBe('true');
    expect(screen.getByText('The server has not agreed to it')).toBeTruthy();
  });
});

describe('what takes access away', () => {
  it('asks for the tenant’s name on live data, and names verb and object', async () => {
    const host = unanswered();
    await dialog('suspend', 'Acme Labs Ltd', host);
    await screen.findByTestId('preview');
    expect(apply().textContent).toContain('Suspend Acme Labs Ltd');
    await waitFor(() => expect(screen.getByText('Type the name to confirm')).toBeTruthy());
    await userEvent.type(screen.getByTestId('typed-name'), 'Acme Labs');
    expect(apply().getAttribute('aria-disabled')).toBe('true');
    await userEvent.type(screen.getByTestId('typed-name'), ' Ltd');
    await ready();
    await userEvent.click(apply());
    expect(host.orders).toHaveLength(1);
    expect(screen.getByText(/Stripe keeps charging/)).toBeTruthy();
  });

  it('asks for it also where a limit falls below what is used', async () => {
    await dialog('override_quota');
    const limit = await screen.findByTestId<HTMLInputElement>('limit-input');
    await userEvent.clear(limit);
    await userEvent.type(limit, '100');
    expect(await screen.findByTestId('typed-name')).toBeTruthy();
  });
});

describe('a plan', () => {
  const options = () =>
    [...screen.getByTestId<HTMLSelectElement>('plan-select').options].map((it) => it.text);

  it('to give is chosen by its name, and begins with the present one', async () => {
    const host = unanswered();
    await dialog('comp', 'Contoso', host);
    await waitFor(() => expect(options()).toEqual(['Free', 'Pro (current)', 'Scale', 'Team']));
    await fireEvent.change(screen.getByTestId('plan-select'), { target: { value: 'scale' } });
    await ready();
    expect(apply().textContent).toContain('Comp Scale 30 days');
    await userEvent.click(apply());
    expect(host.orders[0]?.change).toMatchObject({ kind: 'comp', plan: 'scale' });
  });

  it('to move to is none until one is chosen, and never the present one', async () => {
    await dialog('change_plan', 'Contoso');
    await waitFor(() => expect(options()[0]).toBe('Choose a plan…'));
    expect(screen.getByText('Choose the plan to move to.')).toBeTruthy();
    await fireEvent.change(screen.getByTestId('plan-select'), { target: { value: 'pro' } });
    expect(await screen.findByText('It is on this plan already.')).toBeTruthy();
    await fireEvent.change(screen.getByTestId('plan-select'), { target: { value: 'team' } });
    await ready();
    expect(apply().textContent).toContain('Move to Team');
  });

  it('of the tenant can be chosen although the others cannot be read', async () => {
    await dialog('comp', 'Contoso', { plans: () => Promise.reject(failure({ code: 'cache_broken' })) });
    expect(await screen.findByText(/The other plans could not be read/)).toBeTruthy();
    expect(options()).toEqual(['Pro (current)']);
  });
});

describe('the fields', () => {
  it('take no limit that is not a whole number', async () => {
    await dialog('override_quota');
    const limit = await screen.findByTestId<HTMLInputElement>('limit-input');
    await userEvent.clear(limit);
    await userEvent.type(limit, '1.5');
    expect(await screen.findByText('A whole number is needed.')).toBeTruthy();
    expect(apply().getAttribute('aria-disabled')).toBe('true');
  });

  it('want a reason where Other is chosen, and a link for a ticket', async () => {
    await dialog('extend_trial');
    await ready();
    await choose('Other…');
    expect(screen.getByText('Say why first')).toBeTruthy();
    await userEvent.type(screen.getByLabelText('Which reason'), 'moving');
    await userEvent.type(screen.getByLabelText('Ticket, optional'), '4412');
    expect(screen.getByText('The ticket must be a link')).toBeTruthy();
  });
});
