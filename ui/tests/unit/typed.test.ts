import { beforeEach, describe, expect, it } from 'vitest';

import { fieldInstant, typedInstant, typedLimit } from '../../src/dialogs/draft';
import { keepReason, lastReason, REASONS, reasonText } from '../../src/dialogs/reasons';
import { doesAndDoesNot, needsTypedName } from '../../src/dialogs/tiers';
import type { FindingCode, StepName, TestStep } from '../../src/host/generated/ipc';
import { mockHost } from '../../src/host/mock';
import { isTyping, shortcutOf } from '../../src/frame/shortcuts';
import { orderOf } from '../../src/search/order';
import { draftOf, newDraft } from '../../src/screens/Connections/draft';
import { app } from '../../src/state/app.svelte';
import { useHost } from '../../src/state/host';
import { SCREENS, TENANT_VIEWS, TRIAL_VIEWS, VIEWS } from '../../src/state/route';
import { findingText, keyDetected } from '../../src/text/finding';
import { stepText } from '../../src/text/step';
import { viewWord } from '../../src/text/words';
import { facts, reading, tenant } from './given';

describe('a limit as typed', () => {
  it('is taken with or without separators', () => {
    expect(typedLimit('15000')).toBe(15_000);
    expect(typedLimit('15,000')).toBe(15_000);
    expect(typedLimit(' 15 000 ')).toBe(15_000);
    expect(typedLimit('15’000')).toBe(15_000);
    expect(typedLimit('0')).toBe(0);
  });

  it('is not guessed from anything else', () => {
    for (const typed of ['', '-5', '1e6', 'ten', '12 GB', '9'.repeat(16)])
      expect(typedLimit(typed)).toBeNull();
  });

  it('is never a thousand times what was meant where a decimal was typed', () => {
    for (const typed of ['1.5', '1,5', '0.25', '10,50']) expect(typedLimit(typed)).toBeNull();
    expect(typedLimit('1.500.000')).toBe(1_500_000);
  });
});

describe('an instant as typed', () => {
  it('is UTC, whatever the machine’s zone', () => {
    expect(typedInstant('2025-11-25T10:00')).toBe(Date.UTC(2025, 10, 25, 10));
    expect(fieldInstant(Date.UTC(2025, 10, 25, 10))).toBe('2025-11-25T10:00');
    expect(typedInstant('')).toBeNull();
    expect(typedInstant('2025-13-40T10:00')).toBeNull();
  });
});

describe('the reason', () => {
  it('needs no typing with a preset, and is what was typed with Other', () => {
    expect(reasonText('Customer asked', '')).toBe('Customer asked');
    expect(reasonText('Customer asked', ' by phone ')).toBe('Customer asked: by phone');
    expect(reasonText('Other…', ' moving house ')).toBe('moving house');
    expect(reasonText('Other…', '  ')).toBe('');
  });

  it('is remembered for the next dialog', () => {
    expect(lastReason()).toBe(REASONS[0]);
    keepReason('Sales');
    expect(lastReason()).toBe('Sales');
    keepReason(REASONS[0]);
  });
});

describe('what takes access away', () => {
  const used = tenant({ meters: [reading('messages', { used: 820 })] });
  const limit = (to: number | null) =>
    needsTypedName({ kind: 'override_quota', meter: 'messages', limit: to, expires_at: null }, used);

  it('asks for the name, and nothing else does', () => {
    expect(needsTypedName({ kind: 'suspend', message: null }, used)).toBe(true);
    expect(needsTypedName({ kind: 'end_trial' }, used)).toBe(true);
    expect(limit(800)).toBe(true);
    expect(limit(820)).toBe(true);
    expect(limit(821)).toBe(false);
    expect(limit(null)).toBe(false);
    expect(needsTypedName({ kind: 'extend_trial', target: { days: 7 } }, used)).toBe(false);
    expect(needsTypedName({ kind: 'reinstate' }, used)).toBe(false);
  });

  it('says what goes on at Stripe', () => {
    const subscription = {
      id: 'sub_1',
      status: 'active' as const,
      current_period_end: null,
      overdue_since: null,
      grace_ends_at: null,
      ended_at: null,
      cancel_at_period_end: false,
    };
    const paying = tenant({ facts: facts({ subscription }) });
    expect(doesAndDoesNot('suspend', paying).join(' ')).toContain('Stripe keeps charging');
    expect(doesAndDoesNot('comp', paying).join(' ')).toContain('Stripe keeps charging');
    expect(doesAndDoesNot('comp', tenant()).join(' ')).toContain('Does not charge');
    expect(doesAndDoesNot('suspend', tenant())[0]).toMatch(/^0 members lose access now/);
  });
});

describe('a profile as typed', () => {
  const check = { findings: [], stripe_key_kind: 'restricted', stripe_key_live: true } as const;

  it('starts without secrets, and editing one never holds the stored ones', async () => {
    expect(newDraft(false)).toMatchObject({ id: null, server_token: null, stripe_key: null });
    const { profiles } = await mockHost(new URLSearchParams()).appState();
    const draft = draftOf(profiles[0]!);
    expect(draft.server_token).toBeNull();
    expect(draft.stripe_key).toBeNull();
  });

  it('says what kind of key was pasted and whether it fits', () => {
    expect(keyDetected({ ...check, findings: [] }, 'live')).toBe(
      'Detected: LIVE restricted key, matches this live profile',
    );
    expect(keyDetected({ ...check, findings: [] }, 'test')).toBe('Detected: LIVE restricted key');
    expect(keyDetected({ ...check, findings: [], stripe_key_kind: null }, 'live')).toBe('');
  });

  it('puts the two facts of a mismatch side by side', () => {
    const text = findingText({ code: 'test_key_in_live', acceptable: true }, 'live');
    expect(text.facts).toEqual(['The profile is LIVE', 'The Stripe key is TEST']);
    expect(text.accept).toBe('Use it anyway');
    expect(findingText({ code: 'publishable_key', acceptable: false }, 'live').accept).toBeNull();
  });

  it('says of everything odd what to do', () => {
    const codes: Record<FindingCode, true> = {
      name_missing: true,
      name_taken: true,
      server_url_invalid: true,
      server_url_insecure: true,
      stripe_url_invalid: true,
      live_key_in_test: true,
      test_key_in_live: true,
      full_secret_key: true,
      publishable_key: true,
      stripe_key_unknown: true,
      token_malformed: true,
      token_missing: true,
      secret_is_mask: true,
    };
    for (const code of Object.keys(codes) as FindingCode[]) {
      const { headline, next } = findingText({ code, acceptable: false }, 'live');
      expect(headline).toMatch(/\.$/);
      expect(next).toMatch(/\.$/);
    }
  });

  it('names the step of a test that fails, and what to do', () => {
    const step = (name: StepName, more: Partial<TestStep> = {}): TestStep => ({
      name,
      state: 'ok',
      subject: '',
      detail: '',
      failure: null,
      ...more,
    });
    expect(stepText(step('clock', { subject: '200' })).headline).toBe('Clock +0.2 s against the server’s');
    expect(stepText(step('clock', { subject: '-95000', state: 'warning' })).headline).toContain('−95 s');
    const refused = stepText(step('token', { state: 'failed', failure: { code: 'token_refused' } }));
    expect(refused.headline).toBe('The server refused the token.');
    expect(refused.next).toContain('token create');
    expect(stepText(step('token', { state: 'skipped' })).headline).toContain('Skipped');
  });
});

describe('what is typed into the search', () => {
  it('is whom to find', () => {
    expect(orderOf('  acme ')).toEqual({ query: 'acme', extend: null });
    expect(orderOf('Jane <jane@acme.example>').query).toBe('Jane <jane@acme.example>');
  });

  it('can say what to do as well', () => {
    expect(orderOf('acme ext 14')).toEqual({ query: 'acme', extend: { days: 14 } });
    expect(orderOf('acme labs extend 30d')).toEqual({ query: 'acme labs', extend: { days: 30 } });
    expect(orderOf('acme ext')).toEqual({ query: 'acme', extend: { days: null } });
  });

  it('is not an order because it merely contains the word', () => {
    expect(orderOf('next extent')).toEqual({ query: 'next extent', extend: null });
    expect(orderOf('ext')).toEqual({ query: 'ext', extend: null });
    expect(orderOf('text 14')).toEqual({ query: 'text 14', extend: null });
  });

  it.each(['mailto:jane@acme.de', 'Jane <jane@acme.de>', 'JANE@ACME.DE', ' jane@acme.de '])(
    'finds the tenant by %s',
    async (typed) => {
      const { hits } = await mockHost(new URLSearchParams('tenants=40')).search(typed);
      expect(hits[0]?.row.name).toBe('Acme GmbH');
    },
  );
});

describe('where the window is', () => {
  beforeEach(() => {
    useHost(mockHost(new URLSearchParams('tenants=40')));
    app.go({ screen: 'overview' });
  });

  it('shows each view on the screen that it belongs to', () => {
    app.goToView('past_due');
    expect(app.route).toMatchObject({ screen: 'tenants', view: 'past_due' });
    app.goToView('trial_ending');
    expect(app.route).toMatchObject({ screen: 'trials', view: 'trial_ending' });
    app.goToView('trial');
    expect(app.route.screen).toBe('tenants');
  });

  it('keeps the view of Tenants when a tenant is opened, and goes back', () => {
    app.goToView('blocked');
    app.openTenant('t-1');
    expect(app.route).toEqual({ screen: 'tenants', view: 'blocked', tenant: 't-1' });
    app.back();
    expect(app.route).toMatchObject({ view: 'blocked', tenant: null });
  });

  it('has a place for every view once', () => {
    expect(new Set(TENANT_VIEWS).size).toBe(TENANT_VIEWS.length);
    expect(new Set(TRIAL_VIEWS).size).toBe(TRIAL_VIEWS.length);
    expect(VIEWS.every((view) => viewWord(view) !== undefined)).toBe(true);
    expect(new Set(VIEWS).size).toBe(VIEWS.length);
  });

  const key = (name: string, more: KeyboardEventInit = {}) =>
    new KeyboardEvent('keydown', { key: name, ...more });

  it('is changed by a digit with the command key, and by no bare key', () => {
    for (const each of SCREENS) {
      expect(shortcutOf(key(each.key, { ctrlKey: true }), false)).toBe(each.screen);
      expect(shortcutOf(key(each.key), false)).toBeNull();
    }
    // The digits follow one another in the order of the sidebar, and the settings have no digit.
    const digits = SCREENS.map((it) => it.key).filter((it) => it !== ',');
    expect(digits).toEqual(digits.map((_, index) => `${index + 1}`));
    expect(shortcutOf(key('k', { ctrlKey: true }), true)).toBe('search');
    expect(shortcutOf(key('k'), false)).toBeNull();
  });

  it('leaves a field its own undo and its question mark', () => {
    expect(shortcutOf(key('z', { ctrlKey: true }), false)).toBe('undo');
    expect(shortcutOf(key('z', { ctrlKey: true }), true)).toBeNull();
    expect(shortcutOf(key('?'), false)).toBe('shortcuts');
    expect(shortcutOf(key('?'), true)).toBeNull();
  });

  it('knows what takes text', () => {
    expect(isTyping(document.createElement('input'))).toBe(true);
    expect(isTyping(document.createElement('select'))).toBe(true);
    expect(isTyping(document.createElement('button'))).toBe(false);
    expect(isTyping(null)).toBe(false);
  });
});
