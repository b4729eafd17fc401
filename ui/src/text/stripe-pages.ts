const PAGES: [prefix: string, page: string][] = [
  ['cus_', 'customers'],
  ['sub_', 'subscriptions'],
  ['in_', 'invoices'],
  ['ch_', 'payments'],
  ['py_', 'payments'],
  ['pi_', 'payments'],
  ['dp_', 'disputes'],
  ['du_', 'disputes'],
  ['evt_', 'events'],
  ['we_', 'webhooks'],
  ['price_', 'prices'],
];
/** Where Stripe shows an object to a person; `null` where it has no page of its own. */
export function stripePage(id: string | null, live: boolean): string | null {
  const page = PAGES.find(([prefix]) => id?.startsWith(prefix))?.[1];
  if (!id || !page || !/^\w+$/.test(id)) return null;
  return `https://dashboard.stripe.com/${live ? '' : 'test/'}${page}/${id}`;
}
