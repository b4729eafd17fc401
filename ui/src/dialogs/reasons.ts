/** The reasons that need no typing. */
export const REASONS = [
  'Customer asked',
  'Evaluation delayed',
  'Our outage',
  'Goodwill',
  'Sales',
  'Other…',
] as const;

/** Reasons for a repair. */
export const REPAIR_REASONS = ['Billing differed', ...REASONS] as const;

/** Reasons for taking access away. */
export const SUSPEND_REASONS = ['Abuse', 'Chargeback', 'Security', 'Customer asked', 'Other…'] as const;

let last: string = REASONS[0];

/** The reason chosen last in this session. */
export const lastReason = (): string => last;

/** Keeps the chosen reason for the next dialog. */
export function keepReason(reason: string): void {
  last = reason;
}

/** The reason as it is recorded. */
export function reasonText(preset: string, more: string): string {
  const typed = more.trim();
  if (preset === 'Other…') return typed;
  return typed ? `${preset}: ${typed}` : preset;
}
