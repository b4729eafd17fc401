import type { Snapshot } from '../host/generated/contract';
import type { Denial, Timestamp } from '../host/generated/domain';

/** What a rule that denies comes down to: which one, and of a quota which meter. */
const rule = (denial: Denial): string =>
  denial.code === 'quota_exhausted' ? `${denial.code} ${denial.meter}` : denial.code;

function equalInEffect(before: Snapshot, after: Snapshot): boolean {
  const [was, is] = [before.access, after.access];
  const alike = (a: string[], b: string[]) => a.toSorted().join() === b.toSorted().join();
  return (
    was.level === is.level &&
    alike(was.denied, is.denied) &&
    alike(was.denials.map(rule), is.denials.map(rule))
  );
}

/** Says that a change leaves the access as it is, and which rule sees to that; `null` = it does not. */
export function sameAccess(before: Snapshot, after: Snapshot, now: Timestamp): string | null {
  if (!equalInEffect(before, after)) return null;
  const { facts, status, access } = after;
  const same = (because: string) => `Access stays the same: ${because}.`;
  if (facts.suspension)
    return same('this tenant is suspended, and nothing else counts until it is reinstated');
  const trial = before.facts.trial?.ends_at !== facts.trial?.ends_at;
  const comped = facts.comp !== null && (facts.comp.until === null || facts.comp.until > now);
  if (trial && comped) return same('this tenant’s plan is comped, which comes before a trial');
  if (trial && (status === 'active' || status === 'past_due'))
    return same('this tenant has a paid subscription, which comes before a trial');
  if (access.denials.length > 0) return same('what blocks this tenant is not lifted by this');
  return 'Access stays the same.';
}
