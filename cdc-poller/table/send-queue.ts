/** Work that leaves in order while its maker goes on: pages are read and encoded while earlier ones are still being sent. */
export type SendQueue = {
  /** Resolves when few enough jobs wait for the maker to go on. Rejects with what a job has thrown; no job runs after that one. */
  add(job: () => Promise<void>): Promise<void>;
  /** Resolves when every job is done; rejects as `add` does. */
  drain(): Promise<void>;
  /** Resolves when no job runs any more, whatever became of them. */
  settled(): Promise<void>;
};

/** @param ahead jobs that may wait or run while the maker goes on: what bounds the memory of all that is under way */
export function createSendQueue(ahead: number): SendQueue {
  const unfinished: Promise<void>[] = [];
  let last: Promise<void> = Promise.resolve();
  return {
    async add(job) {
      const previous = last;
      last = (async () => {
        await previous;
        await job();
      })();
      const added = last;
      // It is awaited some jobs later; the failure is then reported by whoever waits.
      added.catch(() => undefined);
      unfinished.push(added);
      while (unfinished.length > ahead) await unfinished.shift();
    },
    async drain() {
      unfinished.length = 0;
      await last;
    },
    async settled() {
      await last.catch(() => undefined);
    },
  };
}
