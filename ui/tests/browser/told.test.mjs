import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, openTenant, overflow, picture, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

const DAY = 86_400_000;
const THEMES = ['light', 'dark'];
/** Opens the window in both themes, one after the other; neither may break WCAG nor stick out. */
async function inBoth(scenario, query, name, look) {
  for (const theme of THEMES) {
    const page = await window.open(scenario, { theme, query });
    await look(page);
    assert.deepEqual(await violations(page), [], `${name} in ${theme}`);
    assert.deepEqual(await overflow(page), { wide: 0, out: [] });
    await picture(page, `told-${name}-${theme}`);
    await done(page);
  }
}

describe('a clock that is off', () => {
  it('is said quietly on every screen, and everything goes by the server’s', async () => {
    await inBoth('live', `&skew=${DAY}`, 'skew', async (page) => {
      const banner = at(page, 'skew-banner');
      await banner.filter({ hasText: /clock is 1.d ahead of the paywall server/ }).waitFor();
      // By this machine's clock the copy would be a day old.
      assert.match(await at(page, 'chip').innerText(), /^As of \d\d:\d\d · \d+.s$/);
      await at(page, 'nav-tenants').click();
      await page.getByRole('main').getByRole('row').nth(1).waitFor();
      assert.ok(await banner.isVisible());
    });
    const page = await window.open('live', { query: `&skew=${DAY}` });
    await at(page, 'skew-banner').getByRole('button', { name: 'Close this message' }).click();
    await at(page, 'nav-activity').click();
    assert.equal(await at(page, 'skew-banner').count(), 0);
    await done(page);
  });

  it('never makes a copy of the future look fresh', async () => {
    await inBoth('live', '&ahead=600000', 'ahead', async (page) => {
      await at(page, 'chip')
        .filter({ hasText: /As of \d\d:\d\d — this computer’s clock is behind the copy/ })
        .waitFor();
      await at(page, 'chip').click();
      assert.match(
        await page.getByRole('group', { name: 'How old this is' }).innerText(),
        /Read at \d\d:\d\d/,
      );
    });
  });
});

describe('a profile without a token', () => {
  it('says so in place of a first copy that nobody reads', async () => {
    await inBoth('no-token', '', 'no-token', async (page) => {
      await at(page, 'unread')
        .filter({ hasText: /There is no token for this profile/ })
        .waitFor();
      assert.match(await at(page, 'chip').innerText(), /^Paywall server: no token/);
      assert.match(await page.getByRole('navigation').innerText(), /Paywall server: no token/);
      assert.doesNotMatch(await page.locator('body').innerText(), /First copy|not reached/);
    });
    const page = await window.open('no-token');
    await at(page, 'nav-tenants').click();
    await page.getByText('Nothing has been read from the server yet').waitFor();
    await at(page, 'chip').click();
    await page
      .getByRole('group', { name: 'How old this is' })
      .getByRole('button', { name: 'Mend it in Connections' })
      .click();
    await at(page, 'screen-connections').waitFor();
    await done(page);
  });
});

describe('how the last profile was opened', () => {
  it('is said under the bar of every screen', async () => {
    for (const code of ['cache_broken', 'cache_newer', 'cache_in_use', 'keyring'])
      await inBoth('live', `&open_failure=${code}`, code, async (page) => {
        for (const screen of ['trials', 'tenants', 'activity', 'connections', 'overview']) {
          await at(page, `nav-${screen}`).click();
          assert.ok(await at(page, 'open-failure').isVisible(), `${code} on ${screen}`);
        }
        await at(page, 'tile-mrr').waitFor();
      });
  });

  it('is said before a first profile, with where the old ones lie', async () => {
    await inBoth('first-run', '&open_failure=profiles_unreadable', 'profiles_unreadable', async (page) => {
      const text = await at(page, 'open-failure').innerText();
      assert.match(text, /put aside whole as .*profiles\.json\.unreadable/);
    });
  });

  it('shows the frame while it takes its time', async () => {
    const page = await window.open('live', { query: '&slow=3500', early: true });
    await at(page, 'opening').waitFor({ timeout: 1500 });
    await page.getByText('Opening… your system may be asking you to unlock the keyring.').waitFor();
    assert.deepEqual(await violations(page), []);
    await picture(page, 'told-opening-light');
    await at(page, 'tile-mrr').waitFor();
    assert.equal(await at(page, 'opening').count(), 0);
    await done(page);
  });
});

describe('a change whose answer was lost', () => {
  for (const [outcome, words] of [
    ['made', /Comp plan for .*Acme Labs Ltd.* was made after all\./],
    ['not_made', /was not made\. Nothing was changed\./],
    ['other_database', /nobody can tell whether it was made\./],
  ])
    it(`is told to be ${outcome}, and that stays`, async () => {
      await inBoth('live', `&unsettled=${outcome}&settles`, `settled-${outcome}`, async (page) => {
        await at(page, 'toast').filter({ hasText: words }).waitFor();
        assert.equal(await at(page, 'toast-undo').count(), outcome === 'made' ? 1 : 0);
        assert.equal(await at(page, 'toast-open').count(), outcome === 'made' ? 0 : 1);
      });
    });

  it('is told where it was asked for, after its own line is gone', async () => {
    const page = await window.open('live', { query: '&unsettled=not_made' });
    await at(page, 'nav-activity').click();
    await at(page, 'unsettled').getByRole('button', { name: 'Ask the server' }).click();
    await at(page, 'unsettled').waitFor({ state: 'detached' });
    const toast = at(page, 'toast').filter({ hasText: 'was not made. Nothing was changed.' });
    await toast.getByRole('button', { name: 'Open tenant' }).click();
    await at(page, 'tenant-detail').getByRole('heading', { name: 'Acme Labs Ltd' }).waitFor();
    await done(page);
  });
});

describe('money that is not all here', () => {
  it('says which lists are missing and what is left out', async () => {
    await inBoth('stripe-partial', '', 'partial-overview', async (page) => {
      assert.match(await at(page, 'tile-mrr').innerText(), /subscriptions, 3 left out/);
      await at(page, 'mrr-details').click();
      assert.match(
        await page.getByRole('group', { name: 'MRR in detail' }).innerText(),
        /12 of customers that are no tenant here\.\s+3 could not be computed and are left out/,
      );
    });
    await inBoth('stripe-partial', '', 'partial-tenant', async (page) => {
      await openTenant(page, 'acme labs');
      await page
        .getByText('Not in the copy: subscriptions, invoices, payments, refunds, disputes and credit notes')
        .scrollIntoViewIfNeeded();
    });
  });

  it('a figure’s list shows its own tab while it is chosen, with as many rows', async () => {
    const page = await window.open('live');
    for (const [tile, opens, view] of [
      ['tile-mrr', 'Paying tenants', 'paying'],
      ['tile-conversion', 'These trials', 'trial_cohort'],
    ]) {
      await at(page, 'nav-overview').click();
      const figure = await at(page, tile).innerText();
      await at(page, tile).getByRole('button', { name: opens }).click();
      const tab = at(page, `view-${view}`);
      await tab.waitFor();
      assert.equal(await tab.getAttribute('aria-pressed'), 'true');
      const [count] = (await at(page, 'found').innerText()).split(' ');
      assert.ok(figure.includes(count), `${figure} does not lead to ${count} rows`);
      await picture(page, `told-view-${view}-light`);
    }
    await done(page);
  });
});

describe('how the server is', () => {
  const health = (page) => at(page, 'server-health').first();
  const connections = async (page) => {
    await at(page, 'nav-connections').click();
    await at(page, 'screen-connections').waitFor();
  };

  it('is told in Connections: what runs, how fresh RAGFlow’s tenants are, which gate is on', async () => {
    await inBoth('live', '', 'health-well', async (page) => {
      await connections(page);
      const text = await health(page).innerText();
      assert.match(text, /Version\s+.?1\.0\.0.? on PostgreSQL, started \d.d ago/);
      assert.match(text, /as of .*\d\d:\d\d/);
      assert.match(text, /2 running · each heard from in the last 4.s/);
      assert.match(text, /RAGFlow’s tenants read \d+.s ago · all compared \d+.min ago/);
      assert.match(text, /On: requests go through to .*ragflow\.internal/);
      assert.doesNotMatch(text, /▲|not counted/);
    });
    const page = await window.open('sample');
    await connections(page);
    assert.match(
      await health(page).innerText(),
      /SQLite[\s\S]*Not connected to RAGFlow[\s\S]*Off, as there is no/,
    );
    await done(page);
  });

  it('tells what is wrong with its remedy, and Overview leads there', async () => {
    await inBoth('live', '&health=failing', 'health-failing-overview', async (page) => {
      const item = at(page, 'attention-directory_failing');
      await item.filter({ hasText: /not read for 12.min — its database does not answer/ }).waitFor();
      await item.click();
      await at(page, 'screen-connections').waitFor();
      await at(page, 'nav-overview').click();
      await item.waitFor();
    });
    await inBoth('live', '&health=failing', 'health-failing', async (page) => {
      await connections(page);
      const text = await health(page).innerText();
      assert.match(
        text,
        /Tenants not read since .*\d\d:\d\d: its database does not answer\s+See that RAGFlow/,
      );
      assert.match(text, /1 silent since .*\d\d:\d\d/);
      assert.match(text, /1,204.events not counted yet/);
    });
  });

  it('says that the gate is off where there is somebody to limit', async () => {
    await inBoth('live', '&health=gate-off', 'health-gate-off', async (page) => {
      await at(page, 'attention-gate_off').click();
      await at(page, 'health-gate').filter({ hasText: 'Off: requests to RAGFlow are not checked' }).waitFor();
    });
    const page = await window.open('empty', { query: '&health=gate-off' });
    await page.getByText('Nothing needs you.').waitFor();
    await done(page);
  });

  it('is seen offline with its age, and not at all of a server that is too old to say', async () => {
    await inBoth('offline', '&health=api', 'health-offline', async (page) => {
      await connections(page);
      assert.match(await health(page).innerText(), /as of .* · 2.h ago/);
    });
    const page = await window.open('live', { query: '&health=old' });
    await connections(page);
    assert.equal(await health(page).count(), 0);
    await done(page);
  });

  it('is told by a connection test too', async () => {
    const page = await window.open('live', { query: '&health=api' });
    await connections(page);
    await at(page, 'profile-p2').getByTestId('profile-test').click();
    await at(page, 'test-summary').filter({ hasText: 'Everything works' }).waitFor();
    const tested = at(page, 'profile-p2').getByTestId('server-health');
    assert.match(
      await tested.innerText(),
      /versions .*1\.0\.0.* and .*1\.1\.0[\s\S]*Asked about each caller/,
    );
    assert.deepEqual(await violations(page), []);
    await picture(page, 'told-health-tested-light');
    await done(page);
  });
});

describe('a first refusal', () => {
  it('tells its rule and its request, in the timeline and in Activity', async () => {
    await inBoth('live', '', 'refused-timeline', async (page) => {
      await openTenant(page, 'acme gmbh');
      const entry = at(page, 'timeline').getByText(/First request refused: trial ended/);
      assert.match(await entry.innerText(), /\(.?POST \/v1\/conversation\/completion.?, 402\)/);
      await entry.scrollIntoViewIfNeeded();
      // Of one that went on asking, the first request is not known any more.
      await openTenant(page, 'globex');
      const first = at(page, 'timeline').getByText(/First request refused: trial ended/);
      assert.doesNotMatch(await first.innerText(), /POST/);
      await openTenant(page, 'acme gmbh');
      await entry.scrollIntoViewIfNeeded();
    });
    await inBoth('live', '', 'refused-activity', async (page) => {
      await at(page, 'nav-activity').click();
      await at(page, 'activity-view-system').click();
      const row = at(page, 'activity-row')
        .filter({ hasText: 'Acme GmbH' })
        .filter({ hasText: 'First refused' });
      assert.match(await row.innerText(), /trial ended · .?POST \/v1\/conversation\/completion.?, 402/);
      await row.click();
      await at(page, 'activity-detail').filter({ hasText: 'The paywall did this.' }).waitFor();
    });
  });
});

describe('Sync now', () => {
  it('says that it asks, and then how new the copy is', async () => {
    const page = await window.open('live');
    await at(page, 'nav-connections').click();
    await at(page, 'sync-now').first().click();
    const said = at(page, 'profile-said').first();
    await said.filter({ hasText: 'Asking…' }).waitFor();
    await said.filter({ hasText: /^Up to date as of \d\d:\d\d\.$/ }).waitFor();
    await done(page);
  });

  it('says why not while offline', async () => {
    const page = await window.open('offline');
    await at(page, 'nav-connections').click();
    await at(page, 'sync-now').first().click();
    await page.getByRole('main').getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor();
    assert.doesNotMatch(await page.getByRole('main').innerText(), /Up to date/);
    await done(page);
  });
});

describe('the window itself', () => {
  it('writes numbers with their separators on a bare system', async () => {
    const page = await window.open('live', { locale: 'en-US-u-va-posix' });
    await openTenant(page, 'contoso');
    assert.match(await at(page, 'tenant-detail').innerText(), /820 \/ 1,200/);
    await done(page);
  });

  it('has scrollbars that take their place, so that none lies over a dialog', async () => {
    const page = await window.open('live');
    await openTenant(page, 'contoso');
    for (const scroller of ['[role=grid]', '[data-testid=tenant-detail]']) {
      const width = await page.locator(scroller).evaluate((it) => {
        const { borderLeftWidth, borderRightWidth } = getComputedStyle(it);
        return it.offsetWidth - it.clientWidth - parseFloat(borderLeftWidth) - parseFloat(borderRightWidth);
      });
      assert.equal(width, 10, `${scroller} has an overlay scrollbar`);
    }
    await done(page);
  });

  it('has the actions on a tenant in one line, and the summary in two places', async () => {
    const page = await window.open('live');
    for (const tenant of ['contoso', 'initech', 'umbrella']) {
      await openTenant(page, tenant);
      const tops = await page
        .getByRole('group', { name: 'Actions' })
        .evaluate((it) =>
          [...it.querySelectorAll(':scope > * > button')].map((b) => b.offsetParent.offsetTop),
        );
      assert.equal(new Set(tops).size, 1, `${tenant}: ${tops}`);
    }
    const copied = () => page.evaluate(() => document.documentElement.dataset.copied ?? '');
    await at(page, 'copy-summary').click();
    assert.match(await copied(), /Umbrella/);
    await page.evaluate(() => delete document.documentElement.dataset.copied);
    await at(page, 'more-actions').click();
    await at(page, 'action-copy').click();
    assert.match(await copied(), /SUSPENDED/);
    await page.getByText('Copied the summary').waitFor();
    await done(page);
  });

  it('offers the plans by name where one is given or changed', async () => {
    for (const theme of THEMES) {
      const page = await window.open('live', { theme });
      await openTenant(page, 'contoso');
      await at(page, 'more-actions').click();
      await at(page, 'action-change_plan').click();
      await at(page, 'plan-select').selectOption({ label: 'Team' });
      await at(page, 'change-apply').filter({ hasText: 'Move to Team' }).waitFor();
      await page.waitForFunction(() => !/Checking with/.test(document.querySelector('dialog').textContent));
      assert.deepEqual(await violations(page), []);
      await picture(page, `told-change-plan-${theme}`);
      await done(page);
    }
  });
});
