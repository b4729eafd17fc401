// First of all: see there.
import './theme/language';

import { mount } from 'svelte';

import App from './App.svelte';
import './app.css';
import { openHost } from './host';
import { useHost } from './state/host';
import { applyTheme } from './theme/theme';

// In the system's colours from the first frame on; the settings come with the app's state.
applyTheme('system', null);

const target = document.getElementById('app');
if (target) {
  useHost(await openHost());
  mount(App, { target });
}
