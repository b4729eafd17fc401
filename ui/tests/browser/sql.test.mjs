import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, overflow, picture, settled, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

async function openSql(scenario = 'live', how = {}) {
  const page = await window.open(scenario, how);
  await page.keyboard.press('Control+6');
  await at(page, 'screen-sql').waitFor();
  await at(page, 'saved-query').first().waitFor();
  return page;
}
async function ask(page, text) {
  await at(page, 'sql-text').fill(text);
  await at(page, 'sql-text').press('Control+Enter');
}
const status = (page) => at(page, 'sql-status').textContent();
async function seemly(page) {
  await settled(page);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(await overflow(page), { wide: 0, out: [] });
}

for (const theme of ['light', 'dark'])
  describe(`questions in SQL, ${theme}`, () => {
    it('are answered as a table and as charts, by the keyboard', async () => {
      const page = await openSql('live', { theme, query: '&payers=60' });
      await at(page, 'sql-text').press('Control+Enter');
      await at(page, 'sql-table').waitFor();
      assert.match(await status(page), /rows ·/);
      await seemly(page);
      await picture(page, `sql-table-${theme}`);
      await at(page, 'sql-shape-chart').click();
      await page.locator('[data-testid=sql-chart-0] canvas').waitFor();
      // A chart's colours are of the theme: the keyboard chooses its points.
      await at(page, 'sql-chart-0').focus();
      await page.keyboard.press('Home');
      const first = await at(page, 'sql-chart-0-point').textContent();
      await page.keyboard.press('End');
      assert.notEqual(await at(page, 'sql-chart-0-point').textContent(), first);
      await seemly(page);
      await picture(page, `sql-chart-${theme}`);
      await done(page);
    });

    it('show what the views hold, and what went wrong', async () => {
      const page = await openSql('live', { theme });
      await at(page, 'sql-view-tenants').locator('summary').click();
      await ask(page, 'SELECT nam FROM tenants');
      await at(page, 'sql-failure').waitFor();
      assert.match(await at(page, 'sql-failure').textContent(), /no such column: nam/);
      await seemly(page);
      await picture(page, `sql-failed-${theme}`);
      await ask(page, 'DELETE FROM tenants');
      await page.waitForFunction(
        () =>
          !/no such column/.test(
            document.querySelector('[data-testid=sql-failure]')?.textContent ?? 'no such column',
          ),
      );
      assert.match(await at(page, 'sql-failure').textContent(), /cannot be changed|only/i);
      await done(page);
    });
  });

describe('questions in SQL', () => {
  it('say where there are more rows than are shown', async () => {
    const page = await openSql('live', { query: '&tenants=10100' });
    await ask(page, 'SELECT id, name FROM tenants');
    await at(page, 'sql-table').waitFor();
    assert.match(await status(page), /10,000\srows shown, there are more/);
    // However many there are, few are drawn, and the last can be reached.
    assert.ok((await page.locator('[data-testid=sql-table] [role=row]').count()) < 60);
    await page.locator('[data-testid=sql-table] [tabindex="0"]').focus();
    await page.keyboard.press('Control+End');
    await page.locator('[data-testid=sql-table] [data-id="9999"]').waitFor();
    await seemly(page);
    await picture(page, 'sql-more');
    await done(page);
  });

  it('can be stopped', async () => {
    const page = await openSql();
    await ask(
      page,
      'WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n',
    );
    await at(page, 'sql-stop').click();
    await at(page, 'sql-stopped').waitFor();
    await seemly(page);
    await ask(page, 'SELECT id FROM tenants LIMIT 3');
    await at(page, 'sql-table').waitFor();
    assert.equal(await at(page, 'sql-stopped').count(), 0);
    await done(page);
  });

  it('work offline, at 200 % and in a narrow window', async () => {
    for (const [name, how] of [
      ['offline', {}],
      ['narrow', { width: 640, height: 400 }],
    ]) {
      const page = await openSql(name === 'offline' ? 'offline' : 'live', how);
      await ask(page, 'SELECT name, plan, trial_ends_at FROM tenants LIMIT 40');
      await at(page, 'sql-table').waitFor();
      await seemly(page);
      await picture(page, `sql-${name}`);
      await done(page);
    }
  });

  it('are saved under a name, opened again and deleted, which can be undone', async () => {
    const page = await openSql();
    await ask(page, "SELECT name FROM tenants WHERE plan = 'pro'");
    await at(page, 'sql-save').click();
    await at(page, 'query-name').fill('Who is on Pro');
    await seemly(page);
    await picture(page, 'sql-save');
    await page.waitForTimeout(450);
    await page.keyboard.press('Enter');
    const mine = at(page, 'saved-query').filter({ hasText: 'Who is on Pro' });
    await mine.waitFor();
    // It stays while other screens are looked at.
    await page.keyboard.press('Control+1');
    await page.keyboard.press('Control+6');
    assert.match(await at(page, 'sql-text').inputValue(), /plan = 'pro'/);
    await at(page, 'sql-table').waitFor();
    await at(page, 'saved-query').filter({ hasText: 'Revenue by month' }).locator('.open').click();
    assert.match(await at(page, 'sql-text').inputValue(), /mrr_by_month/);
    await mine.locator('[data-testid=saved-query-delete]').click();
    await mine.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: /Undo/ }).first().click();
    await mine.waitFor();
    await done(page);
  });
});
