import type { ServerHealth, Snapshot, Tenant } from '../../src/host/generated/contract';
import type { Access, Denial, Meter, Reading, TenantFacts } from '../../src/host/generated/domain';
import type {
  Billing,
  Failure,
  FailureCode,
  Freshness,
  SourceFreshness,
  TenantDetail,
} from '../../src/host/generated/ipc';

// What the tests talk about, with only what matters to a test said in the test.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** Tuesday 18 November 2025, 14:00 UTC. */
export const NOW = Date.UTC(2025, 10, 18, 14, 0);
/** A reader in London in winter: no second clock time beside the UTC one. */
export const UTC = { zone: 'UTC', now: NOW };

/** Text as it is read: without the marks that isolate names and keep units by their numbers. */
export function plain(text: string): string {
  return text.replace(/[\u2066-\u2069]/g, '').replace(/[\u00a0\u202f]/g, ' ');
}

export function reading(meter: Meter, more: Partial<Reading> = {}): Reading {
  return {
    meter,
    used: 820,
    limit: 1000,
    plan_limit: 1000,
    overridden: false,
    override_expires_at: null,
    resets_at: null,
    exhausted: false,
    ...more,
  };
}

export function facts(more: Partial<TenantFacts> = {}): TenantFacts {
  return {
    plan: 'pro',
    trial: null,
    comp: null,
    suspension: null,
    subscription: null,
    overrides: {},
    ...more,
  };
}

export function access(level: Access['level'], denials: Denial[] = [], more: Partial<Access> = {}): Access {
  return { level, denied: [], denials, since: null, holds_until: null, ...more };
}

export function tenant(more: Partial<Tenant> = {}): Tenant {
  return {
    id: '8f3a0000000000000000000000004c21',
    name: 'Acme GmbH',
    email: 'jane@acme.example',
    domain: 'acme.example',
    created_at: NOW - 40 * DAY,
    deleted_at: null,
    stripe_customer: 'cus_Qacme',
    facts: facts(),
    plan_in_force: 'pro',
    status: 'trial',
    tags: [],
    access: access('full'),
    meters: [],
    measured_at: NOW - HOUR,
    members: [],
    last_active_at: NOW - HOUR,
    last_refusal: null,
    version: 3,
    seq: 3,
    as_of: NOW,
    ...more,
  };
}

/** What the copy of Stripe has of a tenant's customer: every list is here, and empty. */
export function billing(more: Partial<Billing> = {}): Billing {
  return {
    customer: 'cus_Qacme',
    deleted: false,
    payment_method: true,
    dashboard_url: 'https://dashboard.stripe.com/customers/cus_Qacme',
    livemode: true,
    subscriptions: [],
    invoices: [],
    payments: [],
    refunds: [],
    disputes: [],
    credit_notes: [],
    upcoming: [],
    ...more,
  };
}

export function detail(more: Partial<TenantDetail> = {}): TenantDetail {
  return {
    tenant: tenant(),
    plan: null,
    plan_in_force: null,
    billing: billing(),
    stripe_known: true,
    as_of: NOW,
    ...more,
  };
}

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return { facts: facts(), status: 'trial', access: access('full'), meters: [], ...more };
}

export function failure(code: FailureCode, more: Partial<Failure> = {}): Failure {
  return { ...code, detail: 'as it was answered', request_id: null, at: NOW, ...more } as Failure;
}

export function source(more: Partial<SourceFreshness> = {}): SourceFreshness {
  return {
    source: 'server',
    state: 'current',
    as_of: NOW - 3 * MINUTE,
    failing_since: null,
    failure: null,
    next_try_at: null,
    progress: null,
    missing: [],
    unreadable: [],
    unreadable_total: 0,
    versions: [],
    ...more,
  };
}

export function freshness(more: Partial<Freshness> = {}): Freshness {
  return {
    sources: [source(), source({ source: 'stripe' })],
    as_of: NOW - 3 * MINUTE,
    offline: false,
    interval_ms: 5 * MINUTE,
    clock_skew_ms: 0,
    health: null,
    now: NOW,
    ...more,
  };
}

export function health(more: Partial<ServerHealth> = {}): ServerHealth {
  return {
    version: '1.2.0',
    instance: 'db-1',
    database: 'postgres',
    started_at: NOW - 3 * DAY,
    now: NOW,
    replicas: [{ id: 'a', version: '1.2.0', started_at: NOW - 3 * DAY, seen_at: NOW }],
    gate: { proxy: true, authz: false, ragflow_url: 'http://ragflow:9380' },
    directory: {
      kind: 'database',
      last_success_at: NOW - 4000,
      compared_at: NOW - 20 * MINUTE,
      failure: null,
    },
    metering: { waiting: 0, store_away: false },
    ...more,
  };
}
