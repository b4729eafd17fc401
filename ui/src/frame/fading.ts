import type { Action } from 'svelte/action';

import { TOAST_MS } from '../state/toasts.svelte';

interface Options {
  /** Stays until it is closed. */
  stay: boolean;
  gone: () => void;
}

/** Lets an element go after a while; the time stands still while it is hovered or has the focus. */
export const fading: Action<HTMLElement, Options> = (node, options) => {
  let { stay, gone } = options ?? { stay: true, gone: () => undefined };
  let left = TOAST_MS;
  let since = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const run = () => {
    if (stay || timer !== undefined) return;
    since = Date.now();
    timer = setTimeout(() => gone(), left);
  };
  const hold = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    left = Math.max(left - (Date.now() - since), 3000);
  };
  const release = () => {
    if (!node.matches(':hover') && !node.contains(document.activeElement)) run();
  };
  const leave = () => setTimeout(release);

  node.addEventListener('pointerenter', hold);
  node.addEventListener('focusin', hold);
  node.addEventListener('pointerleave', release);
  node.addEventListener('focusout', leave);
  run();
  return {
    update(next: Options) {
      ({ stay, gone } = next);
      if (stay) hold();
      else run();
    },
    destroy() {
      if (timer !== undefined) clearTimeout(timer);
    },
  };
};
