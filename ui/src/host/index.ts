import type { Host } from './host';

/**
 * The host of this window. The one that lives in the page exists only in builds of the mode `mock`:
 * elsewhere the branch is constant and the bundler drops it with everything behind it.
 */
export async function openHost(): Promise<Host> {
  if (__MOCK_HOST__) {
    const { mockHost } = await import('./mock');
    return mockHost(new URLSearchParams(location.search));
  }
  const { tauriHost } = await import('./tauri');
  return tauriHost();
}

export { asFailure } from './host';
export type { Host, HostEvents, Unlisten } from './host';
