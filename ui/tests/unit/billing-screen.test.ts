import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it } from 'vitest';

import FreshnessChip from '../../src/frame/FreshnessChip.svelte';
import type { Host } from '../../src/host/host';
import Conversions from '../../src/screens/Billing/Conversions.svelte';
import Deliveries from '../../src/screens/Billing/Deliveries.svelte';
import Drifts from '../../src/screens/Billing/Drifts.svelte';
import Events from '../../src/screens/Billing/Events.svelte';
import { app } from '../../src/state/app.svelte';
import { clock } from '../../src/state/clock.svelte';
import { repairs } from '../../src/state/repairs.svelte';
import { DAY, freshness, NOW, plain, source } from './given';
import { open, type Otherwise } from './page';

const QUERY = 'tenants=60&billing=sick';
const shown = (element: HTMLElement) => plain(element.textContent ?? '').replace(/\s+/g, ' ');
async function begin(otherwise: Otherwise = {}) {
  const host = await open(otherwise, QUERY);
  await waitFor(() => expect(app.billing).not.toBeNull());
  return host;
}
afterEach(() => {
  app.freshness = null;
  repairs.close();
  clock.follow(null);
});

describe('a stuck conversion', () => {
  it('whose difference nothing here repairs leads to what a person has to do', async () => {
    await begin((world: Host) => ({
      tenantBilling: async (id, ask) => {
        const found = await world.tenantBilling(id, ask);
        const drifts = found.drifts.map((row) => ({
          ...row,
          drift: { ...row.drift, repair: { action: 'none' as const, by_hand: 'update_server' as const } },
        }));
        return { ...found, drifts };
      },
    }));
    render(Conversions);
    const help = await screen.findAllByText('Repair…');
    await userEvent.click(help[0] as HTMLElement);
    await waitFor(() => expect(app.route.billing).toEqual({ tab: 'drifts', kind: 'paid_but_blocked' }));
    expect(repairs.repairing).toBeNull();
  });
});

describe('events that wait for too long', () => {
  it('are listed, by themselves too, and can be tried', async () => {
    await begin();
    const { container } = render(Events);
    await userEvent.click(await screen.findByTestId('events-pending'));
    await waitFor(() => expect(screen.getAllByTestId('events-row')).toHaveLength(3));
    expect(shown(container)).toContain('It waits for its turn since');
    expect(screen.getAllByTestId('event-retry')).toHaveLength(3);
  });
});

describe('a list of which the copy has the first part', () => {
  const part = async (host: Partial<Host>) => {
    await begin((world: Host) => ({
      ...host,
      billingHealth: async () => {
        const view = await world.billingHealth();
        const health = view.health && {
          ...view.health,
          inbox: { ...view.health.inbox, failed: 12_000, parked: 12_000 },
          stuck: { checkout_open: 12_000, paid_not_unblocked: 0 },
          drifts: view.health.drifts.map((it) => ({ ...it, count: 12_000 })),
        };
        return { ...view, health };
      },
    }));
  };
  it('says so, filtered or not', async () => {
    await part({});
    render(Events);
    await waitFor(() =>
      expect(plain(screen.getByTestId('copy-part').textContent ?? '')).toMatch(/^8 of 24,003/),
    );
    await userEvent.click(screen.getByTestId('events-failed'));
    await waitFor(() =>
      expect(plain(screen.getByTestId('copy-part').textContent ?? '')).toMatch(/^3 of 12,000/),
    );
  });
  it('says so of conversions and of one kind of difference', async () => {
    await part({});
    app.go({ screen: 'billing', billing: { tab: 'drifts', kind: 'paid_but_blocked' } });
    render(Drifts);
    await waitFor(() => expect(screen.getByTestId('copy-part').textContent).toMatch(/^2 of 12,000/));
    render(Conversions);
    await waitFor(() => expect(screen.getAllByTestId('copy-part')).toHaveLength(2));
  });
});

describe('events per day of an old copy', () => {
  it('are not called those of today', () => {
    clock.follow(NOW + 3 * DAY);
    const day = {
      day: Math.floor(NOW / DAY) * DAY,
      received: 4,
      repeated: 0,
      processed: 4,
      parked: 0,
      failed: 0,
    };
    const { container } = render(Deliveries, { days: [day], now: NOW });
    expect(shown(container)).toContain('18 Nov, to date');
    expect(shown(container)).not.toContain('today');
  });
});

describe('what could not be read of Stripe', () => {
  it('is counted whole, also where only some of it is named', async () => {
    await open();
    app.freshness = freshness({
      sources: [source(), source({ source: 'stripe', unreadable: ['in_1', 'in_2'], unreadable_total: 1000 })],
    });
    render(FreshnessChip);
    await userEvent.click(screen.getAllByRole('button')[0] as HTMLElement);
    const text = shown(document.body);
    expect(text).toContain('1,000 could not be read and are left out: in_1, in_2 and 998 more');
  });
});
