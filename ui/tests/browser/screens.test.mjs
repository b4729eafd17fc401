import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { at, desk, done, openTenant, picture, settled, violations } from './window.mjs';

let window;
before(async () => (window = await desk()));
after(() => window.close());

const nav = (screen) => async (page) => {
  await at(page, `nav-${screen}`).click();
  await page.locator('main').waitFor();
};
const detail = (page) => openTenant(page, 'acme gmbh');
const escape = (page) => page.keyboard.press('Escape');
/** A dialog over the tenant in focus. */
const dialog = (open) => ({
  show: async (page) => {
    await open(page);
    await page.getByRole('dialog').waitFor();
    await page.waitForFunction(() => !/Checking with/.test(document.querySelector('dialog').textContent));
  },
  hide: escape,
});
const menu = (kind) =>
  dialog(async (page) => {
    await at(page, 'more-actions').click();
    await at(page, `action-${kind}`).click();
  });
const key = (letter) =>
  dialog(async (page) => {
    await at(page, 'tenant-detail').focus();
    await page.keyboard.press(letter);
  });

// Every screen, in an order in which each can be reached from the one before.
const SCREENS = {
  overview: { show: (page) => page.getByRole('heading', { name: /Needs attention/ }).waitFor() },
  trials: { show: nav('trials') },
  tenants: { show: nav('tenants') },
  activity: { show: nav('activity') },
  entry: {
    show: async (page) => {
      await at(page, 'activity-row').first().click();
      await at(page, 'activity-detail').waitFor();
    },
    hide: (page) => page.getByRole('button', { name: 'Close', exact: true }).click(),
  },
  undo: dialog((page) => at(page, 'activity-undo').first().click()),
  connections: { show: nav('connections') },
  form: {
    show: (page) => at(page, 'profile-new').click(),
    hide: (page) => page.getByRole('button', { name: 'Cancel' }).click(),
  },
  chip: { show: (page) => at(page, 'chip').click(), hide: escape },
  shortcuts: {
    show: async (page) => {
      await page.keyboard.press('Control+/');
      await page.getByRole('dialog').waitFor();
    },
    hide: escape,
  },
  palette: {
    show: async (page) => {
      await page.keyboard.press('Control+k');
      await page.keyboard.type('ac');
      await page.locator('[role=option]').first().waitFor();
    },
    hide: async (page) => {
      await escape(page);
      await escape(page);
    },
  },
  tenant: { show: detail },
  timeline: {
    show: async (page) => {
      await openTenant(page, 'wayne');
      await at(page, 'tenant-detail').evaluate((pane) => pane.scrollTo(0, pane.scrollHeight));
    },
    hide: detail,
  },
  more: { show: (page) => at(page, 'more-actions').click(), hide: escape },
  extend: key('e'),
  override: key('q'),
  comp: key('c'),
  note: key('n'),
  suspend: menu('suspend'),
};

const FRAME = [
  'overview',
  'trials',
  'tenants',
  'activity',
  'connections',
  'form',
  'chip',
  'shortcuts',
  'palette',
];
const READING = [...FRAME.slice(0, 4), 'entry', ...FRAME.slice(4), 'tenant', 'timeline', 'more'];
const ALL = Object.keys(SCREENS);
const WORLDS = {
  live: { screens: ALL },
  empty: { screens: FRAME },
  offline: { screens: READING },
  'server-error': { screens: ALL },
  'first-sync': { screens: FRAME, query: '&hold' },
  'test-mode': { screens: ['overview', 'tenant', 'extend'] },
  sample: { screens: ['overview', 'tenant', 'connections'] },
  'stripe-missing': { screens: ['overview', 'tenant', 'connections'] },
};

for (const theme of ['light', 'dark']) {
  describe(`in the ${theme} theme`, { concurrency: 2 }, () => {
    for (const [world, { screens, query = '' }] of Object.entries(WORLDS)) {
      it(`every screen of ${world} stands up to WCAG 2.2 AA`, async () => {
        const page = await window.open(world, { theme, query });
        const found = {};
        for (const name of screens) {
          const { show, hide } = SCREENS[name];
          await show(page);
          await settled(page);
          const against = await violations(page);
          if (against.length > 0) found[name] = against;
          await picture(page, `${world}-${name}-${theme}`);
          await hide?.(page);
        }
        assert.deepEqual(found, {});
        await done(page);
      });
    }

    for (const world of ['first-run', 'keyring-missing', 'keyring-locked']) {
      it(`the first run of ${world} stands up to WCAG 2.2 AA`, async () => {
        const page = await window.open(world, { theme });
        await at(page, 'firstrun-connect').waitFor();
        assert.deepEqual(await violations(page), []);
        await picture(page, `${world}-welcome-${theme}`);
        await at(page, 'firstrun-connect').click();
        await at(page, 'server-url').fill('https://paywall.example.com');
        await at(page, 'server-token').fill('pwt_bad_0123456789');
        await at(page, 'stripe-key').fill('sk_test_0123456789');
        await at(page, 'test-connection').click();
        await at(page, 'test-summary').filter({ hasText: 'Nothing was saved' }).waitFor();
        assert.deepEqual(await violations(page), []);
        await picture(page, `${world}-form-${theme}`);
        await done(page);
      });
    }
  });
}
