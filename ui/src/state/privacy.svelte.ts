import { hideWhen } from '../text/format';

/** Whether amounts and names are hidden, as when somebody else can see the screen. */
class Privacy {
  on = $state(false);

  toggle(): void {
    this.on = !this.on;
  }
}

export const privacy = new Privacy();

// Whatever writes an amount or a name asks here, and is written anew when the answer changes.
hideWhen(() => privacy.on);
