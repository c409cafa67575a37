/** Something done again and again beside a test. */
export type Repeating = AsyncDisposable & {
  /** Lets the step that is under way end, and fails with what a step failed with. */
  stop(): Promise<void>;
};

export function repeat(step: () => Promise<void>): Repeating {
  const stopped = new AbortController();
  const running = (async () => {
    while (!stopped.signal.aborted) await step();
  })();
  running.catch(() => undefined);
  return {
    async stop() {
      stopped.abort();
      await running;
    },
    // Of a test that has failed already: what its steps then fail with is not the reason.
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await running.catch(() => undefined);
    },
  };
}
