import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, openTenant, overflow, picture, settled, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

const show = async (page, tab) => {
  await at(page, 'nav-billing').click();
  await at(page, 'screen-billing').waitFor();
  if (tab) await at(page, `billing-tab-${tab}`).click();
};
const rows = (page, list) => at(page, `${list}-row`);
const enabled = (page, id) =>
  page.waitForFunction((wanted) => {
    const button = document.querySelector(`[data-testid=${wanted}]`);
    return button !== null && button.getAttribute('aria-disabled') === null;
  }, id);

// Every state that Billing health has, with what tells that it is there.
const STATES = {
  healthy: [
    'live',
    '',
    (page) => at(page, 'billing-verdict').filter({ hasText: 'BILLING IS WELL' }).waitFor(),
  ],
  sick: [
    'live',
    '&billing=sick',
    (page) => at(page, 'billing-verdict').filter({ hasText: '19 THINGS NEED SOMEBODY' }).waitFor(),
  ],
  offline: [
    'offline',
    '&billing=sick',
    (page) => at(page, 'billing-verdict').filter({ hasText: 'This is the copy of' }).waitFor(),
  ],
  'not-configured': [
    'live',
    '&billing=not-configured',
    (page) => page.getByText('has no Stripe key').waitFor(),
  ],
  old: ['live', '&billing=old', (page) => page.getByText('too old for billing').waitFor()],
  unread: ['live', '&billing=never', (page) => page.getByText('Billing has not been read yet').waitFor()],
  error: [
    'live',
    '&billing=error',
    async (page) => {
      await page.getByRole('alert').filter({ hasText: 'Showing the copy of' }).waitFor();
      await at(page, 'billing-verdict').filter({ hasText: 'WELL WHEN LAST READ' }).waitFor();
    },
  ],
  'error-bare': [
    'live',
    '&billing=error-bare',
    (page) => page.getByRole('alert').filter({ hasText: 'request req-01J9ZB' }).waitFor(),
  ],
  broken: [
    'live',
    '&billing=broken',
    (page) => page.getByRole('alert').filter({ hasText: 'The local copy could not be read' }).waitFor(),
  ],
};

// What can be opened in it, in an order in which each can be reached from the one before.
const PLACES = {
  drifts: (page) => show(page, 'drifts'),
  drift: async (page) => {
    await rows(page, 'drifts').nth(1).click();
    await at(page, 'drift-detail').waitFor();
  },
  repair: async (page) => {
    await at(page, 'detail-repair').click();
    await enabled(page, 'repair-apply');
  },
  events: async (page) => {
    await page.keyboard.press('Escape');
    await show(page, 'events');
  },
  event: async (page) => {
    await rows(page, 'events').nth(1).click();
    await at(page, 'event-detail').waitFor();
  },
  conversions: (page) => show(page, 'conversions'),
  link: async (page) => {
    await at(page, 'conversion-help').first().click();
    await enabled(page, 'link-create');
    await at(page, 'link-create').click();
    await at(page, 'link-made').waitFor();
  },
  table: async (page) => {
    await page.keyboard.press('Escape');
    await show(page, 'health');
    await at(page, 'deliveries-shape-table').click();
  },
  tenant: async (page) => {
    await openTenant(page, 'شركة النور');
    await at(page, 'tenant-drift').waitFor();
    await at(page, 'tenant-detail').evaluate((pane) =>
      pane.scrollTo(0, document.getElementById('billing').offsetTop - 80),
    );
  },
};

for (const theme of ['light', 'dark']) {
  describe(`billing in the ${theme} theme`, { concurrency: 2 }, () => {
    for (const [name, [scenario, query, there]] of Object.entries(STATES)) {
      it(`${name} stands up to WCAG 2.2 AA`, async () => {
        const page = await window.open(scenario, { theme, query });
        await show(page);
        await there(page);
        await settled(page);
        assert.deepEqual(await violations(page), []);
        await picture(page, `billing-${name}-${theme}`);
        await done(page);
      });
    }

    it('every place in it stands up to WCAG 2.2 AA', async () => {
      const page = await window.open('live', { theme, query: '&billing=sick' });
      const found = {};
      for (const [name, open] of Object.entries(PLACES)) {
        await open(page);
        await settled(page);
        const against = await violations(page);
        if (against.length > 0) found[name] = against;
        await picture(page, `billing-at-${name}-${theme}`);
      }
      assert.deepEqual(found, {});
      await done(page);
    });
  });
}

describe('what needs somebody', () => {
  it('is counted at the screen’s name, said on Overview, and leads to its list', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    assert.match(await at(page, 'nav-billing').innerText(), /19/);
    assert.match(await at(page, 'nav-billing').textContent(), /19 need somebody/);
    await at(page, 'attention-billing-failed').click();
    await at(page, 'events').waitFor();
    await at(page, 'nav-overview').click();
    await at(page, 'attention-billing-drifts').click();
    assert.equal(await rows(page, 'drifts').count(), 12);
    await done(page);
  });

  it('is nothing where billing is well, or is not there at all', async () => {
    for (const query of ['', '&billing=not-configured', '&billing=old']) {
      const page = await window.open('live', { query });
      await at(page, 'tile-trials').waitFor();
      assert.doesNotMatch(await at(page, 'nav-billing').textContent(), /need/);
      assert.equal(await page.locator('[data-testid^=attention-billing]').count(), 0);
      await done(page);
    }
  });
});

describe('a difference', () => {
  it('is found, understood and repaired with the keyboard alone', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await page.keyboard.press('Control+5');
    await at(page, 'billing-tab-drifts').focus();
    await page.keyboard.press('Enter');
    await at(page, 'drifts').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await at(page, 'drift-detail').filter({ hasText: 'Globex' }).waitFor();
    await page.keyboard.press('r');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await enabled(page, 'repair-apply');
    await at(page, 'preview')
      .filter({ hasText: /Expired\s*Active/ })
      .waitFor();
    await page.waitForTimeout(450);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await at(page, 'toast').filter({ hasText: 'was repaired' }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=drifts-row]').length === 11);
    await done(page);
  });

  it('is shown by its kind, with what a person has to do where nothing here can', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await show(page);
    await at(page, 'drift-kinds').getByRole('button', { name: 'Payer is no tenant' }).click();
    assert.equal(await rows(page, 'drifts').count(), 1);
    await rows(page, 'drifts').getByRole('button', { name: 'What to do' }).click();
    await at(page, 'drift-detail').filter({ hasText: 'tenant_id' }).waitFor();
    assert.equal(await at(page, 'detail-repair').count(), 0);
    await page.getByRole('button', { name: 'Clear filter' }).click();
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=drifts-row]').length > 10);
    await done(page);
  });

  it('cannot be repaired offline, and says why', async () => {
    const page = await window.open('offline', { query: '&billing=sick' });
    await show(page, 'drifts');
    const button = at(page, 'drift-repair').first();
    assert.equal(await button.getAttribute('aria-disabled'), 'true');
    await button.hover();
    await page.getByText('Changes need a connection').first().waitFor();
    await at(page, 'drifts').focus();
    await page.keyboard.press('r');
    assert.equal(await page.getByRole('dialog').count(), 0);
    await done(page);
  });

  it('whose repair’s answer is lost stays in doubt where everybody sees it', async () => {
    const page = await window.open('live', { query: '&billing=sick&repair=lost-for-long' });
    await show(page, 'drifts');
    await at(page, 'drift-repair').first().click();
    await enabled(page, 'repair-apply');
    await at(page, 'repair-apply').click();
    await page.getByRole('dialog').filter({ hasText: 'Not sure it worked' }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await at(page, 'repair-in-doubt').filter({ hasText: 'The answer was lost' }).waitFor();
    await picture(page, 'billing-in-doubt-light');
    await done(page);
  });
});

describe('long lists', () => {
  it('of a thousand draw only what is seen, and go to their end by one key', async () => {
    const page = await window.open('live', { query: '&billing=many' });
    await show(page, 'drifts');
    await rows(page, 'drifts').first().waitFor();
    assert.ok((await rows(page, 'drifts').count()) < 40);
    const all = Number(await at(page, 'drifts').getAttribute('aria-rowcount')) - 1;
    assert.ok(all > 1000);
    await at(page, 'drifts').focus();
    for (let pages = 0; pages < 14; pages += 1) await page.keyboard.press('End');
    await page.waitForFunction(
      (last) =>
        [...document.querySelectorAll('[data-testid=drifts-row]')].some(
          (row) => row.getAttribute('aria-rowindex') === String(last + 1),
        ),
      all,
    );
    await done(page);
  });

  it('and everything else stay inside the window, down to 640 pixels', async () => {
    for (const width of [1280, 1000, 640]) {
      const page = await window.open('live', { width, query: '&billing=sick' });
      for (const tab of ['health', 'drifts', 'events', 'conversions']) {
        await show(page, tab);
        await settled(page);
        assert.deepEqual(await overflow(page), { wide: 0, out: [] }, `${tab} at ${width} px`);
        await picture(page, `billing-${tab}-${width}`);
      }
      await done(page);
    }
  });
});

describe('events', () => {
  it('are tried again from their row, and leave the list', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await show(page, 'events');
    await at(page, 'events-failed').click();
    assert.equal(await rows(page, 'events').count(), 3);
    await at(page, 'event-retry').first().click();
    await at(page, 'toast').filter({ hasText: 'is tried again now' }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=events-row]').length === 2);
    await at(page, 'undelivered').filter({ hasText: '7 events not delivered' }).waitFor();
    await done(page);
  });

  it('of each day are told one by one with the arrow keys', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await show(page);
    const told = at(page, 'deliveries-told');
    assert.match(await told.innerText(), /events\sin\s30\sdays/);
    await at(page, 'deliveries-chart').focus();
    await page.keyboard.press('End');
    assert.match(await told.innerText(), /, to date: \d+ arrived/);
    await page.keyboard.press('ArrowLeft');
    assert.doesNotMatch(await told.innerText(), /to date/);
    await page.keyboard.press('Escape');
    assert.match(await told.innerText(), /events\sin\s30\sdays/);
    await done(page);
  });
});

describe('a tenant’s billing', () => {
  it('tells where it stands, what differs and what was paid, and makes links through the server', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await openTenant(page, 'stark');
    await at(page, 'standing').filter({ hasText: 'Card expired, in grace' }).waitFor();
    const checkout = at(page, 'checkout-link');
    assert.equal(await checkout.getAttribute('aria-disabled'), 'true');
    await checkout.focus();
    await page.getByText('It is paid in the portal.').first().waitFor();
    await at(page, 'portal-link').click();
    await enabled(page, 'link-create');
    await at(page, 'link-create').click();
    await at(page, 'link-copy').click();
    await page.getByText('The link is in the clipboard.').waitFor();
    assert.match(
      await page.evaluate(() => document.documentElement.dataset.copied),
      /^https:\/\/billing\.stripe\.com/,
    );
    await done(page);
  });

  it('is reached from the search, and so is each list', async () => {
    const page = await window.open('live', { query: '&billing=sick' });
    await page.keyboard.press('Control+k');
    await at(page, 'search-input').fill('globex');
    await at(page, 'search-link').first().click();
    await page.getByRole('dialog').filter({ hasText: 'Checkout link — Globex' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await at(page, 'search-input').fill('conv');
    await at(page, 'search-part').first().click();
    await rows(page, 'conversions').first().waitFor();
    await done(page);
  });
});
