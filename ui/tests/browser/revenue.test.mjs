import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, overflow, picture, settled, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

const TABS = ['mrr', 'movements', 'invoices', 'payments', 'cohorts', 'trials'];

async function open(how = {}, scenario = 'live') {
  const page = await window.open(scenario, how);
  await page.keyboard.press('Control+4');
  await at(page, 'screen-revenue').waitFor();
  return page;
}
const tab = (page, name) => at(page, `revenue-tab-${name}`).click();
const table = async (page, name) => {
  await tab(page, name);
  await at(page, 'shape-table').first().click();
};
/** What the list behind a figure adds up to, in ten-thousandths of the minor unit. */
async function sum(page) {
  const behind = at(page, 'behind-sum');
  await page.waitForFunction(() => document.querySelector('[data-testid="behind-sum"]')?.dataset.sum);
  return Number(await behind.getAttribute('data-sum'));
}
/** An amount as written, in ten-thousandths of the minor unit of a currency with so many decimals. */
const tenThousandths = (text, decimals) =>
  Math.round(Number(text.replace('−', '-').replace(/[^\d.-]/g, '')) * 10 ** decimals) * 10_000;
/** Every row of the list that is open, added up by what is written. */
async function written(page, decimals) {
  const list = at(page, 'behind-customers');
  const seen = new Map();
  for (let last = -1; seen.size !== last;) {
    last = seen.size;
    for (const row of await at(page, 'behind-customers-row').all()) {
      const id = await row.getAttribute('data-id');
      if (!seen.has(id)) seen.set(id, tenThousandths(await row.locator('.amount').innerText(), decimals));
    }
    await list.evaluate((it) => it.scrollBy(0, it.clientHeight));
    await page.waitForTimeout(60);
  }
  return [...seen.values()].reduce((all, amount) => all + amount, 0);
}

describe('what is behind a figure', () => {
  it('adds up to it, for every cell of the movements', async () => {
    const page = await open({ query: '&payers=40' });
    await table(page, 'movements');
    const decimals = { usd: 2, eur: 2, jpy: 0, kwd: 3 };
    let cells = 0;
    for (const [currency, places] of Object.entries(decimals)) {
      const grid = at(page, `table-movements-${currency}`);
      for (const button of await grid.locator('.space button').all()) {
        const shown = tenThousandths(await button.innerText(), places);
        await button.evaluate((it) => it.click());
        const behind = await sum(page);
        // What is written is rounded to the minor unit, and by nothing more.
        assert.ok(Math.abs(behind - shown) <= 5000, `${currency}: ${behind} behind ${shown}`);
        assert.match(await at(page, 'behind-sum').innerText(), /who add up to it/);
        cells += 1;
      }
    }
    assert.ok(cells > 120, `only ${cells} cells could be opened`);
    await done(page);
  });

  it('lists every customer once, and what is written of each adds up too', async () => {
    const page = await open({ query: '&payers=300' });
    await at(page, 'headline-jpy-mrr').click();
    const behind = await sum(page);
    assert.ok(Math.abs((await written(page, 0)) - behind) <= 5000 * 60);
    await done(page);
  });

  it('is there for every headline: its customers, or the sums it is made of, which make it', async () => {
    const page = await open({ query: '&payers=300' });
    const value = async (cell) => {
      await at(page, `made-${cell}`).click();
      const amount = await sum(page);
      await page.getByRole('button', { name: 'Back' }).click();
      await at(page, 'made-figure').waitFor();
      return amount;
    };
    const made = async (key) => {
      await at(page, `headline-usd-${key}`).click();
      await at(page, 'made-figure').waitFor();
      return at(page, 'made-figure').innerText();
    };
    await at(page, 'headline-usd-mrr').click();
    const mrr = await sum(page);
    const [figure] = (await at(page, 'headline-usd-mrr').innerText()).match(/[\d,]+/);
    assert.equal(Math.round(mrr / 1_000_000), Number(figure.replaceAll(',', '')));

    const arr = await made('arr');
    assert.equal(
      Math.round(((await value('end')) * 12) / 1_000_000),
      Math.round(tenThousandths(arr, 2) / 1_000_000),
    );

    const nrr = await made('nrr');
    const start = await value('start');
    const [expansion, contraction, churn] = [
      await value('expansion'),
      await value('contraction'),
      await value('churn'),
    ];
    assert.equal(
      parseFloat(nrr),
      Math.round(((start + expansion + contraction + churn) / start) * 1000) / 10,
    );

    const lost = await made('mrr_churn');
    assert.equal(parseFloat(lost), Math.round((-(contraction + churn) / start) * 1000) / 10);

    const quick = await made('quick_ratio');
    const gained = (await value('new')) + (await value('reactivation')) + expansion;
    if (contraction + churn !== 0)
      assert.equal(parseFloat(quick), Math.round((gained / -(contraction + churn)) * 10) / 10);

    await made('arpa');
    assert.equal(await value('end'), mrr);
    await made('ltv');
    assert.equal(await value('churn'), churn);
    await done(page);
  });

  it('adds up in one currency for all, by the rates of each day', async () => {
    const page = await open({ query: '&payers=60&reporting=usd&rates=usd' });
    await table(page, 'movements');
    const buttons = await at(page, 'table-movements-all').locator('.space button').all();
    assert.ok(buttons.length > 20);
    for (const button of buttons) {
      const shown = tenThousandths(await button.innerText(), 2);
      await button.evaluate((it) => it.click());
      assert.ok(Math.abs((await sum(page)) - shown) <= 5000);
    }
    await done(page);
  });

  it('is there for cohorts, failed payments and trials', async () => {
    const page = await open({ query: '&payers=300' });
    await tab(page, 'cohorts');
    await page.getByRole('button', { name: 'Amounts', exact: true }).click();
    for (const button of (await at(page, 'table-cohorts-kwd').locator('.space button').all()).slice(0, 40)) {
      const shown = tenThousandths(await button.innerText(), 3);
      await button.evaluate((it) => it.click());
      assert.ok(Math.abs((await sum(page)) - shown) <= 5000);
    }
    await tab(page, 'payments');
    for (const button of (await at(page, 'table-payments-usd').locator('.space button').all()).slice(0, 20)) {
      const amount = await button.innerText();
      await button.evaluate((it) => it.click());
      await at(page, 'behind').getByText(amount.replace('$', 'USD ')).first().waitFor();
      await at(page, 'invoices-total').filter({ hasText: amount }).waitFor();
    }
    await tab(page, 'trials');
    for (const button of (await at(page, 'table-trials').locator('.space button').all()).slice(0, 20)) {
      const count = await button.innerText();
      await button.evaluate((it) => it.click());
      await at(page, 'trial-total')
        .filter({ hasText: new RegExp(`^${count}\\s`) })
        .waitFor();
    }
    await done(page);
  });
});

describe('revenue', () => {
  it('is recounted through another lens, and every difference has its rule', async () => {
    const page = await open({ query: '&payers=300' });
    const ours = await at(page, 'headline-usd-mrr').innerText();
    await at(page, 'revenue-lens').selectOption('stripe');
    await at(page, 'lens-rules').filter({ hasText: 'By Stripe’s rules' }).waitFor();
    await page.waitForFunction(
      (before) => document.querySelector('[data-testid="headline-usd-mrr"]')?.innerText !== before,
      ours,
    );
    await at(page, 'reconcile').click();
    const totals = at(page, 'differences-usd');
    await totals.waitFor();
    const amounts = (await totals.locator('td').allInnerTexts()).map((text) => tenThousandths(text, 2));
    const theirs = amounts.at(-1);
    const added = amounts.slice(0, -1).reduce((all, amount) => all + amount, 0);
    assert.ok(Math.abs(added - theirs) <= 5000 * amounts.length, `${added} is not ${theirs}`);
    await done(page);
  });

  it('says that a lens was never counted, and shows no zeros for it', async () => {
    const page = await open({ query: '&revenue=uncounted' });
    await at(page, 'revenue-lens').selectOption('chartmogul');
    await at(page, 'revenue-counting').filter({ hasText: 'still to be counted' }).waitFor();
    assert.equal(await page.getByText('$0').count(), 0);
    await done(page);
  });

  it('says what is not read, what is not counted yet, and that the two counts differ', async () => {
    const pending = await open({ query: '&revenue=pending' });
    await at(pending, 'revenue-unread').filter({ hasText: 'invoices and subscriptions' }).waitFor();
    await at(pending, 'revenue-pending').filter({ hasText: '240' }).waitFor();
    await at(pending, 'headline-usd-mrr').waitFor();
    await at(pending, 'revenue-basis').filter({ hasText: 'Exact since' }).waitFor();
    // Who is left out is as many as it says, each with what cannot be told of it.
    await at(pending, 'left-out-usd')
      .filter({ hasText: /3\s+subscriptions/ })
      .click();
    await at(pending, 'left-out-total')
      .filter({ hasText: /3\s+subscriptions in USD/ })
      .waitFor();
    const rows = at(pending, 'left-out-rows').locator('.space .row');
    await rows.first().waitFor();
    assert.equal(await rows.count(), 3);
    assert.match(await rows.first().innerText(), /tiers/);
    await settled(pending);
    await picture(pending, 'revenue-left-out');
    await done(pending);
    const wrong = await open({ query: '&revenue=mismatch' });
    await at(wrong, 'revenue-mismatch').first().waitFor();
    await done(wrong);
  });

  it('is drawn or listed, with the same figures', async () => {
    const page = await open({ query: '&payers=40' });
    await at(page, 'plot-mrr-usd').waitFor();
    const drawn = await at(page, 'plot-mrr-usd').getAttribute('aria-valuetext');
    await at(page, 'shape-table').first().click();
    const latest = at(page, 'table-mrr-usd').locator('.space .row').first();
    const cells = await latest.locator('.cell').allInnerTexts();
    assert.ok(drawn.includes(cells[1]), `${drawn} has not ${cells[1]}`);
    assert.match(cells[0], /to date/);
    assert.equal(await at(page, 'plot-mrr-usd').count(), 0);
    await done(page);
  });

  it('is walked point by point and cell by cell with the keyboard alone', async () => {
    const page = await open({ query: '&payers=40' });
    const plot = at(page, 'plot-mrr-usd');
    await plot.focus();
    const last = await plot.getAttribute('aria-valuetext');
    await page.keyboard.press('ArrowLeft');
    assert.notEqual(await plot.getAttribute('aria-valuetext'), last);
    await page.keyboard.press('Home');
    assert.equal(await plot.getAttribute('aria-valuenow'), '1');
    await page.keyboard.press('Enter');
    await at(page, 'behind').waitFor();
    await page.keyboard.press('Escape');
    await at(page, 'behind').waitFor({ state: 'detached' });
    assert.equal(
      await page.evaluate(() => document.activeElement?.getAttribute('data-testid')),
      'plot-mrr-usd',
      'the focus goes back to where it came from',
    );
    await table(page, 'movements');
    const grid = at(page, 'table-movements-usd');
    assert.equal(await grid.locator('[tabindex="0"]').count(), 1, 'a table is one stop');
    await grid.locator('[tabindex="0"]').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown']) await page.keyboard.press(key);
    assert.equal(await page.evaluate(() => document.activeElement?.closest('[data-at]')?.dataset.at), '2:2');
    await page.keyboard.press('Control+End');
    const end = await page.evaluate(() => document.activeElement?.closest('[data-at]')?.dataset.at);
    assert.equal(end, '12:8');
    await page.keyboard.press('Enter');
    await sum(page);
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement?.closest('[data-at]')?.dataset.at), end);
    await done(page);
  });

  it('is saved as a table that has the figures in full, in privacy mode none of them', async () => {
    const page = await open({ query: '&payers=40' });
    await table(page, 'movements');
    const saved = async (button) => {
      await page.evaluate(() => delete document.documentElement.dataset.saved);
      await at(page, button).first().click();
      await page.waitForFunction(() => document.documentElement.dataset.saved);
      return page.evaluate(() => document.documentElement.dataset.saved);
    };
    const lines = (await saved('csv-usd')).trim().split('\r\n');
    assert.equal(lines[0], 'Period,Start,New,Expansion,Reactivation,Contraction,Churn,Net,End');
    assert.equal(lines.length, 13);
    for (const line of lines.slice(1)) {
      const [, start, ...rest] = line.split(',').map(Number);
      const end = rest.pop();
      const net = rest.pop();
      const moved = rest.reduce((all, part) => all + part, 0);
      assert.ok(Math.abs(start + moved - end) < 1e-6 && Math.abs(moved - net) < 1e-6, line);
    }
    await at(page, 'headline-usd-mrr').click();
    await sum(page);
    const customers = (await saved('behind-csv')).trim().split('\r\n');
    const total = await at(page, 'behind-sum').locator('.muted').innerText();
    assert.equal(customers.length - 1, parseInt(total, 10));
    await page.keyboard.press('Control+Alt+h');
    const hidden = await saved('csv-usd');
    assert.doesNotMatch(
      hidden
        .split('\r\n')
        .slice(1)
        .join('\n')
        .replace(/^[^,]*/gm, ''),
      /\d/,
    );
    const names = await saved('behind-csv');
    assert.doesNotMatch(names, /GmbH|Ltd|Inc|example/);
    await done(page);
  });

  it('hides every amount and name in privacy mode, on Overview and among tenants too', async () => {
    const page = await open({ query: '&payers=40' });
    await page.keyboard.press('Control+Alt+h');
    const amounts = /[$€¥£]\s?\d|(USD|EUR|JPY|KWD|GBP)\s?\d/;
    const shown = () =>
      page.evaluate(() =>
        [
          document.body.innerText,
          document.title,
          ...[...document.querySelectorAll('[title],[aria-label],[aria-valuetext]')].flatMap((it) => [
            it.getAttribute('title'),
            it.getAttribute('aria-label'),
            it.getAttribute('aria-valuetext'),
          ]),
        ].join('\n'),
      );
    for (const name of TABS) {
      await tab(page, name);
      await page.waitForTimeout(150);
      assert.doesNotMatch(await shown(), amounts, name);
    }
    await page.keyboard.press('Control+1');
    await at(page, 'overview-movement').waitFor();
    assert.doesNotMatch(await shown(), amounts, 'overview');
    await page.keyboard.press('Control+3');
    await page.getByText('•••••').first().waitFor();
    assert.doesNotMatch(await shown(), /Contoso|@acme|[$€¥£]\s?\d/, 'tenants');
    await done(page);
  });

  it('says which rate is missing, and takes rates from a file or says which line it cannot read', async () => {
    const page = await open({ query: '&reporting=usd' });
    await at(page, 'missing-rate')
      .filter({ hasText: /unknown: no rate from \w{3} to USD for \d{4}-\d\d-\d\d/ })
      .waitFor();
    await page.getByRole('button', { name: 'Import rates' }).first().click();
    const file = (text) => ({ name: 'rates.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await at(page, 'rates-file').setInputFiles(
      file('date,from,to,rate\n31.1.2026,EUR,USD,1.1\n2026-01-31,EUR,USD,1.1\n'),
    );
    await at(page, 'rates-faults').filter({ hasText: 'Line 2:' }).waitFor();
    await at(page, 'rates-file').setInputFiles(file('date,from,to,rate\n2026-01-31,EUR,USD,1.0834\n'));
    await at(page, 'rates-told').filter({ hasText: '1 rate added' }).waitFor();
    await page.getByRole('dialog').getByText('1.0834').last().waitFor();
    await at(page, 'rates-clear').click();
    await at(page, 'rates-clear-sure').click();
    await page.getByText('No rate was supplied yet.').waitFor();
    await done(page);
  });

  it('answers with 30,000 customers at once, also by day over a year', async () => {
    const page = await open({ query: '&payers=30000' });
    await at(page, 'headline-usd-mrr').waitFor();
    await at(page, 'revenue-period').selectOption('day');
    await table(page, 'movements');
    const grid = at(page, 'table-movements-usd');
    await page.waitForFunction(
      () =>
        Number(document.querySelector('[data-testid="table-movements-usd"]')?.getAttribute('aria-rowcount')) >
        300,
    );
    assert.ok((await grid.locator('.space .row').count()) < 60, 'only rows in sight are drawn');
    const took = await grid.evaluate(async (it) => {
      const frame = () => new Promise((next) => requestAnimationFrame(next));
      let most = 0;
      for (let step = 0; step < 20; step += 1) {
        const from = performance.now();
        it.scrollBy(0, 300);
        await frame();
        await frame();
        most = Math.max(most, performance.now() - from);
      }
      return most;
    });
    assert.ok(took < 400, `a step of scrolling took ${took} ms`);
    await at(page, 'headline-usd-mrr').click();
    await sum(page);
    assert.ok((await at(page, 'behind-customers-row').count()) < 80);
    await done(page);
  });

  it('explains itself where there is none, and works from the copy offline', async () => {
    const none = await open({ query: '&revenue=none' });
    await none.getByRole('heading', { name: 'No recurring revenue yet' }).waitFor();
    await done(none);
    const offline = await open({}, 'offline');
    await at(offline, 'headline-usd-mrr').click();
    await sum(offline);
    await done(offline);
    const broken = await open({ query: '&revenue=broken' });
    await broken.getByRole('alert').filter({ hasText: 'could not be read' }).first().waitFor();
    await done(broken);
    const keyless = await open({}, 'stripe-missing');
    await keyless.getByRole('heading', { name: 'No Stripe key in this profile' }).waitFor();
    await done(keyless);
  });
});

for (const theme of ['light', 'dark'])
  it(`stands up to WCAG 2.2 AA in the ${theme} theme, every part of it and what is behind it`, async () => {
    for (const [name, query] of Object.entries({
      3: '&payers=3',
      300: '&payers=300&reporting=usd',
      pending: '&revenue=pending',
      none: '&revenue=none',
    })) {
      const page = await open({ theme, query });
      const found = {};
      const look = async (what) => {
        await settled(page);
        const against = await violations(page);
        if (against.length > 0) found[what] = against;
        assert.equal((await overflow(page)).wide, 0, what);
        await picture(page, `revenue-${name}-${what}-${theme}`);
      };
      for (const part of TABS) {
        await tab(page, part);
        await page.waitForTimeout(150);
        await look(part);
      }
      if (name === '300') {
        await table(page, 'movements');
        await look('table');
        await at(page, 'headline-usd-quick_ratio').click();
        await at(page, 'made-figure').waitFor();
        await look('made');
        await at(page, 'made-new').click();
        await sum(page);
        await look('behind');
        await at(page, 'reconcile').click();
        await at(page, 'differences-usd').waitFor();
        await look('differences');
        await at(page, 'rates-open').click();
        await page.getByRole('dialog').waitFor();
        await look('rates');
      }
      assert.deepEqual(found, {}, name);
      await done(page);
    }
  });
