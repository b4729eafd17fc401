import { cleanup } from '@testing-library/svelte';
import { afterEach } from 'vitest';

// The DOM of the unit tests does not match `:checked` on options, by which a bound select is read.
const query = HTMLSelectElement.prototype.querySelector;
HTMLSelectElement.prototype.querySelector = function (this: HTMLSelectElement, selector: string) {
  return selector === ':checked'
    ? (this.options[this.selectedIndex] ?? null)
    : (query.call(this, selector) as Element | null);
} as typeof query;

afterEach(() => cleanup());
