import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve } from './serve.mjs';

const DIST = fileURLToPath(new URL('../../dist-mock', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const PICTURES = process.env.PAYWALL_SCREENSHOTS;
// How long anything may take to appear, in milliseconds: longer on a machine that is busy with other things.
const PATIENCE = Number(process.env.PAYWALL_BROWSER_PATIENCE ?? 10_000);

/** The browser that the tests run in: the one named by PAYWALL_CHROMIUM, or the system's. */
function executable() {
  const path = process.env.PAYWALL_CHROMIUM ?? PLACES.find((it) => existsSync(it));
  if (!path) throw new Error('no Chromium here: install it, or name it in PAYWALL_CHROMIUM');
  return path;
}

/** A browser with the built window served to it, as long as a file of tests runs. */
export async function desk() {
  if (!existsSync(join(DIST, 'index.html')))
    throw new Error('dist-mock is missing: run vite build --mode mock');
  const server = await serve(DIST);
  const browser = await chromium.launch({
    executablePath: executable(),
    args: ['--no-sandbox', '--disable-gpu'],
    // The window's scrollbars are its own, and are looked at like the rest of it.
    ignoreDefaultArgs: ['--hide-scrollbars'],
  });
  return {
    /** Opens the window in a scenario; what it is asked to be beside that goes into `query`. `early` waits for nothing. */
    async open(scenario, how = {}) {
      const { theme = 'light', width = 1280, height = 800, query = '', early = false, ...context } = how;
      const page = await browser.newPage({
        viewport: { width, height },
        locale: 'en-US',
        timezoneId: 'Europe/Berlin',
        reducedMotion: 'reduce',
        ...context,
      });
      page.setDefaultTimeout(PATIENCE);
      // Whatever the page complains of: errors, warnings, and what its security policy refused.
      page.complaints = [];
      page.on('pageerror', (error) => page.complaints.push(`error: ${error.message}`));
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
      });
      await page.goto(`${server.address}/?scenario=${scenario}&theme=${theme}${query}`);
      if (!early) await at(page, 'chip').or(at(page, 'firstrun-connect')).waitFor();
      return page;
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}

/** Something of the page by its test id. */
export const at = (page, id) => page.locator(`[data-testid="${id}"]`);

/** Closes a page, which must have had nothing to complain of. */
export async function done(page) {
  assert.deepEqual(page.complaints, []);
  await page.close();
}

/** Waits until an animation or a picture in the making does not change any more. */
export async function settled(page) {
  await page.evaluate(async () => {
    await Promise.allSettled(document.getAnimations().map((it) => it.finished));
    await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
  });
}

/** What axe finds against WCAG 2.2 AA, each with where it is and why. */
export async function violations(page) {
  // Evaluated past the page, as the window's policy lets no script in.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
      resultTypes: ['violations'],
    });
    return violations.flatMap((it) =>
      it.nodes.map((node) => `${it.id}: ${node.target.join(' ')} — ${node.failureSummary}`),
    );
  });
}

/** Keeps a picture of the page, where pictures are asked for. */
export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await settled(page);
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

/** How far the page is wider than its window, and what sticks out: nothing may. */
export function overflow(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    const wide = Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth;
    const out = [...document.querySelectorAll('body *')]
      .filter((it) => {
        // What lies in a box that scrolls by itself, or is hidden from the eye, sticks out of nothing.
        for (let box = it.parentElement; box; box = box.parentElement)
          if (box !== document.body && getComputedStyle(box).overflowX !== 'visible') return false;
        const { right, left, width } = it.getBoundingClientRect();
        return width > 1 && (right > root.clientWidth + 1 || left < -1);
      })
      .map((it) => `${it.tagName.toLowerCase()}.${it.className}`);
    return { wide, out };
  });
}

/** Finds a tenant by the palette, with the keyboard alone, and opens it. */
export async function openTenant(page, typed) {
  await page.keyboard.press('Control+k');
  await at(page, 'search-input').waitFor();
  await page.keyboard.type(typed);
  await at(page, 'search-hit').first().waitFor();
  await page.keyboard.press('Enter');
  await at(page, 'verdict').waitFor();
}
