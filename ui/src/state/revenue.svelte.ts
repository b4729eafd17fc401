import type {
  DrillQuery,
  Failure,
  InvoiceQuery,
  MetricPreset,
  RevenuePeriod,
  RevenueView,
  TrialQuery,
} from '../host/generated/ipc';
import { asFailure } from '../host/host';
import type { RevenueTab } from '../text/revenue';
import { host } from './host';

/** Which customers are behind a figure. */
export type CustomersOf = Omit<DrillQuery, 'cursor' | 'limit'> &
  Pick<DrillQuery, 'preset'> & { cell: DrillQuery['cell']; month?: string; after?: number };

/** What is opened beside the figures. */
export type Behind =
  | {
      is: 'customers';
      title: string;
      ask: CustomersOf;
      /** What the list must add up to. */
      figure_10k: number;
      /** Whether the amounts are changes, and have their sign. */
      change: boolean;
    }
  | {
      is: 'made';
      title: string;
      figure: string;
      formula: string;
      parts: { word: string; text: string; exact: string | null; open: Behind & { is: 'customers' } }[];
    }
  | { is: 'invoices'; title: string; figure: string; ask: Omit<InvoiceQuery, 'cursor' | 'limit'> }
  | { is: 'trials'; title: string; figure: string; ask: Omit<TrialQuery, 'cursor' | 'limit'> }
  | { is: 'left_out'; title: string; currency: string; faults: number }
  | { is: 'differences'; other: MetricPreset };

/** Revenue as it is asked for and shown; what was chosen stays while the window is open. */
class Revenue {
  preset = $state<MetricPreset>('paywall');
  months = $state(12);
  period = $state<RevenuePeriod>('month');
  /** Whether periods are drawn or listed. */
  shape = $state<'chart' | 'table'>('chart');
  view = $state.raw<RevenueView | null>(null);
  /** What the periods of the view are: others may be asked for by now. */
  shown = $state<RevenuePeriod>('month');
  failure = $state.raw<Failure | null>(null);
  behind = $state.raw<Behind | null>(null);
  /** Whether what is shown is of another selection than what is asked for. */
  stale = $state(false);
  #round = 0;
  #profile: string | null = null;

  /** Reads the figures again; what is shown stays until they are here. */
  async read(profile: string): Promise<void> {
    const round = ++this.#round;
    if (profile !== this.#profile) {
      this.#profile = profile;
      this.view = null;
      this.failure = null;
      this.behind = null;
    }
    const { preset, months, period } = this;
    this.stale = this.view !== null && this.view.preset !== preset;
    try {
      const view = await host().revenue({ preset, months, period });
      if (round !== this.#round) return;
      this.view = view;
      this.shown = period;
      this.failure = null;
      this.stale = false;
    } catch (error) {
      if (round === this.#round) this.failure = asFailure(error);
    }
  }

  /** Opens what is behind a figure, in place of what is open. */
  open(behind: Behind): void {
    this.behind = behind;
  }

  /** Looks at it by another definition; what is behind a figure of the one before is closed with it. */
  choose(preset: MetricPreset): void {
    this.close();
    this.preset = preset;
  }

  close(): void {
    this.behind = null;
  }
}

export const revenue = new Revenue();

/** Which part of the screen a route shows. */
export const tabOf = (tab: RevenueTab | undefined): RevenueTab => tab ?? 'mrr';
