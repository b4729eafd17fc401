import type { SearchHit, SearchResult, TenantRow } from '../generated/ipc';
import type { Person } from './world';

/** Finds tenants as the core does: what is exact first. */
export function searchIn(text: string, rows: TenantRow[], people: Map<string, Person>): SearchResult {
  const normalised = text
    .trim()
    .replace(/^mailto:/i, '')
    .replace(/^.*<([^>]+)>.*$/, '$1')
    .replace(/^https:\/\/dashboard\.stripe\.com\/.*\/(\w+)$/, '$1')
    .toLowerCase();
  const hits: (SearchHit & { rank: number })[] = [];
  for (const row of rows) {
    const it = people.get(row.id);
    if (!it || normalised === '') continue;
    const domain = it.email.split('@')[1] ?? '';
    const subscription =
      it.facts.subscription?.id.toLowerCase() === normalised ? it.facts.subscription.id : null;
    const member = it.members.find((each) => each.email.toLowerCase() === normalised)?.email ?? null;
    const rank =
      row.id === normalised ||
      it.email.toLowerCase() === normalised ||
      it.stripe_customer?.toLowerCase() === normalised ||
      subscription ||
      member
        ? 0
        : domain === normalised
          ? 1
          : it.name.toLowerCase().startsWith(normalised)
            ? 2
            : `${it.name} ${it.email}`.toLowerCase().includes(normalised)
              ? 3
              : 9;
    if (rank === 9) continue;
    const matched = subscription
      ? 'subscription'
      : it.stripe_customer?.toLowerCase() === normalised
        ? 'stripe_customer'
        : row.id === normalised
          ? 'id'
          : it.email.toLowerCase().includes(normalised)
            ? 'email'
            : it.name.toLowerCase().includes(normalised)
              ? 'name'
              : 'member';
    hits.push({
      rank: rank * 10 + (row.level === 'full' ? 1 : 0),
      row,
      matched,
      value: subscription ?? (matched === 'member' ? member : null),
    });
  }
  hits.sort((a, b) => a.rank - b.rank || (a.row.name < b.row.name ? -1 : 1));
  return {
    normalised,
    hits: hits.slice(0, 20).map(({ row, matched, value }) => ({ row, matched, value })),
    as_of: null,
  };
}
