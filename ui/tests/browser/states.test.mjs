import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, openTenant, overflow, picture, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

describe('offline', () => {
  it('every action keeps its place, takes the focus and says why it does nothing', async () => {
    const page = await window.open('offline');
    await openTenant(page, 'acme gmbh');
    await at(page, 'offline-banner').filter({ hasText: 'Looking works' }).waitFor();
    assert.match(await at(page, 'chip').innerText(), /Offline · as of .*\d\d:\d\d/);
    for (const id of ['extend-open', 'comp-open', 'note-open']) {
      const button = at(page, id);
      assert.equal(await button.getAttribute('aria-disabled'), 'true');
      assert.equal(await button.getAttribute('disabled'), null);
      await button.focus();
      const reason = page.locator(`[id="${await button.getAttribute('aria-describedby')}"]`);
      assert.match(await reason.innerText(), /Changes need a connection/);
      assert.ok(await reason.isVisible(), `why ${id} does nothing is not to be seen`);
      await page.keyboard.press('Enter');
    }
    await at(page, 'more-actions').click();
    await page.getByRole('group', { name: 'More actions' }).getByText('Changes need a connection').waitFor();
    await at(page, 'action-suspend').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await at(page, 'tenant-detail').focus();
    await page.keyboard.type('eqcn');
    assert.equal(await page.getByRole('dialog').count(), 0, 'a change is offered offline');
    await done(page);
  });

  it('everything can be read, filtered and found, marked with the time of the copy', async () => {
    const page = await window.open('offline');
    await at(page, 'tile-trials').waitFor();
    for (const screen of ['trials', 'tenants', 'activity']) {
      await at(page, `nav-${screen}`).click();
      await page.getByRole('main').getByRole('row').nth(1).waitFor();
      assert.match(await at(page, 'chip').innerText(), /Offline · as of .*\d\d:\d\d/);
    }
    await at(page, 'nav-tenants').click();
    await at(page, 'list-filter').fill('hooli');
    await page.getByText('1 found').waitFor();
    await openTenant(page, 'acme gmbh');
    await at(page, 'verdict').filter({ hasText: 'From the copy of' }).waitFor();
    await done(page);
  });

  it('the banner can be closed, and the chip stays', async () => {
    const page = await window.open('offline');
    await at(page, 'offline-banner').getByRole('button', { name: 'Close this message' }).click();
    await at(page, 'offline-banner').waitFor({ state: 'detached' });
    assert.match(await at(page, 'chip').innerText(), /Offline/);
    await done(page);
  });
});

describe('what cannot be changed or is not there', () => {
  it('a read-only profile says so on every action', async () => {
    const page = await window.open('live', { query: '&write=read_only' });
    await openTenant(page, 'acme gmbh');
    await at(page, 'extend-open').focus();
    await page.getByText('This profile is read-only.').first().waitFor();
    await done(page);
  });

  it('a server in trouble blanks nothing, names itself, and gives the request id', async () => {
    const page = await window.open('server-error');
    await at(page, 'tile-trials').filter({ hasText: /\d/ }).waitFor();
    assert.match(await at(page, 'chip').innerText(), /Paywall server: answers with faults since .* copy of/);
    await openTenant(page, 'acme gmbh');
    await page.keyboard.press('e');
    const alert = page.getByRole('dialog').getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.innerText(), /The server had a fault[\s\S]*request req-01J9ZQ/);
    await done(page);
  });

  it('without Stripe, money is a dash with its reason and everything else is there', async () => {
    const page = await window.open('stripe-missing');
    const mrr = at(page, 'tile-mrr');
    await mrr.waitFor();
    assert.match(await mrr.innerText(), /—\s+No Stripe key in this profile/);
    assert.match(await at(page, 'tile-trials').innerText(), /\d+/);
    await done(page);
  });

  it('a filter that finds nothing keeps the bar and offers the way back', async () => {
    const page = await window.open('live');
    await at(page, 'nav-tenants').click();
    await at(page, 'list-filter').fill('zzzz');
    await page.getByText('No tenants here match “zzzz”.').waitFor();
    await page.getByRole('button', { name: 'Clear filter' }).click();
    await page.getByRole('main').getByRole('row').nth(1).waitFor();
    assert.equal(await at(page, 'list-filter').inputValue(), '');
    await done(page);
  });
});

describe('undo', () => {
  it('is offered in Activity too, and refused there with the reason where somebody changed it since', async () => {
    const page = await window.open('live');
    await openTenant(page, 'acme gmbh');
    await at(page, 'tenant-detail').focus();
    await at(page, 'extend-open').click();
    await page.waitForFunction(
      () => document.querySelector('[data-testid=extend-apply]')?.getAttribute('aria-disabled') === null,
    );
    await at(page, 'extend-apply').click();
    await at(page, 'toast').getByRole('button', { name: 'Close message' }).click();
    await at(page, 'nav-activity').click();
    const row = (text) => at(page, 'activity-row').filter({ hasText: text });
    await row('Acme GmbH').first().getByRole('button', { name: 'Undo' }).click();
    // What it will change is shown before it does.
    await at(page, 'preview')
      .filter({ hasText: /Status\s*Trial\s*Expired/ })
      .waitFor();
    await picture(page, 'states-undo-light');
    await at(page, 'undo-apply').click();
    await row('Undo: extend trial').waitFor();
    const refused = row('Two Currencies SA').filter({ hasText: 'Goodwill' });
    const button = refused.getByRole('button', { name: 'Undo' });
    assert.equal(await button.getAttribute('aria-disabled'), 'true');
    const reason = page.locator(`[id="${await button.getAttribute('aria-describedby')}"]`);
    assert.match(await reason.textContent(), /Changed again by \W?tom.*Undo that change first/);
    await done(page);
  });

  it('of a suspension is to reinstate, which is what is offered first', async () => {
    const page = await window.open('live');
    await openTenant(page, 'umbrella');
    await at(page, 'verdict')
      .filter({ hasText: /SUSPENDED since .* UTC/ })
      .waitFor();
    assert.match(await at(page, 'fix-open').innerText(), /Reinstate/);
    await openTenant(page, 'initech');
    await at(page, 'verdict').filter({ hasText: 'PARTLY BLOCKED' }).waitFor();
    assert.match(await at(page, 'fix-open').innerText(), /Change limit/);
    await done(page);
  });
});

describe('where there is much to show', () => {
  const SIZES = [1280, 1000];

  it('the tiles of Overview are equally high and begin and end together, with five currencies', async () => {
    for (const theme of ['light', 'dark'])
      for (const width of SIZES) {
        const page = await window.open('live', { theme, width });
        await at(page, 'tile-mrr').waitFor();
        const tiles = await page.locator('[data-testid^=tile-]').evaluateAll((all) =>
          all.map((it) => {
            const { top, height } = it.getBoundingClientRect();
            const link = it.querySelector(':scope > footer .link').getBoundingClientRect();
            return { top, height: Math.round(height), foot: Math.round(top + height - link.bottom) };
          }),
        );
        assert.equal(tiles.length, 4);
        for (const each of ['height', 'foot'])
          assert.equal(new Set(tiles.map((it) => it[each])).size, 1, JSON.stringify(tiles));
        assert.equal(new Set(tiles.map((it) => it.top)).size, width === 1280 ? 1 : 2);
        assert.ok(tiles[0].height < 260, `the tiles are ${tiles[0].height} px high`);
        const text = await at(page, 'tile-mrr').innerText();
        for (const code of ['USD', 'JPY', 'KWD', 'EUR', 'GBP']) assert.match(text, new RegExp(code));
        await at(page, 'mrr-details').click();
        assert.equal(await page.getByRole('group', { name: 'MRR in detail' }).getByRole('row').count(), 6);
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(await overflow(page), { wide: 0, out: [] });
        await picture(page, `states-tiles-${width}-${theme}`);
        await done(page);
      }
  });

  it('Activity never scrolls sideways, and what is cut is told in full', async () => {
    for (const width of [...SIZES, 861, 640]) {
      const page = await window.open('live', { width });
      await at(page, 'nav-activity').click();
      await at(page, 'activity-row').first().waitFor();
      const list = page.getByTestId('screen-activity').locator(':scope > .list');
      const wide = () => list.evaluate((it) => it.scrollWidth - it.clientWidth);
      assert.equal(await wide(), 0, `at ${width} px`);
      const row = at(page, 'activity-row').filter({ hasText: 'Gesellschaft' }).first();
      const titles = await row
        .locator('td')
        .evaluateAll((all) => all.map((it) => it.title.replaceAll('\u00a0', ' ')));
      assert.ok(titles.includes('Limit of storage: 10 GB → 20 GB (override)'), titles.join('\n'));
      assert.ok(titles.some((it) => it.endsWith('Wissensmanagement mbH & Co. KG')));
      await picture(page, `states-activity-${width}`);
      await row.click();
      await at(page, 'activity-detail').waitFor();
      assert.equal(await wide(), 0, `beside an entry at ${width} px`);
      await done(page);
    }
  });
});

describe('the environment', () => {
  for (const [scenario, word] of [
    ['live', 'LIVE'],
    ['test-mode', 'TEST'],
    ['sample', 'SAMPLE'],
  ]) {
    it(`${word} is said in the window, its title and every dialog`, async () => {
      const page = await window.open(scenario);
      await openTenant(page, 'acme gmbh');
      assert.match(await page.title(), new RegExp(`\\(${word}\\)`, 'i'));
      assert.match(await page.getByRole('navigation').innerText(), new RegExp(word));
      assert.equal(await at(page, 'environment-band').count(), scenario === 'live' ? 0 : 1);
      await page.keyboard.press('e');
      await page.getByRole('dialog').waitFor();
      assert.match(await page.getByRole('dialog').locator('header').innerText(), new RegExp(word));
      await done(page);
    });
  }
});

describe('in a small window', () => {
  // A window of 640 px, the same as one of 1280 px at 200 %, in which everything is twice the size.
  const SIZES = {
    '640 px wide': { width: 640, height: 800 },
    'at 200 %': { width: 640, height: 400, deviceScaleFactor: 2 },
  };
  for (const [name, size] of Object.entries(SIZES)) {
    it(`${name}, nothing sticks out of the page`, async () => {
      const page = await window.open('live', size);
      const fits = async (screen) => {
        assert.deepEqual(await overflow(page), { wide: 0, out: [] }, screen);
        await picture(page, `small-${screen}-${size.height}`);
      };
      await at(page, 'tile-trials').waitFor();
      await fits('overview');
      for (const opener of await page.locator('[aria-expanded]').all()) {
        await opener.click();
        const box = await page.locator('.body[role=group]').boundingBox();
        const name = await opener.innerText();
        assert.ok(box.x >= 0 && box.x + box.width <= 640, `what “${name}” opens sticks out: ${box.x}`);
        await page.keyboard.press('Escape');
      }
      for (const screen of ['trials', 'tenants', 'activity', 'connections']) {
        await at(page, `nav-${screen}`).click();
        await page.locator('main h2, main [role=grid]').first().waitFor();
        await fits(screen);
      }
      await at(page, 'profile-new').click();
      await fits('form');
      await openTenant(page, 'acme gmbh');
      await fits('tenant');
      await at(page, 'more-actions').click();
      await fits('more');
      await page.keyboard.press('Escape');
      await at(page, 'tenant-detail').focus();
      for (const key of ['e', 'q', 'c', 'n']) {
        await page.keyboard.press(key);
        await page.getByRole('dialog').waitFor();
        await page.waitForFunction(() => !/Checking with/.test(document.querySelector('dialog').textContent));
        await fits(`dialog-${key}`);
        const apply = page.locator('[data-confirm]');
        await apply.scrollIntoViewIfNeeded();
        assert.ok(await apply.isVisible(), `the button of ${key} is not to be reached`);
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }
      await page.keyboard.press('Control+k');
      await page.keyboard.type('ac');
      await at(page, 'search-hit').first().waitFor();
      await fits('palette');
      await done(page);
    });
  }

  it('the first run fits as well', async () => {
    const page = await window.open('first-run', { width: 640, height: 480 });
    await at(page, 'firstrun-connect').click();
    await at(page, 'server-url').waitFor();
    assert.deepEqual(await overflow(page), { wide: 0, out: [] });
    await picture(page, 'small-first-run-480');
    await done(page);
  });
});

describe('with more space between letters and lines', () => {
  it('no text is cut', async () => {
    const page = await window.open('live');
    await openTenant(page, 'acme gmbh');
    await page.evaluate(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(
        '* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }',
      );
      document.adoptedStyleSheets = [sheet];
    });
    assert.equal((await overflow(page)).wide, 0);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll('[data-testid=verdict] *, .actions button, nav button')]
        .filter((it) => it.scrollHeight > it.clientHeight + 4 && getComputedStyle(it).overflowY === 'hidden')
        .map((it) => it.textContent),
    );
    assert.deepEqual(cut, []);
    await done(page);
  });
});
