import type { StuckConversion } from '../host/generated/contract';
import { quoted } from './format';

/** Where a conversion is stuck, as a heading. */
export const stuckWord = ({ at }: Pick<StuckConversion, 'at'>): string =>
  ({ checkout_open: 'Checkout opened, not finished', paid_not_unblocked: 'Paid, not unblocked' })[at];
/** Why a conversion does not get on, and what helps. */
export function stuckReason(row: StuckConversion): string {
  if (row.at === 'checkout_open')
    return `Wants ${quoted(row.plan)} and has not paid. A new link can be sent.`;
  return row.drift === null
    ? `Paid for ${quoted(row.plan)}; the paywall has not taken it over. The server compares everything again each night.`
    : `Paid for ${quoted(row.plan)}; the paywall still refuses.`;
}
