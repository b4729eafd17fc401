import type {
  ConvertedSpan,
  DrillQuery,
  MissingRate,
  MovementSums,
  RevenueSheet,
  RevenueSpan,
  RevenueView,
} from '../host/generated/ipc';
import { KINDS } from '../text/revenue';

/** One period of a block: what is known of it, in its currency or converted. */
export interface Period {
  from: string;
  to: string;
  finished: boolean;
  estimated: boolean;
  /** `null` = a rate is missing. */
  sums: {
    start_10k: number;
    end_10k: number;
    net_10k: number;
    moved: MovementSums;
    /** What the rates did; `null` = nothing is converted. */
    exchange_10k: number | null;
  } | null;
  missing: MissingRate | null;
  /** Everything else of one currency; `null` = it is converted. */
  span: RevenueSpan | null;
}

/** What stands together: a currency, or all of them in one. */
export interface Block {
  key: string;
  currency: string;
  converted: boolean;
  sheet: RevenueSheet | null;
  periods: Period[];
}

const ofSpan = (span: RevenueSpan): Period => ({
  from: span.from,
  to: span.to,
  finished: span.finished,
  estimated: span.estimated,
  sums: {
    start_10k: span.start_10k,
    end_10k: span.end_10k,
    net_10k: span.net_10k,
    moved: span.moved,
    exchange_10k: null,
  },
  missing: null,
  span,
});

const ofConverted = ({ from, to, finished, sums, missing }: ConvertedSpan, estimated: boolean): Period => ({
  from,
  to,
  finished,
  estimated,
  sums: sums && {
    ...sums,
    net_10k: KINDS.reduce((net, kind) => net + sums.moved[kind].amount_10k, 0),
  },
  missing,
  span: null,
});

/** The blocks of a view: all currencies in one first where one was chosen, then each by itself. */
export function blocksOf({ sheets, reporting_currency, converted }: RevenueView): Block[] {
  const blocks = sheets.map((sheet): Block => ({
    key: sheet.currency,
    currency: sheet.currency,
    converted: false,
    sheet,
    periods: sheet.spans.map(ofSpan),
  }));
  if (reporting_currency === null || converted.length === 0) return blocks;
  const all: Block = {
    key: 'all',
    currency: reporting_currency,
    converted: true,
    sheet: null,
    periods: converted.map((span, index) =>
      ofConverted(
        span,
        sheets.some((sheet) => sheet.spans[index]?.estimated),
      ),
    ),
  };
  return [all, ...blocks];
}

/** What a cell of a period asks for. */
export function asked(
  block: Pick<Block, 'currency' | 'converted'>,
  preset: DrillQuery['preset'],
  span: { from: string; to: string },
  cell: Exclude<DrillQuery['cell'], 'cohort'>,
) {
  return {
    preset,
    currency: block.currency,
    converted: block.converted,
    from: span.from,
    to: span.to,
    cell,
  };
}
