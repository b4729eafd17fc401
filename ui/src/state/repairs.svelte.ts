import type { KnownDrift } from '../host/generated/contract';
import type { RepairDone } from '../host/generated/ipc';
import { shortened } from '../text/format';
import { repairDoneText } from '../text/repair';
import { app } from './app.svelte';
import { changes, type Subject } from './changes.svelte';
import { toasts } from './toasts.svelte';

/** Which link for a customer is being made. */
export type LinkKind = 'checkout' | 'portal';

/** Which drift is being repaired, and for whom a link is made. */
class Repairs {
  repairing = $state.raw<KnownDrift | null>(null);
  link = $state.raw<{ kind: LinkKind; subject: Subject; plan?: string } | null>(null);

  open(drift: KnownDrift): void {
    app.searching = false;
    this.repairing = drift;
  }

  openLink(kind: LinkKind, subject: Subject, plan?: string): void {
    app.searching = false;
    this.link = { kind, subject, ...(plan === undefined ? {} : { plan }) };
  }

  close(): void {
    this.repairing = null;
    this.link = null;
  }

  /** Says what became of a repair. What changed a tenant can be undone as any change of staff. */
  tell(drift: KnownDrift, done: RepairDone): void {
    const name = drift.tenant_name ?? '';
    // What was done in Stripe is taken back there, by hand.
    const here = drift.drift.repair.action === 'apply_stripe';
    const adjustment = done.outcome === 'made' && here ? (done.repair?.adjustment ?? null) : null;
    const tenant = drift.drift.tenant;
    toasts.show({
      text: repairDoneText(drift.drift.body.kind, done, shortened(name)),
      mark: done.outcome === 'made' || done.outcome === 'gone' ? 'done' : 'otherwise',
      undo: adjustment ? () => void changes.undo(adjustment, name) : null,
      open: tenant === null ? null : () => app.openTenant(tenant),
      copy: repairDoneText(drift.drift.body.kind, done, name),
      lasting: done.outcome === 'not_made' || done.outcome === 'other_database',
    });
    app.dataChanged();
  }
}

export const repairs = new Repairs();
