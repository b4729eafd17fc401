import type { TenantDetail } from '../host/generated/ipc';
import { instant, meterAmount, meterLimit, meterWord, percent, UNKNOWN, type Reader } from './format';
import { statusWord } from './words';
import type { Verdict } from './verdict';

/** The verdict as plain text for a ticket: no mark-up, no isolates, every instant with its zone. */
export function copySummary(
  detail: TenantDetail,
  verdict: Verdict,
  environment: string,
  reader: Reader = {},
): string {
  const { tenant } = detail;
  const lines = [
    `${tenant.name} <${tenant.email}> — ${environment}`,
    `Tenant ${tenant.id}${tenant.stripe_customer ? `, Stripe ${tenant.stripe_customer}` : ''}`,
    `${statusWord(tenant.status)}, plan ${detail.plan?.name ?? tenant.facts.plan}`,
    '',
    `${verdict.headline}`,
    ...verdict.causes.map((it) => `- ${it}`),
    ...(verdict.remains ? [verdict.remains] : []),
    ...verdict.facts,
    '',
    ...tenant.meters.map((it) => {
      const share =
        it.used !== null && it.limit !== null && it.limit > 0 ? ` (${percent(it.used / it.limit)})` : '';
      const used = it.used === null ? UNKNOWN : meterAmount(it.meter, it.used);
      return `${meterWord(it.meter)}: ${used} / ${meterLimit(it.meter, it.limit)}${share}${it.exhausted ? ' — blocks' : ''}`;
    }),
    '',
    verdict.stale ?? `As of ${instant(detail.as_of ?? tenant.as_of, reader)}`,
  ];
  return lines.join('\n').replace(/[\u2066-\u2069]/g, '');
}
