import { render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, describe, expect, it } from 'vitest';

import type { TenantBilling, TenantSubscription } from '../../src/host/generated/contract';
import type { CheckoutRefusal, UpcomingChange } from '../../src/host/generated/domain';
import type { Billing, PaymentRow, SubscriptionRow, TenantDetail } from '../../src/host/generated/ipc';
import BillingBlock from '../../src/screens/Tenants/BillingBlock.svelte';
import { app } from '../../src/state/app.svelte';
import { clock } from '../../src/state/clock.svelte';
import { itemText, priceText } from '../../src/text/tenant-billing';
import { billing, DAY, detail, failure, NOW, plain, tenant } from './given';
import { open } from './page';

const ID = tenant().id;
const usd = (amount: number) => ({ amount, currency: 'usd' });
const item = (more = {}) => ({
  price: 'price_team_year',
  quantity: 3,
  unit_amount: 33_000,
  interval: 'year' as const,
  interval_count: 1,
  current_period_start: NOW - 20 * DAY,
  current_period_end: NOW + 10 * DAY,
  ...more,
});
const row = (more: Partial<SubscriptionRow> = {}): SubscriptionRow => ({
  id: 'sub_1',
  status: 'active',
  mrr: usd(8250),
  monthly: usd(8250),
  items: [item()],
  current_period_end: NOW + 10 * DAY,
  cancel_at_period_end: false,
  ...more,
});
/** The customer of one subscription. */
const paying = (more: Partial<Billing> = {}) => billing({ subscriptions: [row()], ...more });
const subscription = (more: Partial<TenantSubscription> = {}): TenantSubscription => ({
  subscription: {
    id: 'sub_1',
    customer: 'cus_Qacme',
    livemode: true,
    status: 'active',
    created: NOW - 90 * DAY,
    tenant: ID,
    currency: 'usd',
    items: [item()],
    trial_end: null,
    cancel_at_period_end: false,
    cancel_at: null,
    canceled_at: null,
    ended_at: null,
    pause: null,
    collection_pause: null,
    latest_invoice: null,
    open_invoices: [],
    disputed_since: null,
    refunded_at: null,
    mrr: null,
  },
  fetched_at: NOW,
  standing: 'paid',
  access: 'keeps',
  remedy: 'none',
  monthly: { minor: 8250, currency: 'usd' },
  dashboard_url: 'https://dashboard.stripe.com/subscriptions/sub_1',
  ...more,
});
const told = (more: Partial<TenantBilling> = {}): TenantBilling => ({
  tenant_id: ID,
  customer: 'cus_Qacme',
  customer_url: 'https://dashboard.stripe.com/customers/cus_Qacme',
  subscriptions: [subscription()],
  standing: 'paid',
  upcoming: [],
  sessions: [],
  drifts: [],
  checkout_refusal: null,
  as_of: NOW,
  ...more,
});

/** The block of a tenant of which the copy and the server say this. */
async function block(of: Partial<TenantDetail>, said: TenantBilling | null) {
  await open({
    tenantBilling: async () => ({ copy: 'known', told: said, drifts: [], conversions: [] }),
  });
  clock.follow(NOW);
  const { container } = render(BillingBlock, { detail: detail({ billing: paying(), ...of }) });
  if (said) await within(container).findByText(/the server’s word of/);
  return plain(container.textContent ?? '').replace(/\s+/g, ' ');
}
afterEach(() => clock.follow(null));

describe('what a tenant subscribed to', () => {
  it('is told with its plan, how many, and at which price', async () => {
    const team = {
      id: 'team',
      name: 'Team',
      limits: {},
      stripe_prices: ['price_team_year'],
      trial_days: 14,
    } as unknown as NonNullable<TenantDetail['plan']>;
    const text = await block({ plan: team }, null);
    expect(text).toContain('$82.50 / month');
    expect(text).toContain('Team · 3 × $330.00 a year');
  });

  it('brings no “$0.00” where nobody knows what it brings, or its trial still runs', async () => {
    const untold = await block({ billing: paying({ subscriptions: [row({ mrr: null })] }) }, null);
    expect(untold).toContain('— / month');
    const trying = row({ status: 'trialing', mrr: usd(0) });
    const trial = await block({ billing: paying({ subscriptions: [trying] }) }, null);
    expect(trial).toContain('$82.50 / month after the trial');
    for (const text of [untold, trial]) expect(text).not.toContain('$0.00');
  });

  it('is known by the server’s word where this machine has no Stripe key', async () => {
    const text = await block({ billing: null, stripe_known: false }, told());
    expect(text).toMatch(/cus_Qacme ?Open in Stripe/);
    expect(text).toContain('Subscription active');
    expect(text).toContain('3 × $330.00 a year');
    expect(text).toContain('its invoices and payments are not shown');
    expect(text).not.toContain('what this tenant pays is not known');
  });

  it('reads a price as a person compares it', () => {
    const said = (more = {}) => plain(itemText(item(more), 'usd'));
    expect(said({ interval: 'month', interval_count: 3 })).toBe('3 × $330.00 every 3 months');
    expect(said({ unit_amount: null, quantity: null })).toBe('metered: the price goes by use');
    expect(said({ unit_amount: null })).toBe('3 × a price in tiers');
    expect(plain(priceText(item({ unit_amount: 0 }), 'jpy'))).toBe('¥0 a year');
    expect(priceText(item({ unit_amount: null }), '')).toBe('— a year');
  });
});

describe('what a tenant paid', () => {
  const payment = (n: number, more: Partial<PaymentRow> = {}): PaymentRow => ({
    id: `ch_${n}`,
    status: 'succeeded',
    amount: usd(9900),
    refunded: usd(0),
    failure: null,
    card: 'visa',
    last4: '4242',
    invoice: null,
    created_at: NOW - n * DAY,
    ...more,
  });
  it('is told with its invoice, and as not known where it is not', async () => {
    const invoices = [
      {
        id: 'in_1',
        number: 'ACME-1',
        status: 'paid',
        total: usd(9900),
        remaining: usd(0),
        created_at: NOW,
        attempts: 1,
      },
    ];
    const payments = [
      payment(1, { invoice: 'in_1' }),
      payment(2, { id: 'inpay_2', card: null, last4: null, invoice: 'in_2', amount: null, refunded: null }),
    ];
    await block({ billing: paying({ invoices, payments }) }, null);
    const rows = within(screen.getByRole('table', { name: 'Payments' })).getAllByRole('row');
    const said = rows.map((row) => plain(row.textContent ?? '').replace(/\s+/g, ' '));
    expect(said[1]).toMatch(/4242.*ACME-1.*\$99\.00/);
    expect(said[2]).toMatch(/Outside Stripe.*in_2.*—.*—/);
  });

  it('says where there is more of it than is shown', async () => {
    const payments = Array.from({ length: 13 }, (_, n) => payment(n + 1));
    await block({ billing: paying({ payments }) }, null);
    const table = screen.getByRole('table', { name: /^Payments/ });
    expect(within(table).getAllByRole('row')).toHaveLength(13);
    expect(table.textContent).toMatch(/Payments\s*· latest 12 ·\s*all in Stripe/);
  });
});

describe('what is announced', () => {
  const renews = (at: number): UpcomingChange => ({ kind: 'renews', at });

  it('is nothing that should have happened by now', async () => {
    const old = told({ upcoming: [renews(NOW - DAY), renews(NOW + 29 * DAY)] });
    const text = await block({}, old);
    expect(text).not.toContain('17 Nov');
    expect(text).toContain('Renews Wed 17 Dec');
    expect(await block({ billing: paying({ upcoming: [renews(NOW - DAY)] }) }, null)).not.toContain('Renews');
  });

  it('is what the copy of Stripe says where all of the server’s is over', async () => {
    const newer = { billing: paying({ upcoming: [renews(NOW + 12 * DAY)] }) };
    expect(await block(newer, told({ upcoming: [renews(NOW - DAY)] }))).toContain('Renews Sun 30 Nov');
    // Nothing to come is an answer too.
    expect(await block(newer, told({ upcoming: [] }))).not.toContain('Renews');
  });
});

describe('the link to Checkout', () => {
  const reason = async (checkout_refusal: CheckoutRefusal) => {
    await block({}, told({ checkout_refusal }));
    return screen.getByTestId('checkout-link').getAttribute('aria-disabled');
  };
  it('is offered where only the tenant’s own plan cannot be bought: another one can', async () => {
    expect(await reason({ refusal: 'no_price' })).toBeNull();
  });
  it('is not where the tenant pays already', async () => {
    expect(await reason({ refusal: 'subscribed', subscription: 'sub_1' })).toBe('true');
  });
});

describe('the server’s word of now', () => {
  it('is asked for again after it did not come', async () => {
    let asked = 0;
    const host = await open({
      tenantBilling: async (_, ask) => {
        if (ask && ++asked === 1) throw failure({ code: 'unreachable', source: 'server' });
        return { copy: 'known', told: ask ? told() : null, drifts: [], conversions: [] };
      },
    });
    expect(host).toBeDefined();
    render(BillingBlock, { detail: detail({ billing: paying() }) });
    await waitFor(() => expect(asked).toBe(1));
    await screen.findByRole('alert');
    app.dataChanged();
    await waitFor(() => expect(asked).toBe(2));
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
  });
});
