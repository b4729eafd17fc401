import type { SearchHit } from '../host/generated/ipc';

/** The tenants opened from the search lately, the latest first; for this session only. */
class Recents {
  list: SearchHit[] = [];

  add(hit: SearchHit): void {
    this.list = [hit, ...this.list.filter((other) => other.row.id !== hit.row.id)].slice(0, 6);
  }

  clear(): void {
    this.list = [];
  }
}

export const recents = new Recents();
