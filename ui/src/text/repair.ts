import type { StripeWrite } from '../host/generated/contract';
import type { DriftKind } from '../host/generated/domain';
import type { RepairDone } from '../host/generated/ipc';
import { driftKindWord } from './drift';
import { instant, quoted, type Reader } from './format';
import { nobodyKnows } from './words';

/** What became of a repair, and whose. */
export function repairDoneText(kind: DriftKind, done: RepairDone, tenantName: string): string {
  const what = tenantName ? `“${driftKindWord(kind)}” of ${quoted(tenantName)}` : `“${driftKindWord(kind)}”`;
  switch (done.outcome) {
    case 'made':
      return done.repair === null
        ? `${what} was repaired after all: its answer was lost, and it is gone.`
        : `${what} was repaired.`;
    case 'gone':
      return `${what} was gone already. Nothing was changed.`;
    case 'not_made':
      return `${what} was not repaired. Nothing was changed.`;
    case 'other_database':
      return `${what}: ${nobodyKnows().charAt(0).toLowerCase()}${nobodyKnows().slice(1)}`;
  }
}

const OPERATIONS: Record<string, string> = {
  update_subscription: 'Change the subscription',
  cancel_subscription: 'Cancel the subscription',
  update_webhook_endpoint: 'Change the webhook endpoint',
  pause_subscription: 'Pause the subscription',
  resume_subscription: 'Resume the subscription',
};
/** What changes in Stripe, as a deed. */
export const writeWord = ({ operation }: StripeWrite): string =>
  OPERATIONS[operation] ?? operation.replaceAll('_', ' ');

/** A parameter as a person reads it: instants as instants. Stripe counts them in seconds. */
export function parameterText({ name, value }: { name: string; value: string }, reader: Reader = {}): string {
  const at = /(trial_end|cancel_at|resumes_at)\]?$/.test(name) && /^\d{9,11}$/.test(value);
  // An empty value is how Stripe is told to take something away.
  return `${name} = ${at ? instant(Number(value) * 1000, reader) : value || '(nothing)'}`;
}
