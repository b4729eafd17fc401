import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, openTenant } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

/** What has the focus, whether it shows that it has, and whether anything covers it. */
const focus = (page) =>
  page.evaluate(() => {
    const it = document.activeElement;
    if (!it || it === document.body) return { lost: true };
    const ring = getComputedStyle(it);
    const box = it.getBoundingClientRect();
    const [x, y] = [box.left + Math.min(box.width / 2, 20), box.top + Math.min(box.height / 2, 10)];
    const onTop = document.elementFromPoint(x, y);
    return {
      lost: false,
      name: it.getAttribute('data-testid') ?? it.textContent?.trim() ?? it.tagName,
      ringed: ring.outlineStyle !== 'none' || it.matches('input') || it.closest('label') !== null,
      covered: onTop !== null && !it.contains(onTop) && !onTop.contains(it),
    };
  });
async function seen(page) {
  const it = await focus(page);
  assert.equal(it.lost, false, 'the focus is lost');
  assert.equal(it.ringed, true, `the focus on ${it.name} is not to be seen`);
  assert.equal(it.covered, false, `${it.name} has the focus under something else`);
  return it;
}
const verdict = (page, text) => at(page, 'verdict').filter({ hasText: text }).waitFor();
const enabled = (page, id) =>
  page.waitForFunction(
    (name) => document.querySelector(`[data-testid="${name}"]`)?.getAttribute('aria-disabled') === null,
    id,
  );
/** Presses Enter until the dialog takes it: it ignores the key for a moment after it opened. */
async function confirm(page, id, key = 'Enter') {
  await enabled(page, id);
  while (await at(page, id).isVisible()) {
    await page.keyboard.press(key);
    await at(page, id)
      .waitFor({ state: 'detached', timeout: 250 })
      .catch(() => undefined);
  }
}

describe('without a mouse', () => {
  it('a tenant is found, understood, extended, undone and noted', async () => {
    const page = await window.open('live');
    await at(page, 'tile-trials').waitFor();
    await openTenant(page, 'jane@acme.de');
    await verdict(page, 'LOCKED OUT since');
    await verdict(page, 'The Pro trial ended');
    await seen(page);

    await page.keyboard.press('e');
    await at(page, 'extend-apply').waitFor();
    assert.equal(
      await page.evaluate(() => document.activeElement.value),
      '7',
      'the keyboard starts elsewhere',
    );
    await at(page, 'preview').filter({ hasText: 'PARTLY BLOCKED' }).waitFor();
    await confirm(page, 'extend-apply');
    await verdict(page, 'PARTLY BLOCKED');
    await at(page, 'toast').filter({ hasText: 'Acme GmbH' }).waitFor();
    await seen(page);

    await page.keyboard.press('Control+z');
    await verdict(page, 'LOCKED OUT since');
    await at(page, 'toast').filter({ hasText: 'Undone' }).waitFor();
    await seen(page);

    await page.keyboard.press('n');
    await at(page, 'note-text').waitFor();
    await page.keyboard.type('Called back, will pay on Friday');
    await confirm(page, 'change-apply', 'Control+Enter');
    await at(page, 'timeline').filter({ hasText: 'will pay on Friday' }).waitFor();
    await seen(page);
    await done(page);
  });

  it('everything on a screen is reached by Tab, seen and covered by nothing', async () => {
    const page = await window.open('live');
    for (const screen of ['overview', 'tenants', 'activity', 'connections']) {
      await at(page, `nav-${screen}`).click();
      await page.locator('main h2, main [role=grid]').first().waitFor();
      await at(page, 'nav-overview').focus();
      const names = [];
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press('Tab');
        if ((await focus(page)).lost) break;
        names.push((await seen(page)).name);
      }
      assert.ok(names.includes('search-open'), `${screen}: ${names}`);
      assert.ok(names.length > 9, `${screen}: the way ends after ${names}`);
    }
    await done(page);
  });

  it('a list is one stop, and Enter and Escape go into a tenant and back', async () => {
    const page = await window.open('live');
    await page.keyboard.press('Control+3');
    const grid = page.getByRole('grid', { name: 'Tenants' });
    await grid.waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'grid');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await at(page, 'tenant-detail').getByRole('heading', { name: 'Acmeworks' }).waitFor();
    assert.equal((await seen(page)).name, 'tenant-detail');
    await page.keyboard.press('Escape');
    await at(page, 'tenant-detail').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'grid');
    await page.keyboard.press('End');
    const last = await grid.getAttribute('aria-activedescendant');
    assert.ok(await page.locator(`[id="${last}"]`).isVisible(), 'the row in focus is not to be seen');
    await page.keyboard.press('Home');
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => document.activeElement.closest('[role=grid]') === null));
    await done(page);
  });

  it('a dialog gives the focus back, and Escape changes nothing', async () => {
    const page = await window.open('live');
    await openTenant(page, 'contoso');
    await page.keyboard.press('q');
    await at(page, 'limit-input').waitFor();
    assert.ok(await page.evaluate(() => document.activeElement.closest('dialog') !== null));
    await page.keyboard.press('Escape');
    await at(page, 'limit-input').waitFor({ state: 'detached' });
    assert.equal((await seen(page)).name, 'tenant-detail');
    assert.equal(await at(page, 'toast').count(), 0);
    await done(page);
  });

  it('the palette answers to the last key typed, however fast Enter follows', async () => {
    const page = await window.open('live');
    await at(page, 'tile-trials').waitFor();
    await page.keyboard.press('Control+k');
    await at(page, 'search-input').waitFor();
    await page.keyboard.type('acme labs');
    await page.keyboard.press('Enter');
    await at(page, 'tenant-detail').getByRole('heading', { name: 'Acme Labs Ltd' }).waitFor();
    await done(page);
  });

  it('the palette extends by as many days as were typed, and asks the server for whom it does not know', async () => {
    const page = await window.open('live');
    await at(page, 'tile-trials').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('acme gmbh ext 14');
    await at(page, 'search-extend').waitFor();
    await page.keyboard.press('Enter');
    await at(page, 'extend-apply').filter({ hasText: 'Extend 14 days' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('nobody@nowhere.example');
    const first = page.locator('[role=option]').first();
    await first.filter({ hasText: 'Ask the server' }).waitFor();
    assert.equal(await first.getAttribute('aria-selected'), 'true');
    await page.keyboard.press('Enter');
    await page.getByText('The server knows nothing by that name either.').waitFor();
    await done(page);
  });
});

describe('the screens', () => {
  it('have their digits in the order in which they stand, and each opens its own', async () => {
    const page = await window.open('live');
    const items = page.getByRole('navigation').locator('li:has(kbd)');
    const shown = await items.locator('kbd').allInnerTexts();
    assert.deepEqual(shown, ['Ctrl+1', 'Ctrl+2', 'Ctrl+3', 'Ctrl+4', 'Ctrl+5', 'Ctrl+6', 'Ctrl+7', 'Ctrl+,']);
    for (const [index, keys] of shown.entries()) {
      await page.keyboard.press(keys.replace('Ctrl', 'Control'));
      await items.nth(index).locator('[aria-current=page]').waitFor();
    }
    await done(page);
  });
});

describe('single keys', () => {
  const noDialog = async (page, where) =>
    assert.equal(await page.getByRole('dialog').count(), 0, `a single key opened a dialog from ${where}`);

  it('are letters like any other in a field', async () => {
    const page = await window.open('live');
    await openTenant(page, 'acme gmbh');
    for (const [field, typed] of [
      ['list-filter', 'eqcn?'],
      ['activity-filter', 'eqcn?'],
    ]) {
      if (field === 'activity-filter') await at(page, 'nav-activity').click();
      await at(page, field).click();
      await page.keyboard.type(typed);
      await noDialog(page, field);
      assert.equal(await at(page, field).inputValue(), typed);
    }
    await done(page);
  });

  it('do nothing where no tenant has the focus', async () => {
    const page = await window.open('live');
    await at(page, 'tile-trials').waitFor();
    await page.keyboard.type('eqcn');
    await noDialog(page, 'Overview');
    await at(page, 'nav-tenants').focus();
    await page.keyboard.type('eqcn');
    await noDialog(page, 'the sidebar');
    await done(page);
  });

  it('act on the row that is marked, also where the list was come to by the mouse', async () => {
    const page = await window.open('live');
    await at(page, 'nav-trials').click();
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'grid');
    const grid = page.getByRole('grid', { name: 'Trials' });
    const marked = () =>
      grid
        .locator('.row:not(.head)')
        .evaluateAll((rows) =>
          rows
            .filter((it) => getComputedStyle(it).outlineStyle === 'solid')
            .map((it) => it.querySelector('.tenant').textContent),
        );
    const [first, ...others] = await marked();
    assert.deepEqual(others, []);
    await page.keyboard.press('e');
    await page.getByRole('dialog', { name: `Extend trial — ${first}` }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // The marked row is scrolled away: it comes back into sight first.
    await grid.evaluate((it) => it.scrollTo(0, 1500));
    await page.waitForFunction(() => document.querySelector('[role=grid] .row.active') === null);
    await page.keyboard.press('e');
    await page.waitForFunction(() => document.querySelector('[role=grid] .row.active') !== null);
    await noDialog(page, 'a row out of sight');
    assert.deepEqual(await marked(), [first]);
    await done(page);
  });

  it('can be switched off', async () => {
    const page = await window.open('live');
    await at(page, 'nav-connections').click();
    await page.getByLabel(/Single keys/).uncheck();
    await openTenant(page, 'acme gmbh');
    await page.keyboard.type('eqcn');
    await noDialog(page, 'a tenant although they are off');
    await done(page);
  });

  it('leave text in a field its own undo', async () => {
    const page = await window.open('live');
    await openTenant(page, 'acme gmbh');
    await page.keyboard.press('e');
    await confirm(page, 'extend-apply');
    await verdict(page, 'PARTLY BLOCKED');
    await at(page, 'list-filter').click();
    await page.keyboard.type('x');
    await page.keyboard.press('Control+z');
    assert.equal(await at(page, 'list-filter').inputValue(), '');
    await verdict(page, 'PARTLY BLOCKED');
    await done(page);
  });
});
