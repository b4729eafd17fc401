import type { Adjustment, Refusal, Snapshot, TimelineEntry } from '../host/generated/contract';
import type { Change, DenyCode, Meter } from '../host/generated/domain';
import { CHANGE_NAMES } from './change-words';
import { instant, meterLimit, money, quoted, span, UNKNOWN, type Reader } from './format';
import { levelWord, meterNoun, statusWord } from './words';

/** A change as a deed: `Extend trial by 7 d`. */
export function changeText(change: Change, reader: Reader = {}): string {
  switch (change.kind) {
    case 'extend_trial':
      return 'days' in change.target
        ? `Extend trial by ${change.target.days} d`
        : `Extend trial until ${instant(change.target.until, reader)}`;
    case 'end_trial':
      return 'End trial';
    case 'override_quota': {
      const until = change.expires_at === null ? '' : ` until ${instant(change.expires_at, reader)}`;
      return `Set limit for ${meterNoun(change.meter)} to ${meterLimit(change.meter, change.limit)}${until}`;
    }
    case 'remove_override':
      return `Remove override of ${meterNoun(change.meter)}`;
    case 'comp': {
      const until = change.until === null ? 'with no end' : `until ${instant(change.until, reader)}`;
      return `Comp ${change.plan} ${until}`;
    }
    case 'suspend':
      return 'Suspend';
    case 'reinstate':
      return 'Reinstate';
    case 'change_plan':
      return `Change plan to ${change.plan}`;
    case 'repair_billing':
      return `Repair billing: ${change.drift.replaceAll('_', ' ')}`;
    case 'note':
      return 'Note';
  }
}

/** The short name of what happened, for a table's column. */
export function entryKind(entry: TimelineEntry): string {
  const { body } = entry;
  if (body.kind === 'adjustment') {
    const { undoes, change } = body.adjustment;
    return undoes ? `Undo: ${CHANGE_NAMES[change.kind].toLowerCase()}` : CHANGE_NAMES[change.kind];
  }
  switch (body.kind) {
    case 'trial_started':
      return 'Trial started';
    case 'trial_ended':
      return 'Trial ended';
    case 'comp_ended':
      return 'Comp ended';
    case 'grace_ended':
      return 'Grace ended';
    case 'subscription_started':
      return 'Subscription started';
    case 'subscription_ended':
      return 'Subscription ended';
    case 'payment_failed':
      return 'Payment failed';
    case 'blocked':
      return 'First refused';
  }
}

const DENY_WORDS: Record<DenyCode, string> = {
  trial_ended: 'trial ended',
  subscription_ended: 'subscription ended',
  payment_overdue: 'payment overdue',
  suspended: 'suspended',
  quota_exhausted: 'a quota is used up',
  unknown_tenant: 'not known to the paywall',
  paywall_unavailable: 'the paywall could not decide',
};

/** A refused request: what was asked and what was answered. */
export const requestText = ({ method, path, http_status }: Refusal): string =>
  `${quoted(`${method} ${path}`)}, ${http_status}`;

/** What happened, in a sentence. `refusal` = the request itself, for a first refusal of which it is known. */
export function entryText(entry: TimelineEntry, reader: Reader = {}, refusal: Refusal | null = null): string {
  const { body } = entry;
  switch (body.kind) {
    case 'adjustment': {
      const { adjustment } = body;
      const by = `${quoted(adjustment.actor)} — `;
      if (adjustment.change.kind === 'note') return `${by}${quoted(adjustment.reason)}`;
      const deed = changeText(adjustment.change, reader);
      const reason = adjustment.reason ? ` — ${quoted(adjustment.reason)}` : '';
      return `${by}${adjustment.undoes ? 'undid: ' : ''}${deed}${reason}`;
    }
    case 'trial_started':
      return `${body.plan === 'trial' ? 'Trial' : `Trial of ${body.plan}`} started, to end ${instant(body.ends_at, reader)}`;
    case 'trial_ended':
      return 'Trial ended (automatic)';
    case 'comp_ended':
      return `Comp of ${body.plan} ended (automatic)`;
    case 'grace_ended':
      return 'Grace ended: the payment is still overdue (automatic)';
    case 'subscription_started':
      return `Subscription to ${body.plan} started (${body.subscription})`;
    case 'subscription_ended':
      return `Subscription ended (${body.subscription})`;
    case 'payment_failed': {
      const times = body.attempts === 1 ? 'once' : `${body.attempts}×`;
      return `Payment of ${money(body, { code: true })} failed, tried ${times} (${body.invoice})`;
    }
    case 'blocked':
      return `First request refused: ${DENY_WORDS[body.code]}${refusal ? ` (${requestText(refusal)})` : ''}`;
  }
}

/** What happened, beside a column that names its kind already. */
export function entryRest(entry: TimelineEntry, reader: Reader = {}, refusal: Refusal | null = null): string {
  const { body } = entry;
  if (body.kind === 'blocked')
    return `${DENY_WORDS[body.code]}${refusal ? ` · ${requestText(refusal)}` : ''}`;
  if (body.kind === 'trial_started') return `${body.plan}, to end ${instant(body.ends_at, reader)}`;
  return entryText(entry, reader);
}

/** One thing that a change changed. */
export interface Difference {
  what: string;
  before: string;
  after: string;
}

function meters(snapshot: Snapshot): Map<Meter, Snapshot['meters'][number]> {
  return new Map(snapshot.meters.map((it) => [it.meter, it]));
}

/** Everything that differs between two states of a tenant, the resulting access last. */
export function differences(before: Snapshot, after: Snapshot, reader: Reader = {}): Difference[] {
  const found: Difference[] = [];
  const add = (what: string, was: string, is: string) => {
    if (was !== is) found.push({ what, before: was, after: is });
  };
  const trialEnd = (it: Snapshot) => (it.facts.trial ? instant(it.facts.trial.ends_at, reader) : UNKNOWN);
  const extended = (it: Snapshot) =>
    it.facts.trial && it.facts.trial.extensions > 0
      ? `${it.facts.trial.extensions}× (${span(it.facts.trial.extended_ms)} in all)`
      : 'never';
  const comp = (it: Snapshot) => {
    if (!it.facts.comp) return 'none';
    return `${it.facts.comp.plan} ${it.facts.comp.until === null ? 'with no end' : `until ${instant(it.facts.comp.until, reader)}`}`;
  };
  const suspension = (it: Snapshot) =>
    it.facts.suspension ? `by ${quoted(it.facts.suspension.by)}` : 'none';

  add('Trial ends', trialEnd(before), trialEnd(after));
  add('Extended', extended(before), extended(after));
  add('Plan', before.facts.plan, after.facts.plan);
  add('Comp', comp(before), comp(after));
  add('Suspension', suspension(before), suspension(after));
  const was = meters(before);
  for (const [meter, is] of meters(after)) {
    const then = was.get(meter);
    if (then && (then.limit !== is.limit || then.overridden !== is.overridden)) {
      const noun = meterNoun(meter);
      const limit = (it: typeof is) => `${meterLimit(meter, it.limit)}${it.overridden ? ' (override)' : ''}`;
      add(`Limit of ${noun}`, limit(then), limit(is));
    }
  }
  add('Status', statusWord(before.status), statusWord(after.status));
  add('Access', levelWord(before.access.level), levelWord(after.access.level));
  return found;
}

/** The difference that matters most, for a table's cell: instants in UTC alone, the entry itself has both. */
export function beforeAfter(adjustment: Adjustment, reader: Reader = {}): Difference | null {
  return differences(adjustment.before, adjustment.after, { ...reader, zone: 'UTC' })[0] ?? null;
}
