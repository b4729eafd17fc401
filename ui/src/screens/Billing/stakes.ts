import type { BillingHealth } from '../../host/generated/contract';
import type { Money } from '../../host/generated/ipc';

/** What hangs on all differences per month, one amount per currency; never added across currencies. */
export function stakes({ drifts }: Pick<BillingHealth, 'drifts'>): Money[] {
  const sums = new Map<string, number>();
  for (const { minor, currency } of drifts.flatMap((it) => it.at_stake))
    sums.set(currency, (sums.get(currency) ?? 0) + minor);
  return [...sums].map(([currency, amount]) => ({ currency, amount }));
}
