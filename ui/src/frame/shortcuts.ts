import { app } from '../state/app.svelte';
import { changes } from '../state/changes.svelte';
import { host } from '../state/host';
import { privacy } from '../state/privacy.svelte';
import { SCREENS, type Screen } from '../state/route';

const apple = /Mac|iPhone|iPad/.test(navigator.platform);

/** A shortcut as the platform writes it. */
export function shortcutText(key: string): string {
  return apple ? `⌘${key}` : `Ctrl+${key}`;
}

/** The copy shortcut as the platform writes it. */
export function copySummaryText(): string {
  return apple ? '⌘⇧C' : 'Ctrl+Shift+C';
}

/** The shortcut that hides amounts and names as the platform writes it. */
export function shortcutPrivacy(): string {
  return apple ? '⌥⌘H' : 'Ctrl+Alt+H';
}

/** Whether what has the focus takes text. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** Which action a key stands for anywhere in the window; `null` = none. */
export function shortcutOf(event: KeyboardEvent, typing: boolean): string | null {
  const command = apple ? event.metaKey : event.ctrlKey;
  if (event.key === 'F5') return 'refresh';
  if (event.key === '?' && !typing && !command) return 'shortcuts';
  // By the key and not by what it types: with Option it types something else.
  if (command && event.altKey && event.code === 'KeyH') return 'privacy';
  if (!command || event.altKey) return null;
  const key = event.key.toLowerCase();
  const screen = SCREENS.find((s) => s.key === key);
  if (screen) return screen.screen;
  if (event.shiftKey) return null;
  if (key === 'k') return 'search';
  if (key === 'r') return 'refresh';
  if (key === '/') return 'shortcuts';
  if (key === 'z' && !typing) return 'undo';
  return null;
}

/** Does what a shortcut or a menu item stands for. */
export function act(id: string): void {
  const screen = SCREENS.find((s) => s.screen === id);
  if (screen) app.go({ screen: screen.screen as Screen });
  else if (id === 'search') app.searching = app.profile !== null;
  else if (id === 'privacy') privacy.toggle();
  else if (id === 'undo' || id === 'undo-adjustment') changes.undoLatest();
  else if (id === 'refresh')
    void host()
      .syncNow()
      .catch(() => undefined);
}
