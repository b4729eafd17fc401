import type { AdjustmentOutcome, CheckoutLink, InboxEvent, PortalLink } from './generated/contract';
import type { Plan, TenantId } from './generated/domain';
import type {
  ActivityView,
  AppState,
  BillingView,
  ChangeDone,
  ChangeOrder,
  ChangePreview,
  CheckoutOrder,
  CohortRow,
  ConnectionReport,
  ConversionPage,
  DifferencePage,
  DriftPage,
  DriftQuery,
  DrillPage,
  DrillQuery,
  EntryPage,
  EventPage,
  EventQuery,
  FailedPaymentsRow,
  Failure,
  Freshness,
  InvoicePage,
  InvoiceQuery,
  LeftOutPage,
  LeftOutQuery,
  MetricPreset,
  Overview,
  PreviewRequest,
  PriceRow,
  ProfileCheck,
  ProfileDraft,
  ProfileView,
  RatesView,
  RepairDone,
  RepairOrder,
  RepairPreview,
  Reporting,
  RevenueAhead,
  RevenueQuery,
  RevenueView,
  SavedQuery,
  SearchResult,
  Settings,
  Settled,
  SettledChange,
  SqlAnswer,
  SqlView,
  TenantBillingView,
  TenantDetail,
  TenantPage,
  TenantQuery,
  TestStep,
  TrialConversion,
  TrialPage,
  TrialQuery,
  UndoOrder,
  ViewCount,
} from './generated/ipc';

/** What the host tells unasked, with what comes along. */
export interface HostEvents {
  /** A source's age or health changed. */
  freshness: Freshness;
  /** Rows of the local copy changed: what is shown should be read again. */
  'data-changed': null;
  /** A change that was in doubt was settled without anybody asking. */
  settled: SettledChange;
  /** A menu item was chosen: the action's id. */
  menu: string;
}

/** Takes a listener off again. */
export type Unlisten = () => void;

/**
 * Everything that the window asks of the console's core. Each method is one command; each rejects
 * with a {@link Failure} and nothing else.
 */
export interface Host {
  appState(): Promise<AppState>;
  settingsSet(settings: Settings): Promise<Settings>;

  profileCheck(draft: ProfileDraft): Promise<ProfileCheck>;
  profileSave(draft: ProfileDraft): Promise<ProfileView>;
  profileRemove(id: string): Promise<void>;
  profileOpen(id: string): Promise<ProfileView>;
  /** Tests what is typed, saves nothing, and tells each step as it ends. */
  connectionTest(draft: ProfileDraft, onStep: (step: TestStep) => void): Promise<ConnectionReport>;
  cacheClear(id: string): Promise<void>;

  /** Makes the sample profile where there is none, starts its server, and opens it. */
  sampleStart(): Promise<ProfileView>;
  /** Stops the sample server, so that the app is offline. */
  samplePause(): Promise<void>;
  sampleResume(): Promise<void>;

  freshness(): Promise<Freshness>;
  syncNow(): Promise<void>;
  syncCancel(): Promise<void>;

  overview(): Promise<Overview>;
  tenantsPage(query: TenantQuery): Promise<TenantPage>;
  tenantCounts(): Promise<ViewCount[]>;
  tenantDetail(id: TenantId): Promise<TenantDetail>;
  /** Every plan, by name. */
  plans(): Promise<Plan[]>;
  timelinePage(id: TenantId, cursor: string | null): Promise<EntryPage>;
  activityPage(view: ActivityView, text: string, cursor: string | null): Promise<EntryPage>;
  search(text: string): Promise<SearchResult>;
  searchServer(text: string): Promise<SearchResult>;

  changePreview(request: PreviewRequest): Promise<ChangePreview>;
  changeApply(order: ChangeOrder): Promise<ChangeDone>;
  undoPreview(adjustmentId: string): Promise<AdjustmentOutcome>;
  undoApply(order: UndoOrder): Promise<ChangeDone>;
  settle(key: string): Promise<Settled>;

  /** How billing is, by the copy. */
  billingHealth(): Promise<BillingView>;
  driftsPage(query: DriftQuery): Promise<DriftPage>;
  eventsPage(query: EventQuery): Promise<EventPage>;
  conversionsPage(cursor: string | null, limit: number): Promise<ConversionPage>;
  /** A tenant's billing: by the copy, or, where `ask`, by the server's word of now. */
  tenantBilling(id: TenantId, ask: boolean): Promise<TenantBillingView>;
  repairPreview(driftId: string): Promise<RepairPreview>;
  repairApply(order: RepairOrder): Promise<RepairDone>;
  /** What became of a repair whose answer was lost. */
  repairSettle(key: string): Promise<RepairDone>;
  /** Has an event tried again; answers where it stands then. */
  eventRetry(id: string): Promise<InboxEvent>;
  checkoutLink(order: CheckoutOrder): Promise<CheckoutLink>;
  /** The prices at which plans are sold, as far as the copy of Stripe has them. */
  planPrices(): Promise<PriceRow[]>;
  portalLink(id: TenantId): Promise<PortalLink>;

  /** Revenue by a definition: every currency, and how far it can be trusted. */
  revenue(query: RevenueQuery): Promise<RevenueView>;
  /** The customers behind a figure; they add up to it. */
  revenueDrill(query: DrillQuery): Promise<DrillPage>;
  revenueCohorts(preset: MetricPreset, currency: string): Promise<CohortRow[]>;
  trialConversion(months: number): Promise<TrialConversion>;
  trialsPage(query: TrialQuery): Promise<TrialPage>;
  leftOut(query: LeftOutQuery): Promise<LeftOutPage>;
  failedPayments(months: number): Promise<FailedPaymentsRow[]>;
  invoicesPage(query: InvoiceQuery): Promise<InvoicePage>;
  revenueAhead(preset: MetricPreset): Promise<RevenueAhead[]>;
  /** Where another definition differs from ours now. */
  revenueDifferences(other: MetricPreset, cursor: string | null): Promise<DifferencePage>;
  reporting(): Promise<Reporting>;
  reportingSet(reporting: Reporting): Promise<Reporting>;
  rates(): Promise<RatesView>;
  /** Adds the rates of a file `date,from,to,rate`: all of them or none. */
  ratesImport(csv: string): Promise<RatesView>;
  ratesClear(): Promise<RatesView>;
  /** What questions in SQL are asked of. */
  sqlViews(): Promise<SqlView[]>;
  /** Answers a question; until then, `sqlCancel` with the same id stops it. */
  sqlRun(id: number, text: string): Promise<SqlAnswer>;
  sqlCancel(id: number): Promise<void>;
  /** The questions that are kept of this profile, by name. */
  savedQueries(): Promise<SavedQuery[]>;
  /** Keeps a question, in the place of the one of its name; answers all. */
  savedQueryPut(query: SavedQuery): Promise<SavedQuery[]>;
  savedQueryDelete(name: string): Promise<SavedQuery[]>;
  /** Saves a table among the downloads; answers where. */
  csvSave(name: string, text: string): Promise<string>;

  openExternal(url: string): Promise<void>;
  copyText(text: string): Promise<void>;
  setTitle(title: string): Promise<void>;

  listen<E extends keyof HostEvents>(event: E, heard: (payload: HostEvents[E]) => void): Promise<Unlisten>;
}

/**
 * Any rejection as a {@link Failure}: the core's own as it is, anything else as `internal`, so that
 * nothing that went wrong is ever shown as an empty answer.
 */
export function asFailure(thrown: unknown): Failure {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'detail' in thrown) {
    return thrown as Failure;
  }
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', detail, request_id: null, at: Date.now() };
}
