import type { MetricPreset, RateView, RevenuePeriod } from '../../host/generated/ipc';
import type { Cell, Column, Table } from '../../parts/table';
import type { Block, Period } from '../../state/revenue-blocks';
import { revenue } from '../../state/revenue.svelte';
import {
  amountText,
  changeText,
  decimalText,
  exactText,
  rateAmount,
  rateAmountText,
  leftText,
  ratioText,
  shareText,
  rateText,
} from '../../text/amount';
import { dayAfter } from '../../text/day';
import { number, UNKNOWN } from '../../text/format';
import { REVENUE_DEFINITIONS as MEANS } from '../../text/revenue-definitions';
import { kindWord, KINDS, missingText, periodName } from '../../text/revenue';
import { behindHeadline, customersOf, sumOf, sumWord, type SumCell } from './behind';

const money = (key: string, label: string, definition: Column['definition'], width = 6.75): Column => ({
  key,
  label,
  number: true,
  width,
  ...(definition ? { definition } : {}),
});
const share = (key: string, label: string, definition: Column['definition']): Column => ({
  ...money(key, label, definition),
  width: 6,
});

const FIRST: Column = { key: 'period', label: 'Period', width: 10 };
const MOVED: Column[] = KINDS.map((kind) =>
  money(kind, kindWord(kind), MEANS[kind], kind.length > 9 ? 7 : 6),
);

/** The columns of movements. */
const movementColumns = (converted: boolean): Column[] => [
  FIRST,
  money('start', 'Start', MEANS.start),
  ...MOVED,
  money('net', 'Net', MEANS.net),
  ...(converted ? [money('exchange', 'FX', MEANS.exchange)] : []),
  money('end', 'End', MEANS.end),
];

/** The columns of recurring revenue and its rates. */
const mrrColumns = (converted: boolean): Column[] => [
  FIRST,
  money('end', 'MRR', MEANS.mrr),
  money('net', 'Net', MEANS.net),
  ...(converted
    ? [money('exchange', 'FX', MEANS.exchange)]
    : [
        { key: 'customers', label: 'Customers', number: true, width: 7, definition: MEANS.customers },
        share('customer_churn', 'Lost', MEANS.customer_churn),
        share('mrr_churn', 'Churn', MEANS.mrr_churn),
        share('nrr', 'NRR', MEANS.nrr),
        share('quick_ratio', 'Quick', MEANS.quick_ratio),
        money('arpa', 'ARPA', MEANS.arpa),
      ]),
];

const SUMS: SumCell[] = ['start', 'end', 'net', ...KINDS];

/** The periods of a block as a table, the latest first. */
export function periodTable(
  of: 'mrr' | 'movements',
  block: Block,
  preset: MetricPreset,
  period: RevenuePeriod,
  oncustomers: (period: Period) => void,
): Table<Period> {
  const { currency, converted } = block;
  const sum = (row: Period, cell: SumCell): Cell => {
    const figure = sumOf(row, cell);
    if (figure === null)
      return {
        text: UNKNOWN,
        title: row.missing ? missingText(row.missing) : null,
        file: row.missing ? missingText(row.missing) : '',
      };
    const change = cell !== 'start' && cell !== 'end';
    const text = (change ? changeText : amountText)(figure, currency);
    const still = row.sums !== null && change && cell !== 'net' && row.sums.moved[cell].movements === 0;
    return {
      // Nothing moved: an amount in every empty place would hide those where something did.
      text: change && figure === 0 ? '0' : text,
      title: exactText(figure, currency),
      file: { figure: decimalText(figure, currency) },
      label: `${sumWord(cell)}, ${periodName(row, period)}: customers behind it`,
      open: still ? null : () => revenue.open(customersOf(block, preset, row, cell, figure)),
    };
  };
  const rate = (
    row: Period,
    view: RateView | undefined,
    text: (rate: RateView) => string,
    headline: 'mrr_churn' | 'nrr' | 'quick_ratio',
  ): Cell => ({
    text: view ? (view.is === 'not_enough_data' ? UNKNOWN : text(view)) : UNKNOWN,
    title: view?.is === 'not_enough_data' ? 'Not enough data' : null,
    file: { figure: view ? rateText(view) : '' },
    label: `${periodName(row, period)}: what it is made of`,
    open: row.span && view ? () => open(row, headline) : null,
  });
  const open = (row: Period, headline: Parameters<typeof behindHeadline>[3]) => {
    if (row.span) revenue.open(behindHeadline(block, row.span, preset, headline));
  };
  return {
    columns: of === 'mrr' ? mrrColumns(converted) : movementColumns(converted),
    rows: block.periods.toReversed(),
    idOf: (row) => row.from,
    cell(row, key): Cell {
      if (SUMS.includes(key as SumCell)) return sum(row, key as SumCell);
      const { span } = row;
      switch (key) {
        case 'period':
          return {
            text: periodName({ ...row, finished: true }, period),
            note: row.missing
              ? 'unknown'
              : [row.finished ? null : 'to date', row.estimated ? 'estimated' : null]
                  .filter((it) => it !== null)
                  .join(', '),
            title: row.missing
              ? missingText(row.missing)
              : `${row.from} to ${dayAfter(row.to, -1)}${row.estimated ? ', estimated' : ''}`,
            file: `${row.from} to ${dayAfter(row.to, -1)}${row.finished ? '' : ' (to date)'}${row.estimated ? ' (estimated)' : ''}`,
          };
        case 'exchange': {
          const figure = row.sums?.exchange_10k ?? null;
          return figure === null
            ? { text: UNKNOWN, file: '' }
            : {
                text: changeText(figure, currency),
                title: exactText(figure, currency),
                file: { figure: decimalText(figure, currency) },
              };
        }
        case 'customers':
          return {
            text: number(span?.customers_end ?? null),
            file: { figure: String(span?.customers_end ?? '') },
            label: `customers who pay, ${periodName(row, period)}`,
            open: () => oncustomers(row),
          };
        case 'customer_churn':
          return rate(row, span?.customer_churn, shareText, 'mrr_churn');
        case 'mrr_churn':
          return rate(row, span?.gross_mrr_churn, shareText, 'mrr_churn');
        case 'nrr':
          return rate(row, span?.nrr, leftText, 'nrr');
        case 'quick_ratio':
          return rate(row, span?.quick_ratio, ratioText, 'quick_ratio');
        default: {
          const arpa = span && rateAmount(span.arpa);
          return {
            text: span && arpa !== null ? rateAmountText(span.arpa, currency) : UNKNOWN,
            file: { figure: arpa === null ? '' : decimalText(arpa, currency) },
            label: `ARPA, ${periodName(row, period)}: what it is made of`,
            open: span ? () => open(row, 'arpa') : null,
          };
        }
      }
    },
  };
}
