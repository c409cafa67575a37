/** What `consume` gives: a running member of a group. Plain data and functions; no type of a client. */

export type PartitionState = {
  readonly topic: string;
  readonly partition: number;
  /** Every change before it was handled, or is parked. */
  readonly nextOffset: bigint;
  /** Null when the topic does not exist (any more). */
  readonly endOffset: bigint | null;
  /** An upper bound of changes: offsets count control records too. */
  readonly lag: bigint | null;
  readonly parked: number;
  /** Why the partition does not go on, whichever process has it; null when it does. */
  readonly halted: { readonly offset: bigint; readonly code: string; readonly cause: string; readonly remedy: string } | null;
  /** The handler of this process fails, and is tried again. */
  readonly trouble: Trouble | null;
};

/** Why the changes from an offset on are handed over again. */
export type Trouble = {
  readonly offset: bigint;
  /** How often it failed. */
  readonly attempt: number;
  readonly code: string;
  readonly cause: string;
  readonly since: Date;
  readonly nextTryAt: Date;
};

export type ConsumerState = 'waiting for topics' | 'joining' | 'consuming' | 'ended';

export type ConsumerStatus = {
  readonly group: string;
  readonly state: ConsumerState;
  /** Those that were claimed once, by any instance. */
  readonly partitions: readonly PartitionState[];
};

/** How old what the service has may be: against the source's own heartbeats, and not only against Kafka. */
export type ConsumerFreshness = {
  /** `unknown` is not well: capture has never said how far it is, or the topics are of several captures. */
  readonly state: 'fresh' | 'stale' | 'unknown';
  /** Everything that was committed in the source before is handled, or parked; as Postgres prints it. */
  readonly asOf: string | null;
  readonly staleSeconds: number | null;
};

export type ParkedChange = {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** The key as JSON text; hex where it cannot be read. */
  readonly key: string | null;
  readonly state: string;
  /** CONSUMER_POISON, CONSUMER_HANDLER_FAILED, EVENT_UNDECODABLE …; BEHIND for a change that waits for an earlier one of its key. */
  readonly code: string;
  readonly cause: string;
  readonly parkedAt: string;
};

/** What became of the changes of one key: `stoppedBy` is the one that still fails; null when the key is live again. */
export type ParkedRetry = {
  readonly topic: string;
  readonly partition: number;
  readonly applied: number;
  readonly stoppedBy: ParkedChange | null;
};

/** Parked changes, for whoever decides about them. */
export type Parked = {
  /** With `all` those that were applied or discarded since, too. 10000 at most. */
  list(filter?: { readonly topic?: string; readonly all?: boolean }): Promise<readonly ParkedChange[]>;
  /** One with its value, as JSON text. @throws CdcError CONSUMER_PARKED_UNKNOWN */
  show(id: string): Promise<ParkedChange & { readonly value: string | null }>;
  /**
   * Hands what waits to the handler again, one change at a time, each key in its order, up to the first that still fails. Without ids or a topic, all.
   *
   * @throws CdcError CONSUMER_PARKED_UNKNOWN
   */
  retry(which?: { readonly ids?: readonly string[]; readonly topic?: string }): Promise<readonly ParkedRetry[]>;
  /** Gives changes up for good; those behind them can then be retried. @throws CdcError CONSUMER_PARKED_UNKNOWN */
  discard(ids: readonly string[]): Promise<void>;
};

/** A batch of records that nobody can read, as the remedy of its halt names it. */
export type UnreadableRange = { readonly topic: string; readonly partition: number; readonly offset: bigint; readonly nextOffset: bigint };

/** Consumes until it is disposed, its signal is aborted, or it fails for good. */
export type Consumer = AsyncDisposable & {
  /** Resolves when the consumer has ended in order; rejects with the CdcError that ended it. Whoever looks away is not killed by it. */
  readonly finished: Promise<void>;
  status(): Promise<ConsumerStatus>;
  freshness(): Promise<ConsumerFreshness>;
  /**
   * Resolves when the group has handled as much: the `position` of a change, the header Position of the query API, or a time of the source's clock with
   * a zone. Whichever instance did it.
   *
   * @throws CdcError CONSUMER_NOT_REACHED after timeoutMs (default 10000), CONSUMER_INVALID; the signal's reason
   */
  waitFor(position: string, options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<void>;
  readonly parked: Parked;
  /** Passes over a batch of records that a partition halts at, its changes being lost. @throws CdcError when it does not halt there */
  skip(range: UnreadableRange): Promise<void>;
};
