import type {
  AppState,
  BillingView,
  Failure,
  Freshness,
  ProfileView,
  SettledChange,
  SourceFreshness,
  TenantView,
  ViewCount,
} from '../host/generated/ipc';
import { applyTheme, onSystemTheme } from '../theme/theme';
import { recents } from '../search/recents';
import { failureText } from '../text/failure';
import { blockedBy, FIRST_COPY } from '../text/words';
import { clock } from './clock.svelte';
import { asFailure } from '../host/host';
import { host } from './host';
import { TRIAL_VIEWS, type Route } from './route';

/** One failure among those of this window. */
const nameOf = (failure: Failure): string => `${failure.code} ${failure.at}`;

/** What the whole window knows: the profile, where it is, how old its data is. */
class App {
  state = $state.raw<AppState | null>(null);
  failure = $state.raw<Failure | null>(null);
  freshness = $state.raw<Freshness | null>(null);
  counts = $state.raw<ViewCount[]>([]);
  /** How billing is, by the copy; `null` = it was not read from it yet. */
  billing = $state.raw<BillingView | null>(null);
  /** Why that could not be read from the copy. */
  billingFailure = $state.raw<Failure | null>(null);
  route = $state.raw<Route>({ screen: 'overview' });
  /** Grows with each change of the local copy; screens read again when it does. */
  generation = $state(0);
  searching = $state(false);
  /** Whether the banner that says offline was closed since the connection went. */
  offlineClosed = $state(false);
  /** Whether the banner that says that the clock is off was closed in this session. */
  skewClosed = $state(false);
  /** Which banner on how the profile was opened was closed. */
  openFailureClosed = $state<string | null>(null);
  #past: Route[] = [];
  /** The state of the app is read again soon. */
  #again: ReturnType<typeof setTimeout> | undefined;

  profile: ProfileView | null = $derived(this.state?.profiles.find((p) => p.id === this.state?.open) ?? null);
  offline: boolean = $derived(this.freshness?.offline ?? false);
  server: SourceFreshness | null = $derived(
    this.freshness?.sources.find((source) => source.source === 'server') ?? null,
  );
  /** What is said in place of an empty list while nothing was read from the server yet; `null` = it was. */
  unread: { headline: string; text: string } | null = $derived.by(() => {
    if (!this.server || this.server.as_of !== null) return null;
    const { failure, state } = this.server;
    const why = failure && state === 'failing' ? failureText(failure) : null;
    return why
      ? { headline: 'Nothing has been read from the server yet', text: `${why.headline} ${why.next}` }
      : { headline: FIRST_COPY, text: 'What belongs here appears as it is read.' };
  });
  /** Why the profile could not be opened, or what happened to its copy then; `null` = nothing, or it was closed. */
  openFailure: Failure | null = $derived.by(() => {
    const failure = this.state?.open_failure ?? null;
    return failure && nameOf(failure) !== this.openFailureClosed ? failure : null;
  });
  /** Why nothing can be changed now; `null` = it can. */
  noChange: string | null = $derived.by(() => {
    const profile = this.profile;
    if (!profile) return blockedBy('no_profile');
    if (profile.write_mode === 'read_only') return blockedBy('read_only');
    if (profile.caller?.role === 'viewer') return blockedBy('role');
    if (this.server?.failure?.code === 'token_missing') return blockedBy('no_token');
    if (this.offline) return blockedBy('offline');
    return null;
  });

  /** Why the server cannot be asked now; `null` = it can. */
  noContact: string | null = $derived.by(() => {
    if (!this.profile) return blockedBy('no_profile');
    if (this.server?.failure?.code === 'token_missing') return blockedBy('no_token');
    return this.offline ? blockedBy('unreached') : null;
  });

  /** Starts listening to the host. Answers the way to stop. */
  start(onMenu: (id: string) => void, onSettled: (settled: SettledChange) => void): () => void {
    const stops: (() => void)[] = [
      clock.start(),
      onSystemTheme(() => this.#theme()),
      () => clearTimeout(this.#again),
    ];
    const listen = async () => {
      stops.push(await host().listen('freshness', (freshness) => this.#take(freshness)));
      stops.push(await host().listen('data-changed', () => this.dataChanged()));
      stops.push(await host().listen('settled', (settled) => onSettled(settled)));
      stops.push(await host().listen('menu', (id) => onMenu(id)));
    };
    void listen();
    void this.reload();
    return () => stops.forEach((stop) => stop());
  }

  /** Reads the state of the app again: profiles, settings, keyring. */
  async reload(): Promise<void> {
    try {
      this.take(await host().appState());
      this.failure = null;
    } catch (error) {
      this.failure = asFailure(error);
    }
    if (!this.profile) return;
    try {
      this.#take(await host().freshness());
    } catch {
      // The age comes with the next event; the screens say themselves what fails.
    }
    this.dataChanged();
  }

  /** Takes a new state as the host gave it. */
  take(state: AppState): void {
    const other = state.open !== this.state?.open;
    this.state = state;
    this.#theme();
    if (other) {
      recents.clear();
      this.freshness = null;
      clock.follow(null);
      this.counts = [];
      this.billing = null;
      this.billingFailure = null;
      this.generation += 1;
      if (this.route.tenant) this.route = { ...this.route, tenant: null };
      if (this.route.billing) this.route = { screen: this.route.screen };
    }
  }

  dataChanged(): void {
    this.generation += 1;
    void this.#count();
    void this.#readBilling();
  }

  /** Asks every source now. How that went comes with the next freshness. */
  refreshNow(): void {
    void host()
      .syncNow()
      .catch(() => undefined);
  }

  go(route: Route): void {
    this.#past.push(this.route);
    if (this.#past.length > 50) this.#past.shift();
    this.route = route;
    this.searching = false;
  }

  back(): void {
    const past = this.#past.pop();
    if (past) this.route = past;
  }

  /** Opens a view where it belongs: Trials or Tenants. */
  goToView(view: TenantView): void {
    const trials = TRIAL_VIEWS.includes(view) && view !== 'trial';
    this.go({ screen: trials ? 'trials' : 'tenants', view, tenant: null });
  }

  openTenant(id: string): void {
    this.go({
      screen: 'tenants',
      view: this.route.screen === 'tenants' ? this.route.view : 'all',
      tenant: id,
    });
  }

  count(view: TenantView): number | null {
    return this.counts.find((c) => c.view === view)?.count ?? null;
  }

  async #count(): Promise<void> {
    if (!this.profile) return;
    try {
      this.counts = await host().tenantCounts();
    } catch {
      // Tabs go on without counts; the list below them says what fails.
    }
  }

  async #readBilling(): Promise<void> {
    const profile = this.profile?.id;
    if (!profile) return;
    try {
      const billing = await host().billingHealth();
      if (profile !== this.profile?.id) return;
      this.billing = billing;
      this.billingFailure = null;
    } catch (error) {
      if (profile === this.profile?.id) this.billingFailure = asFailure(error);
    }
  }

  closeOpenFailure(): void {
    if (this.openFailure) this.openFailureClosed = nameOf(this.openFailure);
  }

  #take(freshness: Freshness): void {
    clock.follow(freshness.now);
    // A copy that turns out to be damaged is begun anew by itself; the app's state then says so.
    const server = freshness.sources.find((source) => source.source === 'server');
    const begunAnew = server?.as_of === null && (this.server?.as_of ?? null) !== null;
    const reopened = this.state !== null && this.state.open === null;
    if (begunAnew || reopened || freshness.sources.some((source) => source.failure?.code === 'cache_broken'))
      this.#reloadSoon();
    if (!freshness.offline) this.offlineClosed = false;
    const passed = server?.as_of !== this.server?.as_of;
    this.freshness = freshness;
    // Its age goes on with each pass, also where nothing of it changed.
    if (passed) void this.#readBilling();
  }

  #reloadSoon(): void {
    this.#again ??= setTimeout(async () => {
      this.#again = undefined;
      try {
        this.take(await host().appState());
      } catch {
        // It is read again with whatever happens next.
      }
    }, 2000);
  }

  #theme(): void {
    applyTheme(this.state?.settings.theme ?? 'system', this.state?.system_dark ?? null);
  }
}

export const app = new App();
