import { describe, expect, it } from 'vitest';

import type { DirectoryHealth, Replica, ServerHealth } from '../../src/host/generated/contract';
import { healthLines, serverTroubles } from '../../src/text/server-health';
import { DAY, health, HOUR, MINUTE, NOW, plain, UTC } from './given';

const line = (label: string, more: Partial<ServerHealth>, now = NOW) =>
  healthLines(health(more), { ...UTC, now }).find((it) => it.label === label) ?? null;
const text = (label: string, more: Partial<ServerHealth>, now = NOW) =>
  plain(line(label, more, now)?.text ?? 'no line');
const replica = (id: string, ago: number, version = '1.2.0'): Replica => ({
  id,
  version,
  started_at: NOW - DAY,
  seen_at: NOW - ago,
});
const directory = (more: Partial<DirectoryHealth>): Partial<ServerHealth> => ({
  directory: { kind: 'database', last_success_at: NOW - 4000, compared_at: null, failure: null, ...more },
});
const failing = (code: string, lasts: number, kind: DirectoryHealth['kind'] = 'database') =>
  directory({ kind, failure: { code, since: NOW - lasts, remedy: 'see that it runs' } });

describe('how the server is', () => {
  it('tells what runs, on what, and since when', () => {
    expect(text('Version', {})).toBe('1.2.0 on PostgreSQL, started 3 d ago');
    expect(text('Version', { database: 'sqlite', started_at: NOW - 2 * HOUR })).toBe(
      '1.2.0 on SQLite, started 2 h ago',
    );
    expect(healthLines(health(), { ...UTC }).every((it) => !it.warns && it.next === null)).toBe(true);
  });

  it('counts the replicas that run, and names since when one is silent', () => {
    expect(text('Replicas', {})).toBe('1 running');
    expect(text('Replicas', { replicas: [replica('a', 0), replica('b', 4000)] })).toBe(
      '2 running · each heard from in the last 4 s',
    );
    expect(text('Replicas', { replicas: [replica('a', 0), replica('b', 0, '1.1.0')] })).toBe(
      '2 running · each heard from in the last 1 s · versions 1.2.0 and 1.1.0',
    );
    const dead = { replicas: [replica('a', 0), replica('b', HOUR), replica('c', 2 * HOUR)] };
    expect(text('Replicas', dead)).toBe('1 running · 2 silent since 13:00');
    expect(line('Replicas', dead)).toMatchObject({ warns: false, next: expect.stringMatching(/crashed/) });
    // On a file a server is alone.
    expect(line('Replicas', { database: 'sqlite', replicas: [replica('a', 0)] })).toBeNull();
  });

  it('judges replicas by the server’s own instant, however old its word is', () => {
    const old = { replicas: [replica('a', 0), replica('b', 3000)] };
    expect(text('Replicas', old, NOW + 2 * HOUR)).toBe('2 running · each heard from in the last 3 s');
    expect(text('RAGFlow', {}, NOW + 2 * HOUR)).toBe('RAGFlow’s tenants read 2 h ago · all compared 2 h ago');
  });

  it('tells how fresh RAGFlow’s tenants are, from wherever they come', () => {
    expect(text('RAGFlow', {})).toBe('RAGFlow’s tenants read 4 s ago · all compared 20 min ago');
    expect(text('RAGFlow', directory({ last_success_at: null }))).toBe(
      'RAGFlow’s tenants are being read for the first time',
    );
    expect(text('RAGFlow', directory({ kind: 'none', last_success_at: null }))).toBe(
      'Not connected to RAGFlow',
    );
    expect(text('RAGFlow', directory({ kind: 'api' }))).toBe(
      'Asked about each caller · last answered 4 s ago',
    );
    expect(text('RAGFlow', directory({ kind: 'api', last_success_at: null }))).toMatch(/not asked yet/);
  });

  it('tells why RAGFlow is not read, since when, and what to do', () => {
    expect(line('RAGFlow', failing('ragflow_database_away', HOUR))).toEqual({
      label: 'RAGFlow',
      text: 'Tenants not read since 13:00: its database does not answer',
      next: 'See that it runs.',
      warns: true,
    });
    expect(text('RAGFlow', failing('ragflow_api_away', HOUR, 'api'))).toBe(
      'Not reached since 13:00: RAGFlow does not answer',
    );
    expect(text('RAGFlow', failing('a_new_code', HOUR))).toMatch(/: a new code$/);
  });

  it('tells which ways in are checked', () => {
    const gate = (proxy: boolean, authz: boolean) => ({
      gate: { proxy, authz, ragflow_url: 'http://ragflow:9380' },
    });
    expect(text('Gate', {})).toBe('On: requests go through to http://ragflow:9380');
    expect(text('Gate', gate(true, true))).toMatch(/fronts may ask too/);
    expect(text('Gate', gate(false, true))).toBe('On: a front asks about each request (authz)');
    expect(line('Gate', gate(false, false))).toMatchObject({ warns: true });
    expect(text('Gate', gate(false, false))).toMatch(/^Off: requests to RAGFlow are not checked/);
    const nothing = {
      gate: { proxy: false, authz: false, ragflow_url: null },
      ...directory({ kind: 'none' }),
    };
    expect(line('Gate', nothing)).toMatchObject({
      text: 'Off, as there is no RAGFlow to guard',
      warns: false,
    });
  });

  it('says nothing of usage unless some is not counted', () => {
    expect(line('Usage', {})).toBeNull();
    expect(text('Usage', { metering: { waiting: 1, store_away: false } })).toBe(
      '1 event not counted yet, being written',
    );
    const away = { metering: { waiting: 1204, store_away: true } };
    expect(text('Usage', away)).toBe('1,204 events not counted yet: the server cannot write to its database');
    expect(line('Usage', away)).toMatchObject({ warns: true });
  });
});

describe('what about the server needs somebody', () => {
  const kinds = (more: Partial<ServerHealth>, tenants = 3) =>
    serverTroubles(health(more), tenants).map((it) => it.kind);

  it('is nothing while all is well, or nothing is known', () => {
    expect(kinds({})).toEqual([]);
    expect(serverTroubles(null, 3)).toEqual([]);
  });

  it('is a RAGFlow that is not read for more than five minutes', () => {
    expect(kinds(failing('ragflow_database_away', 5 * MINUTE))).toEqual([]);
    const [trouble] = serverTroubles(health(failing('ragflow_database_away', 12 * MINUTE)), 0);
    expect(plain(trouble?.text ?? '')).toBe(
      'RAGFlow’s tenants not read for 12 min — its database does not answer',
    );
    expect(plain(serverTroubles(health(failing('ragflow_api_away', HOUR, 'api')), 0)[0]?.text ?? '')).toBe(
      'RAGFlow not reached for 1 h — RAGFlow does not answer',
    );
  });

  it('is a gate that is off while there are tenants to limit', () => {
    const off = { gate: { proxy: false, authz: false, ragflow_url: null } };
    expect(kinds(off)).toEqual(['gate_off']);
    expect(kinds(off, 0)).toEqual([]);
    expect(kinds({ ...off, ...directory({ kind: 'none' }) })).toEqual([]);
  });
});
