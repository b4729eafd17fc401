import type { FailureCode, Failure } from '../generated/ipc';

/** Rejects as the core does. */
export function fail(code: FailureCode, detail: string, request_id: string | null = null): never {
  throw { ...code, detail, request_id, at: Date.now() } satisfies Failure;
}

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
