import type { Host } from '../../src/host/host';
import { mockHost } from '../../src/host/mock';
import { app } from '../../src/state/app.svelte';
import { changes } from '../../src/state/changes.svelte';
import { useHost } from '../../src/state/host';
import { toasts } from '../../src/state/toasts.svelte';

/** What a test wants of the host otherwise than the world in the page has it. */
export type Otherwise = Partial<Host> | ((world: Host) => Partial<Host>);

/** Opens the window's state on a world of 40 tenants. */
export async function open(otherwise: Otherwise = {}, query = 'tenants=40'): Promise<Host> {
  const world = mockHost(new URLSearchParams(query));
  const host: Host = { ...world, ...(typeof otherwise === 'function' ? otherwise(world) : otherwise) };
  useHost(host);
  changes.close();
  changes.closeUndo();
  toasts.list = [];
  await app.reload();
  app.go({ screen: 'tenants', view: 'all', tenant: null });
  return host;
}

/** The tenant of that name. */
export async function find(host: Host, name: string): Promise<{ id: string; name: string }> {
  const { hits } = await host.search(name);
  const hit = hits.find((it) => it.row.name === name);
  if (!hit) throw new Error(`no tenant is called ${name}`);
  return { id: hit.row.id, name: hit.row.name };
}
