import type { Theme } from '../host/generated/ipc';

/** Puts the chosen theme on the document. `desktopDark` is the desktop's own word, where it gave one. */
export function applyTheme(theme: Theme, desktopDark: boolean | null): void {
  const prefersDark = desktopDark ?? matchMedia('(prefers-color-scheme: dark)').matches;
  const dark = theme === 'dark' || (theme === 'system' && prefersDark);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}

/** Calls back when the system's theme changes. Answers the way to stop. */
export function onSystemTheme(changed: () => void): () => void {
  const query = matchMedia('(prefers-color-scheme: dark)');
  query.addEventListener('change', changed);
  return () => query.removeEventListener('change', changed);
}
