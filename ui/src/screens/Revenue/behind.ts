import type { MetricPreset, RevenueSpan } from '../../host/generated/ipc';
import { asked, type Block, type Period } from '../../state/revenue-blocks';
import type { Behind } from '../../state/revenue.svelte';
import {
  amountText,
  changeText,
  exactText,
  leftText,
  rateAmountText,
  ratioText,
  shareText,
} from '../../text/amount';
import { daysText } from '../../text/day';
import { kindWord, KINDS, type MovementKind } from '../../text/revenue';

type Customers = Behind & { is: 'customers' };
/** A figure that is a sum over customers. */
export type SumCell = 'start' | 'end' | 'net' | MovementKind;

const WORDS: Record<'start' | 'end' | 'net', string> = { start: 'Start', end: 'MRR', net: 'Net' };
export const sumWord = (cell: SumCell): string =>
  cell === 'start' || cell === 'end' || cell === 'net' ? WORDS[cell] : kindWord(cell);

/** What a period has of a sum; `null` = not known. */
export function sumOf({ sums }: Pick<Period, 'sums'>, cell: SumCell): number | null {
  if (sums === null) return null;
  switch (cell) {
    case 'start':
      return sums.start_10k;
    case 'end':
      return sums.end_10k;
    case 'net':
      return sums.net_10k;
    default:
      return sums.moved[cell].amount_10k;
  }
}

/** The customers behind a sum of a period. */
export function customersOf(
  block: Pick<Block, 'currency' | 'converted'>,
  preset: MetricPreset,
  span: { from: string; to: string },
  cell: SumCell,
  figure_10k: number,
): Customers {
  return {
    is: 'customers',
    title: `${sumWord(cell)} · ${daysText(span.from, span.to)}`,
    ask: asked(block, preset, span, cell),
    figure_10k,
    change: cell !== 'start' && cell !== 'end',
  };
}

const sumsOf = (span: RevenueSpan): Pick<Period, 'sums'> => ({ sums: { ...span, exchange_10k: null } });

/** The figures at the top, each with what it is made of. */
export type Headline = 'mrr' | 'arr' | 'quick_ratio' | 'mrr_churn' | 'nrr' | 'arpa' | 'ltv';
export const HEADLINES: { key: Headline; word: string }[] = [
  { key: 'mrr', word: 'MRR' },
  { key: 'arr', word: 'ARR' },
  { key: 'quick_ratio', word: 'Quick ratio' },
  { key: 'mrr_churn', word: 'MRR churn' },
  { key: 'nrr', word: 'NRR' },
  { key: 'arpa', word: 'ARPA' },
  { key: 'ltv', word: 'LTV' },
];

/** How a headline is written. */
export function headlineText(span: RevenueSpan, key: Headline, currency: string, code: boolean): string {
  const form = { tile: true, code };
  switch (key) {
    case 'mrr':
      return amountText(span.end_10k, currency, form);
    case 'arr':
      return amountText(span.arr_10k, currency, form);
    case 'quick_ratio':
      return ratioText(span.quick_ratio);
    case 'mrr_churn':
      return shareText(span.gross_mrr_churn);
    case 'nrr':
      return leftText(span.nrr);
    case 'arpa':
      return rateAmountText(span.arpa, currency, form);
    case 'ltv':
      return rateAmountText(span.ltv, currency, form);
  }
}

const FORMULAS: Record<Exclude<Headline, 'mrr'>, { formula: string; cells: SumCell[] }> = {
  arr: { formula: '12 × MRR', cells: ['end'] },
  quick_ratio: {
    formula: '(New + expansion + reactivation) / (contraction + churn)',
    cells: [...KINDS],
  },
  mrr_churn: { formula: '(Churn + contraction) / start', cells: ['churn', 'contraction', 'start'] },
  nrr: {
    formula: '(Start + expansion + contraction + churn) / start',
    cells: ['start', 'expansion', 'contraction', 'churn'],
  },
  arpa: { formula: 'MRR / customers who pay', cells: ['end'] },
  ltv: { formula: 'ARPA / customer churn', cells: ['end', 'churn', 'start'] },
};

/** What is behind a headline: its customers, or the sums that it is made of, each with its customers. */
export function behindHeadline(block: Block, span: RevenueSpan, preset: MetricPreset, key: Headline): Behind {
  const part = (cell: SumCell): Customers =>
    customersOf(block, preset, span, cell, sumOf(sumsOf(span), cell) ?? 0);
  if (key === 'mrr') return part('end');
  const { formula, cells } = FORMULAS[key];
  return {
    is: 'made',
    title: `${HEADLINES.find((it) => it.key === key)?.word} · ${daysText(span.from, span.to)}`,
    figure: headlineText(span, key, block.currency, true),
    formula,
    parts: cells.map((cell) => {
      const open = part(cell);
      return {
        word: sumWord(cell),
        text: (open.change ? changeText : amountText)(open.figure_10k, block.currency, { code: true }),
        exact: exactText(open.figure_10k, block.currency),
        open,
      };
    }),
  };
}
