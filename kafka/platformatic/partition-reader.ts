import type { BatchControl, ConsumerOptions } from '../port.ts';
import type { Run } from '../records/committed-run.ts';

/** Lets so many at a time in. */
export type Slots = { run<T>(work: () => Promise<T>): Promise<T> };

/** One assigned partition: where to fetch next, and the run that waits for onBatch. */
export type PartitionReader = {
  readonly topic: string;
  readonly partition: number;
  /** Null until it is known where to begin. */
  readonly fetchFrom: bigint | null;
  /** A run waits already, or the partition pauses: nothing more is to be fetched. */
  readonly isAhead: boolean;
  startAt(offset: bigint): void;
  /** Forgets its offset. */
  restart(): void;
  /** What a fetch at `from` brought; it is dropped when the reader has gone elsewhere in the meantime. */
  offer(from: bigint, run: Run, highWatermark: bigint): void;
  /** It is not this member's any more. */
  revoke(): void;
  /** Resolves when onBatch is not at work. */
  idle(): Promise<void>;
};

export type ReaderContext = {
  readonly topic: string;
  readonly partition: number;
  readonly options: ConsumerOptions;
  readonly slots: Slots;
  /** Stores in the group where the partition goes on. */
  readonly commit: (offset: bigint) => Promise<void>;
  /** Tells the fetch loop to look again. */
  readonly wake: () => void;
  readonly fail: (error: unknown) => void;
  readonly signal: AbortSignal;
};

/** What a fetch at `from` brought. */
type Fetched = { readonly from: bigint; readonly run: Run; readonly highWatermark: bigint };

/** How long a partition pauses before a batch that cannot be read, in ms. */
const unreadablePauseMs = 1000;

export function createReader({ topic, partition, options, slots, commit, wake, fail, signal }: ReaderContext): PartitionReader {
  let fetchFrom: bigint | null = null;
  let waiting: Fetched | null = null;
  let working: Promise<void> | null = null;
  let revoked = false;
  let restsUntil = 0;
  const isCurrent = (): boolean => !revoked && !signal.aborted;

  const handle = async ({ from, run, highWatermark }: Fetched): Promise<void> => {
    const { messages, nextOffset, unreadable } = run;
    let seeked = false;
    const control: BatchControl = {
      seek(offset) {
        seeked = true;
        fetchFrom = offset;
        waiting = null;
      },
      pause(ms) {
        restsUntil = performance.now() + ms;
        setTimeout(wake, ms + 1).unref();
      },
      heartbeat: async () => {
        // The library keeps the membership alive by itself.
        if (!isCurrent()) throw new RevokedError();
      },
      isCurrent,
      async commit(offset) {
        // The library would join again, and then commit for whoever has the partition.
        if (!isCurrent()) throw new RevokedError();
        await commit(offset);
      },
    };
    if (unreadable !== null) {
      if (options.onUnreadable === undefined) throw unreadable.error;
      control.pause(unreadablePauseMs);
      await options.onUnreadable(unreadable, control);
      return;
    }
    if (messages.length > 0) await options.onBatch({ topic, partition, messages, nextOffset, highWatermark, fetchedFrom: from }, control);
    if (seeked || !isCurrent()) return;
    options.onProgress?.(topic, partition, nextOffset);
    if (messages.length === 0) options.onPassed?.({ topic, partition, from, to: nextOffset }, control);
  };

  const work = async (): Promise<void> => {
    for (let next = waiting; next !== null; next = waiting) {
      const fetched = next;
      waiting = null;
      wake();
      await slots.run(async () => {
        if (isCurrent()) await handle(fetched);
      });
    }
  };

  const kick = (): void => {
    working ??= work()
      .catch((error: unknown) => {
        if (!(error instanceof RevokedError)) fail(error);
      })
      .finally(() => {
        working = null;
        if (waiting !== null && isCurrent()) kick();
        wake();
      });
  };

  return {
    topic,
    partition,
    get fetchFrom() {
      return fetchFrom;
    },
    get isAhead() {
      return waiting !== null || performance.now() < restsUntil;
    },
    startAt(offset) {
      fetchFrom ??= offset;
    },
    restart() {
      fetchFrom = null;
      waiting = null;
    },
    offer(from, run, highWatermark) {
      if (fetchFrom !== from || waiting !== null || !isCurrent()) return;
      fetchFrom = run.nextOffset;
      waiting = { from, run, highWatermark };
      kick();
    },
    revoke() {
      revoked = true;
      waiting = null;
    },
    async idle() {
      await working;
    },
  };
}

/** onBatch asked for a heartbeat after its partition had gone to another member. */
class RevokedError extends Error {
  constructor() {
    super('the partition belongs to another member now');
    this.name = 'RevokedError';
  }
}
