import type { Host } from '../host/host';

let current: Host | null = null;

/** Says which host this window talks to. Called once, before anything is drawn. */
export function useHost(host: Host): void {
  current = host;
}

/** The host of this window. */
export function host(): Host {
  if (!current) throw new Error('no host yet');
  return current;
}
