import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';

import type { MrrTile, TenantDetail } from '../../src/host/generated/ipc';
import Overview from '../../src/screens/Overview/Overview.svelte';
import BillingBlock from '../../src/screens/Tenants/BillingBlock.svelte';
import { viewEmpty } from '../../src/screens/Tenants/empty';
import { app } from '../../src/state/app.svelte';
import { viewWord } from '../../src/text/words';
import { billing, detail, plain, tenant } from './given';
import { open } from './page';

const shown = (element: HTMLElement) => plain(element.textContent ?? '').replace(/\s+/g, ' ');

describe('billing', () => {
  async function block(of: Partial<TenantDetail>) {
    await open();
    return shown(render(BillingBlock, { detail: detail(of) }).container);
  }

  it('tells an empty list from one that is not here', async () => {
    const none = await block({});
    expect(none).toContain('No subscription.');
    expect(none).not.toContain('Not in the copy');
  });

  it('says which list is not here, and leads to where the key can be tested', async () => {
    const text = await block({ billing: billing({ subscriptions: null, invoices: null }) });
    expect(text).toContain('Not in the copy: subscriptions and invoices (the key may not read them');
    expect(text).not.toContain('No subscription.');
    screen.getAllByRole('button', { name: 'Test the key in Connections' })[0]?.click();
    expect(app.route.screen).toBe('connections');
  });

  it('never says that a customer did not pay who is only not in the copy', async () => {
    const text = await block({ billing: null });
    expect(text).toContain('Stripe customer cus_Qacme is not in the copy of Stripe.');
    expect(text).not.toContain('never paid');
    expect(await block({ billing: null, tenant: tenant({ stripe_customer: null }) })).toContain('never paid');
  });
});

describe('the revenue on Overview', () => {
  async function overview(of: Partial<MrrTile>) {
    await open((world) => ({
      overview: async () => {
        const data = await world.overview();
        return { ...data, mrr: data.mrr && { ...data.mrr, ...of } };
      },
    }));
    render(Overview);
    return shown(await screen.findByTestId('tile-mrr'));
  }
  /** The same with everything that has no room on the tile. */
  async function inDetail(of: Partial<MrrTile>) {
    await overview(of);
    await userEvent.click(screen.getByTestId('mrr-details'));
    return shown(screen.getByTestId('tile-mrr'));
  }

  it('shows the main currency large, four more beneath, and all of them in its details', async () => {
    const amount = (currency: string, amount = 120_000) => ({ currency, amount });
    const now = ['usd', 'eur', 'gbp', 'jpy', 'kwd', 'chf', 'sek'].map((it) => amount(it));
    const text = await overview({ now, new_30d: [amount('eur', 5000)], churned_30d: [amount('pln', 700)] });
    expect(screen.getByText('USD 1,200', { normalizer: plain }).className).toContain('figure');
    expect(text).toContain('Nothing new or ended in USD in 30 days');
    expect(text).toMatch(/EUR 1,200\s*GBP 1,200\s*JPY 120,000\s*\+3 more/);
    await userEvent.click(screen.getByTestId('mrr-details'));
    const rows = within(screen.getByRole('table')).getAllByRole('row');
    const cells = rows
      .slice(1)
      .map((row) => [...row.children].map((cell) => plain(cell.textContent ?? '')).join(' '));
    expect(cells[0]).toBe('USD $1,200.00 0 0');
    expect(cells[1]).toBe('EUR €1,200.00 +€50.00 0');
    expect(cells).toHaveLength(8);
    // The last subscription in a currency ended: it has a row, and brings nothing now.
    expect(cells[7]).toMatch(/^PLN \D*0\.00 0 −\D*7\.00$/);
  });

  it('says that nothing moved where that is true of every currency', async () => {
    const usd = { currency: 'usd', amount: 120_000 };
    const still = { new_30d: [], churned_30d: [{ currency: 'eur', amount: 0 }] };
    const now = [usd, { ...usd, currency: 'eur' }];
    expect(await overview({ now, ...still })).toContain('Nothing new or ended in 30 days');
  });

  it('names its currency also where the other one has ended altogether', async () => {
    const usd = { currency: 'usd', amount: 120_000 };
    const moved = { new_30d: [], churned_30d: [{ currency: 'eur', amount: 700 }] };
    expect(await overview({ now: [usd], ...moved })).toContain('Nothing new or ended in USD in 30 days');
  });

  it('says what is left out of it, and what of it belongs to no tenant here', async () => {
    const text = await inDetail({ untold: 3, elsewhere: 12 });
    expect(text).toContain('3 left out');
    expect(text).toContain('3 could not be computed and are left out');
    expect(text).toContain('12 of customers that are no tenant here');
  });

  it('says nothing of either where there is none', async () => {
    const text = await inDetail({ untold: 0, elsewhere: 0 });
    expect(text).not.toMatch(/left out|could not be computed|no tenant here/);
  });

  it('says what is left out also where nothing else counts', async () => {
    const none = { now: [], new_30d: [], churned_30d: [], subscriptions: 0, elsewhere: 0 };
    const text = await inDetail({ ...none, untold: 1 });
    expect(text).toContain('None yet');
    expect(text).toContain('1 could not be computed and is left out');
  });

  it('leads to the tenants behind it, and the conversion to its trials', async () => {
    await overview({});
    screen.getByRole('button', { name: 'Paying tenants' }).click();
    expect(app.route).toMatchObject({ screen: 'tenants', view: 'paying' });
    screen.getByRole('button', { name: 'These trials' }).click();
    expect(app.route).toMatchObject({ screen: 'tenants', view: 'trial_cohort' });
    expect([viewWord('paying'), viewWord('trial_cohort')]).toEqual(['Paying', 'Trial → paid cohort']);
  });
});

describe('the past due on Overview', () => {
  it('shows four currencies, in the order in which they come', async () => {
    const at_risk = ['usd', 'eur', 'chf', 'aed'].map((currency) => ({ currency, amount: 120_000 }));
    await open((world) => ({
      overview: async () => {
        const data = await world.overview();
        return { ...data, past_due: { ...data.past_due, at_risk } };
      },
    }));
    render(Overview);
    const tile = shown(await screen.findByTestId('tile-past-due'));
    expect(tile).toMatch(/USD 1,200\s*EUR 1,200\s*CHF 1,200\s*AED 1,200/);
    expect(tile).not.toContain('more');
  });
});

describe('what needs attention on Overview', () => {
  it('names disputes that wait for an answer, by when, and leads to whose the first is', async () => {
    const host = await open({}, 'tenants=40');
    const { attention } = await host.overview();
    expect(attention[0]?.kind).toBe('dispute_open');
    render(Overview);
    const item = await screen.findByTestId('attention-dispute_open');
    expect(shown(item)).toMatch(/disputed payments? waits? for an answer \(.*due in \d d/);
    item.click();
    expect(app.route).toMatchObject({ screen: 'tenants', tenant: attention[0]?.tenant_id });
  });

  it('names who opened Checkout and did not finish', async () => {
    await open({}, 'tenants=40&billing=sick');
    render(Overview);
    const item = await screen.findByTestId('attention-checkout-open');
    expect(shown(item)).toContain('2 Checkouts opened and not finished');
    item.click();
    expect(app.route.billing).toEqual({ tab: 'conversions' });
  });
});

describe('an empty list', () => {
  it('says by what tenants come', () => {
    expect(viewEmpty('all').text).toContain('paywall-server import');
    expect(viewEmpty('trial').text).not.toContain('signs up');
  });
});
