import type { ConsumerState, PartitionState, UnreadableRange } from '../consumer.ts';
import type { CommonOptions, HandlerContext, NamedChange, Tables } from '../options.ts';

/** A change that the handler can never handle, or a message that nobody can read as one. */
export type PoisonedChange<T extends Tables = Tables> = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** The key as JSON text; hex where it cannot be read. */
  readonly key: string | null;
  /** The value as JSON text; hex where it cannot be read. */
  readonly value: string | null;
  /** CONSUMER_POISON or EVENT_UNDECODABLE. */
  readonly code: string;
  readonly cause: string;
  /** Null when it cannot be read. */
  readonly change: NamedChange<T> | null;
};

/**
 * Without a database: each change is handed over at least once. Positions are those that Kafka keeps for the group; one is committed after the handler has
 * resolved. After a crash, a lost Kafka, or when partitions move to another instance, changes come again: those of the calls that were at work, and of
 * the ones that had ended and were not committed yet.
 */
export type AtLeastOnceOptions<T extends Tables> = CommonOptions<T> & {
  readonly database?: undefined;
  /** Nothing is parked without a database: a handler that throws is given the same changes again, for as long as it takes. */
  readonly onError?: 'retry';
  /**
   * What becomes of a change that the handler calls `Poison`, or that cannot be read: keep it somewhere of your own. When it resolves the change is passed
   * over, and the later changes of its key are handed over; when it rejects it is called again. Without it the partition halts there.
   */
  onPoison?(poisoned: PoisonedChange<T>, context: HandlerContext): Promise<void>;
  /**
   * Handles changes of one partition, in their order. Its changes count as handled when it resolves. When it rejects, all of them come again. One that
   * ignores `context.signal` may still be at work when they do.
   */
  handle(changes: readonly NamedChange<T>[], context: HandlerContext): Promise<void>;
};

/** A partition, as far as Kafka and this process know it. Other instances' halts and troubles are in their own status. */
export type AtLeastOncePartition = Omit<PartitionState, 'parked'>;

export type AtLeastOnceStatus = {
  readonly group: string;
  readonly state: ConsumerState;
  /** All partitions of the topics that exist, whichever instance has them. */
  readonly partitions: readonly AtLeastOncePartition[];
};

/** Consumes until it is disposed, its signal is aborted, or it fails for good. */
export type AtLeastOnceConsumer = AsyncDisposable & {
  /** Resolves when the consumer has ended in order; rejects with the CdcError that ended it. Whoever looks away is not killed by it. */
  readonly finished: Promise<void>;
  /** @throws CdcError KAFKA_UNREACHABLE */
  status(): Promise<AtLeastOnceStatus>;
  /**
   * Resolves when the group has committed as much: the `position` of a change, or the header Position of the query API. Whichever instance did it. A time
   * of the source's clock needs a database.
   *
   * @throws CdcError CONSUMER_NOT_REACHED after timeoutMs (default 10000), CONSUMER_INVALID, KAFKA_UNREACHABLE; the signal's reason
   */
  waitFor(position: string, options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Passes over what a partition of this process halts at, as the remedy of the halt names it; resolves when that is committed.
   *
   * @throws CdcError CONSUMER_SKIP_REFUSED when it does not halt there
   */
  skip(range: UnreadableRange): Promise<void>;
};
