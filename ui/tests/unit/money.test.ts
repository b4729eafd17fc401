import { render, screen } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';

import type { Billing, MrrTile, TenantDetail } from '../../src/host/generated/ipc';
import Overview from '../../src/screens/Overview/Overview.svelte';
import BillingBlock from '../../src/screens/Tenants/BillingBlock.svelte';
import { viewEmpty } from '../../src/screens/Tenants/empty';
import { app } from '../../src/state/app.svelte';
import { viewWord } from '../../src/text/words';
import { NOW, plain, tenant } from './given';
import { open } from './page';

const shown = (element: HTMLElement) => plain(element.textContent ?? '').replace(/\s+/g, ' ');

describe('billing', () => {
  const BILLING: Billing = {
    customer: 'cus_Qacme',
    deleted: false,
    payment_method: true,
    dashboard_url: 'https://dashboard.stripe.com/customers/cus_Qacme',
    subscriptions: [],
    invoices: [],
  };
  async function block(of: Partial<TenantDetail>) {
    await open();
    const detail: TenantDetail = {
      tenant: tenant(),
      plan: null,
      plan_in_force: null,
      billing: BILLING,
      stripe_known: true,
      as_of: NOW,
      ...of,
    };
    return shown(render(BillingBlock, { detail }).container);
  }

  it('tells an empty list from one that is not here', async () => {
    const none = await block({});
    expect(none).toContain('No subscription.');
    expect(none).not.toContain('not in the copy');
  });

  it('says which list is not here, and leads to where the key can be tested', async () => {
    const text = await block({ billing: { ...BILLING, subscriptions: null, invoices: null } });
    expect(text).toContain('Subscriptions: not in the copy (the key may not read them).');
    expect(text).toContain('Invoices: not in the copy (the key may not read them).');
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

  it('says what is left out of it, and what of it belongs to no tenant here', async () => {
    const text = await overview({ untold: 3, elsewhere: 12 });
    expect(text).toContain('3 could not be computed and are left out');
    expect(text).toContain('12 of customers that are no tenant here');
  });

  it('says nothing of either where there is none', async () => {
    const text = await overview({ untold: 0, elsewhere: 0 });
    expect(text).not.toMatch(/could not be computed|no tenant here/);
  });

  it('says what is left out also where nothing else counts', async () => {
    expect(await overview({ now: [], subscriptions: 0, untold: 1, elsewhere: 0 })).toContain(
      '1 could not be computed and is left out',
    );
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

describe('an empty list', () => {
  it('says by what tenants come', () => {
    expect(viewEmpty('all').text).toContain('paywall-server import');
    expect(viewEmpty('trial').text).not.toContain('signs up');
  });
});
