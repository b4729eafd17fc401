import type { Change } from '../host/generated/domain';

/** What the fields of a dialog make: a change, or what is still wrong with them. */
export interface Draft {
  change: Change | null;
  error: string | null;
  /** The button that applies it: verb and object. */
  button: string;
}

/** An instant typed as UTC in a date field; `null` = not complete. */
export function typedInstant(value: string): number | null {
  const at = Date.parse(`${value}Z`);
  return Number.isNaN(at) ? null : at;
}

/** An instant as a date field takes it, in UTC. */
export function fieldInstant(at: number): string {
  return new Date(at).toISOString().slice(0, 16);
}

/** Digits in groups, the last of three: `15,000`, `1.500.000`. `1.5` is none, and no fifteen either. */
const GROUPED = /^\d{1,3}([\s,.'’_])(?:\d{2,3}\1)*\d{3}$/;

/** A limit as typed, with or without separators; `null` = not a whole number. */
export function typedLimit(value: string): number | null {
  const typed = value.trim();
  if (!/^\d+$/.test(typed) && !GROUPED.test(typed)) return null;
  const digits = typed.replace(/\D/g, '');
  return digits.length > 15 ? null : Number(digits);
}
