import { atMost, unlessAborted } from '#pipeline/index.ts';

/** When work may begin, and that it is waited for at the end. */
export type Lifetime = {
  /** Aborted when nothing is waited for any more. */
  readonly signal: AbortSignal;
  /** Runs a piece of work that the end waits for. Once the end has begun none begins: it waits for the signal, and rejects with its reason. */
  work<T>(piece: () => Promise<T>): Promise<T>;
  /** Ends in order: nothing begins any more, what is at work has so many ms to end, then the signal is aborted. */
  end(ms: number): Promise<void>;
  /** The signal is aborted now. */
  abort(reason: unknown): void;
};

export function createLifetime(): Lifetime {
  const over = new AbortController();
  const { signal } = over;
  const working = new Set<Promise<unknown>>();
  let ending = false;
  return {
    signal,
    async work(piece) {
      if (ending) await unlessAborted(new Promise<never>(() => undefined), signal);
      signal.throwIfAborted();
      const done = piece();
      working.add(done);
      try {
        return await done;
      } finally {
        working.delete(done);
      }
    },
    async end(ms) {
      ending = true;
      await atMost(ms, Promise.allSettled(working));
      over.abort(new Error('the consumer ends'));
    },
    abort(reason) {
      ending = true;
      over.abort(reason);
    },
  };
}
