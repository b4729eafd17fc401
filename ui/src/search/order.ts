/** What was typed into the search: whom to find, and what to do with the first who is found. */
export interface Order {
  query: string;
  /** Extends the trial, by so many days where they were given; `null` = only finds. */
  extend: { days: number | null } | null;
}

/** Reads what was typed: `acme ext 14` finds acme and extends its trial by 14 days. */
export function orderOf(typed: string): Order {
  const text = typed.trim();
  const extend = /^(.+?)\s+ext(?:end)?(?:\s+(\d{1,3})\s*d?)?$/i.exec(text);
  if (!extend?.[1]) return { query: text, extend: null };
  return { query: extend[1].trim(), extend: { days: extend[2] ? Number(extend[2]) : null } };
}
