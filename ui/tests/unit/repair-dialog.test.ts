import { cleanup, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';

import LinkDialog from '../../src/dialogs/LinkDialog.svelte';
import RepairDialog from '../../src/dialogs/RepairDialog.svelte';
import type { KnownDrift } from '../../src/host/generated/contract';
import type { RepairOrder } from '../../src/host/generated/ipc';
import type { Host } from '../../src/host/host';
import { app } from '../../src/state/app.svelte';
import { repairs } from '../../src/state/repairs.svelte';
import { toasts } from '../../src/state/toasts.svelte';
import { failure as failed, plain } from './given';
import { find, open, type Otherwise } from './page';

const QUERY = 'tenants=60&billing=sick';
const shown = () => plain(screen.getByRole('dialog').textContent ?? '').replace(/\s+/g, ' ');
const button = () => screen.getByTestId('repair-apply');
const ready = () => waitFor(() => expect(button().getAttribute('aria-disabled')).toBeNull());

async function repairing(pick: (row: KnownDrift) => boolean, otherwise: Otherwise = {}, query = QUERY) {
  const host = await open(otherwise, query);
  const { rows } = await host.driftsPage({ kind: null, cursor: null, limit: 100 });
  const row = rows.find(pick);
  if (!row) throw new Error('no such difference');
  repairs.open(row);
  render(RepairDialog, { row });
  return { host, row };
}
const blocked = (row: KnownDrift) => row.tenant_name === 'Globex';

describe('the repair of a difference', () => {
  it('shows what it changes before it does, and tells when it did', async () => {
    const sent: RepairOrder[] = [];
    const { host, row } = await repairing(blocked, (world: Host) => ({
      repairApply: (order) => {
        sent.push(order);
        return world.repairApply(order);
      },
    }));
    await ready();
    expect(shown()).toMatch(/Before ?After ?.*Status ?Expired ?Active/);
    expect(shown()).toContain('Does not change anything in Stripe, does not charge.');
    await userEvent.type(screen.getByLabelText('Ticket, optional'), 'https://t.example/1');
    await userEvent.click(button());
    await waitFor(() => expect(repairs.repairing).toBeNull());
    expect(sent).toEqual([
      {
        drift_id: row.id,
        reason: 'Billing differed',
        ticket: 'https://t.example/1',
        key: expect.any(String),
      },
    ]);
    expect(plain(toasts.list.at(-1)?.text ?? '')).toBe('“Paid, but locked out” of Globex was repaired.');
    const left = await host.driftsPage({ kind: 'paid_but_blocked', cursor: null, limit: 100 });
    expect(left.rows.some(blocked)).toBe(false);
  });

  it('lists what is sent to Stripe, and asks for the name where money moves', async () => {
    await repairing((row) => row.drift.body.kind === 'two_subscriptions');
    await waitFor(() => expect(shown()).toContain('In Stripe Cancel the subscription sub_1Qsecond'));
    expect(button().getAttribute('aria-disabled')).toBe('true');
    expect(shown()).toContain('Does not pay back what was paid. It cannot be undone.');
    await userEvent.type(screen.getByTestId('typed-name'), repairs.repairing?.tenant_name ?? '');
    await ready();
  });

  it('asks for the name where taking over from Stripe takes access away', async () => {
    await repairing((row) => row.drift.body.kind === 'access_without_subscription');
    await waitFor(() => expect(shown()).toContain('That takes access away.'));
    expect(button().getAttribute('aria-disabled')).toBe('true');
    await userEvent.type(screen.getByTestId('typed-name'), repairs.repairing?.tenant_name ?? '');
    await ready();
  });

  it('says that a difference is gone, and then repairs nothing', async () => {
    await repairing(blocked, {}, `${QUERY}&repair=gone`);
    await waitFor(() => expect(shown()).toContain('It is gone already.'));
    expect(button().getAttribute('aria-disabled')).toBe('true');
  });

  it('asks what became of one whose answer was lost, and says so', async () => {
    await repairing(blocked, {}, `${QUERY}&repair=lost-made`);
    await ready();
    await userEvent.click(button());
    await waitFor(() => expect(repairs.repairing).toBeNull());
    expect(plain(toasts.list.at(-1)?.text ?? '')).toMatch(/was repaired after all/);
  });

  it('that never arrived keeps the dialog, and is another order when it is tried again', async () => {
    const keys: string[] = [];
    await repairing(
      blocked,
      (world: Host) => ({
        repairApply: (order) => {
          keys.push(order.key);
          return world.repairApply(order);
        },
      }),
      `${QUERY}&repair=lost-not-made`,
    );
    await ready();
    await userEvent.click(button());
    await waitFor(() => expect(shown()).toContain('Nothing was changed.'));
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(keys.length).toBe(2));
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('in doubt stays so until the server says which: it is asked again, and nothing is sent twice', async () => {
    let sent = 0;
    const { host } = await repairing(
      blocked,
      (world: Host) => ({
        repairApply: (order) => {
          sent += 1;
          return world.repairApply(order);
        },
      }),
      `${QUERY}&repair=lost-for-long`,
    );
    await ready();
    await userEvent.click(button());
    await waitFor(() => expect(shown()).toContain('Not sure it worked: the answer was lost.'));
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(shown()).toContain('Not sure it worked: the answer was lost.'));
    expect(sent).toBe(1);
    expect((await host.billingHealth()).unsettled).toHaveLength(1);
  });
});

describe('a link for a customer', () => {
  async function link(kind: 'checkout' | 'portal', otherwise: Otherwise = {}) {
    const host = await open(otherwise, QUERY);
    const subject = await find(host, 'Globex');
    repairs.openLink(kind, subject);
    render(LinkDialog, { link: { kind, subject } });
    return host;
  }
  const create = () => screen.getByTestId('link-create');

  it('to Checkout is made by the server for a plan and its price, and copied', async () => {
    await link('checkout', (world: Host) => ({
      checkoutLink: (order) => {
        expect(order).toMatchObject({ plan: 'pro', price: 'price_pro_month' });
        return world.checkoutLink(order);
      },
    }));
    await waitFor(() => expect((screen.getByTestId('link-plan') as HTMLSelectElement).value).toBe('pro'));
    expect(shown()).toContain('What is left of its trial is kept.');
    await userEvent.click(create());
    await waitFor(() => screen.getByTestId('link-made'));
    expect(shown()).toMatch(/https:\/\/checkout\.stripe\.com\/c\/pay.*Works until .* UTC/);
    await userEvent.click(screen.getByTestId('link-copy'));
    await waitFor(() => expect(shown()).toContain('The link is in the clipboard.'));
    expect(document.documentElement.dataset.copied).toMatch(/^https:\/\/checkout\.stripe\.com/);
  });

  it('to the portal says that it works once', async () => {
    await link('portal');
    await userEvent.click(create());
    await waitFor(() => expect(shown()).toContain('Works once, and for some minutes'));
  });

  it('that cannot be made keeps the dialog and says why', async () => {
    await link('portal', {
      portalLink: () =>
        Promise.reject({ code: 'server_fault', detail: '', request_id: 'req-9', at: Date.now() }),
    });
    await userEvent.click(create());
    await waitFor(() => expect(shown()).toMatch(/The server had a fault.*request req-9/));
    expect(create().getAttribute('aria-disabled')).toBeNull();
  });

  it('offers each price by what it costs and how often, and the tenant’s open one is read anew', async () => {
    await link('checkout', {
      planPrices: async () => [
        { id: 'price_pro_month', currency: 'usd', unit_amount: 9900, interval: 'year', interval_count: 1 },
      ],
    });
    await waitFor(() =>
      expect(plain(screen.getByTestId('link-price').textContent ?? '')).toContain(
        '$99.00 a year · price_pro_month',
      ),
    );
    expect(shown()).toContain('one to the same is given again');
    const before = app.generation;
    await userEvent.click(create());
    await waitFor(() => screen.getByTestId('link-made'));
    expect(app.generation).toBeGreaterThan(before);
  });

  it('tries again what failed: the plans that did not load, the copying of a link that is made', async () => {
    let loads = 0;
    await link('checkout', (world: Host) => ({
      plans: () => (++loads === 1 ? Promise.reject(failed({ code: 'cache_broken' })) : world.plans()),
    }));
    await userEvent.click(await screen.findByRole('button', { name: 'Try again' }));
    await waitFor(() => expect((screen.getByTestId('link-plan') as HTMLSelectElement).value).toBe('pro'));

    cleanup();
    let made = 0;
    let copies = 0;
    await link('portal', (world: Host) => ({
      portalLink: (id) => {
        made += 1;
        return world.portalLink(id);
      },
      copyText: (text) =>
        ++copies === 1 ? Promise.reject(failed({ code: 'internal' })) : world.copyText(text),
    }));
    await userEvent.click(create());
    await userEvent.click(await screen.findByTestId('link-copy'));
    await userEvent.click(await screen.findByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(shown()).toContain('The link is in the clipboard.'));
    // Another portal link would be another way in.
    expect([made, copies]).toEqual([1, 2]);
  });

  it('needs a connection', async () => {
    await open({}, `${QUERY}&scenario=offline`);
    repairs.openLink('portal', { id: 'x', name: 'X' });
    render(LinkDialog, { link: { kind: 'portal', subject: { id: 'x', name: 'X' } } });
    expect(create().getAttribute('aria-disabled')).toBe('true');
    expect(app.noChange).toMatch(/Changes need a connection/);
  });
});
