import type { Failure, SqlAnswer } from '../host/generated/ipc';
import { asFailure } from '../host/host';
import { FIRST_QUESTION } from '../text/sql';
import { host } from './host';

/** The question that is being written, and the answer to the one that was asked last. */
export class Question {
  text = $state(FIRST_QUESTION);
  answer = $state.raw<SqlAnswer | null>(null);
  failure = $state.raw<Failure | null>(null);
  shape = $state<'table' | 'chart'>('table');
  /** The name of the saved query that the text came from. */
  name = $state('');
  #running = $state.raw<number | null>(null);

  get running(): boolean {
    return this.#running !== null;
  }

  async ask(): Promise<void> {
    if (this.running) return;
    const id = nextId();
    this.#running = id;
    this.failure = null;
    try {
      this.answer = await host().sqlRun(id, this.text);
    } catch (error) {
      this.answer = null;
      this.failure = asFailure(error);
    } finally {
      this.#running = null;
    }
  }

  async stop(): Promise<void> {
    if (this.#running === null) return;
    try {
      await host().sqlCancel(this.#running);
    } catch (error) {
      this.failure = asFailure(error);
    }
  }
}

let last = 0;
/** Different from every other as long as the core runs, also after the page was loaded again. */
function nextId(): number {
  last = Math.max(last + 1, Date.now());
  return last;
}

let kept: Record<string, Question> = {};

/** A profile's question: it stays while other screens are looked at. */
export function questionOf(profile: string): Question {
  return (kept[profile] ??= new Question());
}

/** For tests: as after a start. */
export function forgetQuestions(): void {
  kept = {};
}
