/** This machine's clock, ticking, so that every age on the screen goes on by itself. */
class Clock {
  now = $state(Date.now());

  /** Starts ticking. Answers the way to stop. */
  start(): () => void {
    const timer = setInterval(() => (this.now = Date.now()), 1000);
    return () => clearInterval(timer);
  }
}

export const clock = new Clock();
