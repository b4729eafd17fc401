import { describe, expect, it } from 'vitest';

import type { Problem, ProblemCode } from '../../src/host/generated/contract';
import type { AdjustmentError } from '../../src/host/generated/domain';
import type { FailureCode, KeyringState } from '../../src/host/generated/ipc';
import { asFailure } from '../../src/host/host';
import {
  codeText,
  keyringText,
  problemText,
  rateFaultText,
  refusalText,
  undoRefusalText,
} from '../../src/text/failure';
import { NOW, plain, UTC } from './given';

function problem(code: ProblemCode, more: Partial<Problem> = {}): Problem {
  return {
    type: `urn:paywall:problem:${code}`,
    title: code,
    status: 422,
    code,
    detail: 'the server’s own detail',
    request_id: 'req-1',
    ...more,
  };
}

// A record of every code, so that a new one does not compile before it has words here.
const CODES: Record<FailureCode['code'], FailureCode> = {
  no_profile: { code: 'no_profile' },
  unknown_profile: { code: 'unknown_profile' },
  address_invalid: { code: 'address_invalid' },
  address_insecure: { code: 'address_insecure' },
  address_unknown: { code: 'address_unknown', host: 'nowhere.example' },
  unreachable: { code: 'unreachable', source: 'server' },
  timed_out: { code: 'timed_out', source: 'stripe' },
  tls_failed: { code: 'tls_failed' },
  not_paywall_server: { code: 'not_paywall_server' },
  server_version: { code: 'server_version', server: '2', console: '1' },
  server_changed: { code: 'server_changed' },
  token_refused: { code: 'token_refused' },
  token_expired: { code: 'token_expired' },
  token_missing: { code: 'token_missing' },
  role_too_low: { code: 'role_too_low', required: 'owner' },
  refused: { code: 'refused', problem: problem('version_mismatch') },
  server_fault: { code: 'server_fault' },
  read_only: { code: 'read_only' },
  unsettled: { code: 'unsettled', key: 'k-1' },
  not_made: { code: 'not_made' },
  stripe_key_refused: { code: 'stripe_key_refused' },
  stripe_permission: { code: 'stripe_permission', permission: 'rak_invoice_read', stream: 'invoices' },
  stripe_missing: { code: 'stripe_missing', stream: 'invoices' },
  stripe_rate_limited: { code: 'stripe_rate_limited' },
  stripe_fault: { code: 'stripe_fault' },
  keyring: { code: 'keyring', state: 'locked' },
  cache_newer: { code: 'cache_newer' },
  cache_broken: { code: 'cache_broken' },
  cache_in_use: { code: 'cache_in_use' },
  disk_full: { code: 'disk_full' },
  profiles_unreadable: { code: 'profiles_unreadable', kept_as: 'profiles.json' },
  profile_rejected: { code: 'profile_rejected' },
  rates_unreadable: {
    code: 'rates_unreadable',
    faults: [{ line: 3, problem: 'date', text: '31.1.2026,EUR,USD,1.1' }],
  },
  zone_unknown: { code: 'zone_unknown' },
  sql_refused: { code: 'sql_refused', reason: 'several' },
  queries_unreadable: {
    code: 'queries_unreadable',
    kept_as: '/home/mia/.local/share/paywall-console/profiles/one/queries.unreadable-1764000000000.json',
  },
  sql_failed: { code: 'sql_failed', message: 'no such column: nam' },
  sql_timed_out: { code: 'sql_timed_out', seconds: 10 },
  not_found: { code: 'not_found' },
  cancelled: { code: 'cancelled' },
  internal: { code: 'internal' },
};

const PROBLEMS: Record<ProblemCode, true> = {
  unauthenticated: true,
  token_expired: true,
  role_too_low: true,
  not_found: true,
  method_not_allowed: true,
  invalid_request: true,
  invalid_cursor: true,
  change_refused: true,
  undo_refused: true,
  idempotency_key_required: true,
  idempotency_key_reused: true,
  idempotency_key_void: true,
  other_instance: true,
  version_required: true,
  version_mismatch: true,
  too_large: true,
  rate_limited: true,
  unavailable: true,
  stripe_unavailable: true,
  internal: true,
};

const REFUSALS: Record<AdjustmentError['refusal'], true> = {
  days_out_of_range: true,
  end_out_of_range: true,
  no_trial_running: true,
  limit_out_of_range: true,
  expiry_in_past: true,
  no_override: true,
  unknown_plan: true,
  already_suspended: true,
  not_suspended: true,
  same_plan: true,
  only_by_repair: true,
};

describe('every failure', () => {
  it.each(Object.entries(CODES))('%s says what happened and what to do next', (_, code) => {
    const { headline, next } = codeText(code);
    expect(headline).toMatch(/^\S.*\.$/u);
    expect(next).toMatch(/^\S.*\.$/u);
    expect(`${headline} ${next}`).not.toMatch(/undefined|null|\[object/);
  });

  it.each(Object.keys(PROBLEMS))('of the server, %s says what to do next', (code) => {
    const { headline, next } = problemText(problem(code as ProblemCode));
    expect(headline).toMatch(/\.$/);
    expect(next).not.toBe('');
  });

  it.each(Object.keys(REFUSALS))('of a change, %s says what to do next', (refusal) => {
    const { headline, next } = refusalText({ refusal } as AdjustmentError);
    expect(headline).toMatch(/\.$/);
    expect(next).toMatch(/\.$/);
  });

  it('of a file of rates names the line, what is wrong with it and what stands there', () => {
    expect(plain(rateFaultText({ line: 3, problem: 'date', text: '31.1.2026,EUR,USD,1.1' }))).toBe(
      'Line 3: its first field is no date like 2026-01-31 (31.1.2026,EUR,USD,1.1).',
    );
  });

  it('of the keyring says how it is mended, and that nothing goes to a file', () => {
    const states: KeyringState[] = ['locked', 'waiting', 'missing', 'denied'];
    for (const state of states) expect(keyringText(state).next).not.toBe('');
    expect(keyringText('locked').headline).toContain('or there is no default one yet');
    expect(keyringText('locked').next).toContain('make one of that name');
    expect(keyringText('missing').next).toContain('gnome-keyring');
    expect(keyringText('missing').next).toContain('never written to a file');
  });
});

describe('what is particular to a failure is said', () => {
  it('names the host, the role, the versions, the permission', () => {
    expect(plain(codeText(CODES.address_unknown).headline)).toBe('No host is called nowhere.example.');
    expect(codeText(CODES.role_too_low).headline).toContain('owner');
    expect(codeText(CODES.server_version).headline).toContain('version 2');
    expect(codeText(CODES.stripe_permission).next).toContain('rak_invoice_read');
    expect(codeText({ ...CODES.stripe_permission, permission: null } as FailureCode).next).toContain(
      'read access to invoices',
    );
  });

  it('tells where the list of profiles lies that was put aside, and that nothing is to be done for a copy', () => {
    const text = codeText({ code: 'profiles_unreadable', kept_as: '/data/profiles.json.unreadable-1' });
    expect(plain(text.next)).toContain('put aside whole as /data/profiles.json.unreadable-1');
    expect(codeText(CODES.cache_broken).next).toMatch(/nothing to do.*check in Activity/);
  });

  it('tells which side is not reached', () => {
    expect(codeText(CODES.unreachable).headline).toBe('Paywall server cannot be reached.');
    expect(codeText(CODES.timed_out).headline).toBe('Stripe took too long to answer.');
  });

  it('names the fields that the server could not take', () => {
    const fields = [{ field: 'ticket', message: 'is not a link.' }];
    expect(problemText(problem('invalid_request', { fields })).next).toBe('ticket: is not a link.');
    expect(problemText(problem('invalid_request')).next).toBe('the server’s own detail');
  });

  it('says who changed the tenant since, and when, where an undo is refused', () => {
    const undo = { refusal: 'changed_since' as const, adjustment: 'a-2', by: 'Tom', at: NOW };
    const text = undoRefusalText(undo, UTC);
    expect(plain(text.headline)).toBe('Changed again by Tom on Tue 18 Nov, 14:00 UTC.');
    expect(text.next).toBe('Undo that change first.');
    const silent = undoRefusalText({ ...undo, by: null, at: null }, UTC);
    expect(silent.headline).toBe('Billing or time changed the tenant since.');
    expect(problemText(problem('undo_refused', { undo }), UTC)).toEqual(text);
  });
});

describe('whatever is thrown', () => {
  it('becomes a failure, never an empty answer', () => {
    const known = { code: 'disk_full', detail: 'ENOSPC', request_id: null, at: NOW } as const;
    expect(asFailure(known)).toBe(known);
    expect(asFailure(new Error('odd'))).toMatchObject({ code: 'internal', detail: 'odd' });
    expect(asFailure('bare')).toMatchObject({ code: 'internal', detail: 'bare' });
    expect(asFailure(undefined)).toMatchObject({ code: 'internal' });
  });
});
