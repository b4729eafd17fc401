import type { Timestamp } from '../host/generated/domain';
import { presentIs } from '../text/format';

/**
 * The server's clock as far as it is known, else this machine's. It ticks, so that every age on the screen
 * goes on by itself.
 */
class Clock {
  now = $state(Date.now());
  /** The server's clock minus this machine's, in milliseconds. */
  #offset = $state(0);

  /** Starts ticking. Answers the way to stop. */
  start(): () => void {
    const timer = setInterval(() => (this.now = this.current()), 1000);
    return () => clearInterval(timer);
  }

  /** The present instant, between two ticks. */
  current(): Timestamp {
    return Date.now() + this.#offset;
  }

  /** An instant by this machine's clock, such as that of a failure, by the clock that the screen goes by. */
  fromHere(at: Timestamp): Timestamp {
    return at + this.#offset;
  }

  /** Goes by what was just said to be now; `null` = by this machine's clock. */
  follow(now: Timestamp | null): void {
    this.#offset = now === null ? 0 : now - Date.now();
    this.now = this.current();
  }
}

export const clock = new Clock();
presentIs(() => clock.current());
