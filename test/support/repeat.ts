/** Something done again and again beside a test. */
export type Repeating = {
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
  };
}
