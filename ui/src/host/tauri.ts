import { Channel, invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { Host } from './host';
import type { TestStep } from './generated/ipc';

/** The core behind this window, over Tauri's IPC. */
export function tauriHost(): Host {
  return {
    appState: () => invoke('app_state'),
    settingsSet: (settings) => invoke('settings_set', { settings }),
    profileCheck: (draft) => invoke('profile_check', { draft }),
    profileSave: (draft) => invoke('profile_save', { draft }),
    profileRemove: (id) => invoke('profile_remove', { id }),
    profileOpen: (id) => invoke('profile_open', { id }),
    connectionTest: (draft, onStep) => {
      const channel = new Channel<TestStep>();
      channel.onmessage = onStep;
      return invoke('connection_test', { draft, onStep: channel });
    },
    cacheClear: (id) => invoke('cache_clear', { id }),
    sampleStart: () => invoke('sample_start'),
    samplePause: () => invoke('sample_pause'),
    sampleResume: () => invoke('sample_resume'),
    freshness: () => invoke('freshness'),
    syncNow: () => invoke('sync_now'),
    syncCancel: () => invoke('sync_cancel'),
    overview: () => invoke('overview'),
    tenantsPage: (query) => invoke('tenants_page', { query }),
    tenantCounts: () => invoke('tenant_counts'),
    tenantDetail: (id) => invoke('tenant_detail', { id }),
    plans: () => invoke('plans'),
    timelinePage: (id, cursor) => invoke('timeline_page', { id, cursor }),
    activityPage: (view, text, cursor) => invoke('activity_page', { view, text, cursor }),
    search: (text) => invoke('search', { text }),
    searchServer: (text) => invoke('search_server', { text }),
    changePreview: (request) => invoke('change_preview', { request }),
    changeApply: (order) => invoke('change_apply', { order }),
    undoPreview: (adjustmentId) => invoke('undo_preview', { adjustmentId }),
    undoApply: (order) => invoke('undo_apply', { order }),
    settle: (key) => invoke('settle', { key }),
    billingHealth: () => invoke('billing_health'),
    driftsPage: (query) => invoke('drifts_page', { query }),
    eventsPage: (query) => invoke('events_page', { query }),
    conversionsPage: (cursor, limit) => invoke('conversions_page', { cursor, limit }),
    tenantBilling: (id, ask) => invoke('tenant_billing', { id, ask }),
    repairPreview: (driftId) => invoke('repair_preview', { driftId }),
    repairApply: (order) => invoke('repair_apply', { order }),
    repairSettle: (key) => invoke('repair_settle', { key }),
    eventRetry: (id) => invoke('event_retry', { id }),
    checkoutLink: (order) => invoke('checkout_link', { order }),
    planPrices: () => invoke('plan_prices'),
    portalLink: (id) => invoke('portal_link', { id }),
    revenue: (query) => invoke('revenue', { query }),
    revenueDrill: (query) => invoke('revenue_drill', { query }),
    revenueCohorts: (preset, currency) => invoke('revenue_cohorts', { preset, currency }),
    trialConversion: (months) => invoke('trial_conversion', { months }),
    trialsPage: (query) => invoke('trials_page', { query }),
    failedPayments: (months) => invoke('failed_payments', { months }),
    invoicesPage: (query) => invoke('invoices_page', { query }),
    revenueAhead: (preset) => invoke('revenue_ahead', { preset }),
    revenueDifferences: (other, cursor) => invoke('revenue_differences', { other, cursor }),
    reporting: () => invoke('reporting'),
    reportingSet: (reporting) => invoke('reporting_set', { reporting }),
    rates: () => invoke('rates'),
    ratesImport: (csv) => invoke('rates_import', { csv }),
    ratesClear: () => invoke('rates_clear'),
    csvSave: (name, text) => invoke('csv_save', { name, text }),
    openExternal: (url) => invoke('open_external', { url }),
    copyText: (text) => invoke('copy_text', { text }),
    setTitle: (title) => invoke('set_title', { title }),
    listen: (event, heard) => listen(event, ({ payload }) => heard(payload as never)),
  };
}
