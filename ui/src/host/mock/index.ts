import type { Host, HostEvents } from '../host';
import { billingOf } from './billing';
import { changingOf } from './changing';
import { profilesOf } from './profiles';
import { readingOf } from './reading';
import { revenueOf } from './revenue';
import { sqlOf } from './sql';
import { State } from './state';

export type { Scenario } from './state';

/** A host whose whole world lives in the page. For tests of the window in a browser. */
export function mockHost(query: URLSearchParams): Host {
  const state = new State(query);
  const changing = changingOf(state);
  if (state.loading && !state.tokenless) readFirstCopy(state);
  return {
    ...profilesOf(state),
    ...readingOf(state, changing),
    ...changing.host,
    ...billingOf(state),
    ...revenueOf(state),
    ...sqlOf(state),
    async freshness() {
      state.profile();
      return state.freshness();
    },
    async syncNow() {
      // It only asks for a pass: how that went comes with the next freshness.
      setTimeout(() => {
        if (!state.offline && !state.tokenless && state.scenario !== 'server-error') {
          state.asOf = state.present();
          state.emit('data-changed', null);
        }
        state.emit('freshness', state.freshness());
      }, 300);
    },
    async syncCancel() {
      state.loading = false;
      state.emit('freshness', state.freshness());
    },
    async openExternal() {},
    async copyText(text) {
      document.documentElement.dataset.copied = text;
    },
    async setTitle(title) {
      document.title = title;
    },
    async listen(event, heard) {
      const set = state.listeners[event] as Set<(payload: HostEvents[typeof event]) => void>;
      set.add(heard);
      // What is in doubt is settled by itself where that is asked for.
      const [doubt] = changing.doubts;
      if (event === 'settled' && query.get('settles') !== null && doubt)
        setTimeout(
          () => state.emit('settled', { change: doubt, settled: changing.becameOf(doubt.key) }),
          300,
        );
      return () => set.delete(heard);
    },
  };
}

/** Reads the first copy bit by bit; with `?hold` it never comes to its end. */
function readFirstCopy(state: State): void {
  const all = state.world.people.size;
  const timer = setInterval(() => {
    state.read = Math.min(all, state.read + 200);
    if (state.read >= all && state.query.get('hold') === null) {
      state.loading = false;
      state.asOf = state.present();
      clearInterval(timer);
    }
    state.generation += 1;
    state.emit('freshness', state.freshness());
    state.emit('data-changed', null);
  }, 400);
}
