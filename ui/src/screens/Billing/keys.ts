import { app } from '../../state/app.svelte';

/** Whether a key stands for the repair of the row in focus, where it may do anything now. */
export function isRepairKey(event: KeyboardEvent): boolean {
  if (!app.state?.settings.single_keys || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
    return false;
  return app.noChange === null && event.key.toLowerCase() === 'r';
}
