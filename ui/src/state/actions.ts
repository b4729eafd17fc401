import { app } from './app.svelte';
import { changes, type ChangeKind, type Subject } from './changes.svelte';

/** The single keys that act on the tenant in focus. */
const KEYS: Record<string, ChangeKind> = {
  e: 'extend_trial',
  q: 'override_quota',
  c: 'comp',
  n: 'note',
};

/** What a single key stands for, where it may do anything now. */
export function actionOf(event: KeyboardEvent): ChangeKind | null {
  if (!app.state?.settings.single_keys || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
    return null;
  return app.noChange ? null : (KEYS[event.key.toLowerCase()] ?? null);
}

/** Does what a single key stands for on the tenant in focus; says whether it stood for anything. */
export function actionKey(event: KeyboardEvent, subject: Subject): boolean {
  const kind = actionOf(event);
  if (!kind) return false;
  changes.open(kind, { id: subject.id, name: subject.name });
  return true;
}
