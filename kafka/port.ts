import type { CdcError } from '#pipeline/index.ts';

/**
 * What the project asks of a Kafka client, and no more. Two adapters (kafkajs/ and platformatic/) fulfil it; their contract suite is
 * test/integration/kafka-port.test.ts. Everything takes effect on the broker before a promise resolves.
 */

export type TopicPartition = { readonly topic: string; readonly partition: number };

/** A message to send. Without `partition`, the murmur2 hash of the key (or of `partitionKey`) chooses: the same one as Java clients and Debezium. */
export type OutgoingMessage = {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  /** The bytes of `value`, by a maker that counted them: they are not counted again. */
  readonly valueBytes?: number;
  readonly partition?: number;
  /** Hashed in place of the key to choose the partition: so a row stays in its partition when its key's bytes change with the format. */
  readonly partitionKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What a consumer gets. Its members may be made when they are asked for: take them by name, a spread would leave them behind. */
export type ConsumedMessage = {
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** CreateTime or LogAppendTime in ms since the epoch, as the topic is configured. */
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
};

/** A run of messages of one partition, in offset order. Control records and aborted messages are gone; offsets may have holes. */
export type ConsumedBatch = {
  readonly topic: string;
  readonly partition: number;
  readonly messages: readonly ConsumedMessage[];
  /** The offset to read next when this batch is done: past its last record, control records included where known. */
  readonly nextOffset: bigint;
  readonly highWatermark: bigint;
  /** The offset that was asked for: what lies between it and the first message was no message for us. */
  readonly fetchedFrom: bigint;
};

/** Offsets of a partition that were asked for, from `from` to before `to`, and held no message for us: control records, aborted messages. */
export type PassedOffsets = { readonly topic: string; readonly partition: number; readonly from: bigint; readonly to: bigint };

/**
 * A batch of records that is the next of its partition and cannot be read: damaged, of an unknown codec, or larger than it may be
 * (`kafka.maxBatchMb`). Its records are from `offset` to before `nextOffset`.
 */
export type UnreadableBatch = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly nextOffset: bigint;
  /** The offset that was asked for. */
  readonly fetchedFrom: bigint;
  /** KAFKA_BATCH_UNREADABLE or KAFKA_BATCH_TOO_LARGE, naming the place. */
  readonly error: CdcError;
};

/**
 * Records of one partition in Kafka's format 2, one behind the other, uncompressed: their offsets count from 0, and none has a time of its own.
 * RecordBuilder makes them.
 */
export type EncodedRecords = { readonly partition: number; readonly records: Buffer; readonly count: number };

export type TopicSpec = {
  readonly topic: string;
  readonly partitions: number;
  /** -1 takes the broker's default. */
  readonly replicationFactor: number;
  readonly config?: Readonly<Record<string, string>>;
};

export type PartitionOffsets = { readonly partition: number; readonly low: bigint; readonly high: bigint };

/**
 * A Kafka transaction. Atomic: what `send` wrote is visible to read_committed consumers when `commit` has resolved, and never
 * if `abort` was called or the process died. Two sends may run side by side when they write to different topics.
 */
export type KafkaTransaction = {
  /** Splits into requests bounded by bytes and by messages; keeps the order of one partition's messages. */
  send(topic: string, messages: readonly OutgoingMessage[]): Promise<void>;
  /** Each becomes a record batch, compressed as is configured; keeps the order of one partition's. */
  sendRecords(topic: string, batches: readonly EncodedRecords[]): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
};

/**
 * A producer that owns its transactional id. To become its owner (`transactionalProducer`) fences every older owner: their next
 * `send` or `commit` fails with CdcError PRODUCER_FENCED, and their open transaction is aborted. One transaction at a time. After a failure all
 * it does fails as well, to abort included: what the broker has of it is not known.
 */
export type TransactionalProducer = AsyncDisposable & {
  /** @param also will be written to besides what is sent first: the coordinator gets their names in the same request */
  begin(also?: readonly TopicPartition[]): Promise<KafkaTransaction>;
  /** How many partitions keys are spread over, as `send` sees it. @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE */
  partitionsOf(topic: string): Promise<number>;
};

export type KafkaAdmin = AsyncDisposable & {
  /** Creates what does not exist yet; leaves what exists as it is. @throws CdcError KAFKA_UNREACHABLE */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  listTopics(): Promise<readonly string[]>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  /** Adds partitions until the topic has at least this many, and waits until a broker shows them. @throws CdcError TOPIC_MISSING */
  ensurePartitions(topic: string, partitions: number): Promise<void>;
  /** Forgets a consumer group; one that does not exist is forgotten. Throws while the group has members. */
  deleteGroup(groupId: string): Promise<void>;
  /** Number of partitions. @throws CdcError TOPIC_MISSING */
  partitionsOf(topic: string): Promise<number>;
  /** Low and high watermark of each partition; the high one is past what open transactions have written, too. @throws CdcError TOPIC_MISSING */
  offsetsOf(topic: string): Promise<readonly PartitionOffsets[]>;
  /**
   * Tells a topic from a later one of the same name: Kafka's own id of each topic that exists, null where the broker has none
   * (before Kafka 2.8). A topic that does not exist is left out.
   */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string | null>>;
  /** What a consumer group has committed of a topic, by partition; a partition of which it has committed nothing is left out. @throws CdcError TOPIC_MISSING */
  committedOffsets(groupId: string, topic: string): Promise<ReadonlyMap<number, bigint>>;
};

export type ConsumerOptions = {
  readonly groupId: string;
  /** All must exist. @throws CdcError TOPIC_MISSING */
  readonly topics: readonly string[];
  /** read_committed unless true. */
  readonly readUncommitted?: boolean;
  /** Partitions handled at the same time; default 1. */
  readonly concurrency?: number;
  readonly sessionTimeoutMs?: number;
  /**
   * How the group shares partitions: `spread` deals them out again each time; `sticky` evenly too, but leaves each with who has it, as far as
   * that goes. All members of a group must say the same. Default `spread`.
   */
  readonly assignment?: 'spread' | 'sticky';
  /** How soon partitions that were added are noticed, in ms; default five minutes. */
  readonly metadataMaxAgeMs?: number;
  /** Most bytes of one fetch, of each partition and of all together, as they are in the log (compressed); a batch of records that is larger still comes. */
  readonly maxBytesPerPartition?: number;
  readonly maxBytes?: number;
  /**
   * Where a partition begins that is not sought: at its first offset, or where the group has committed that it goes on, as far as the log reaches back.
   * (A group that never commits has nothing there.) Default `beginning`.
   */
  readonly startAt?: 'beginning' | 'committed';
  /** Longest wait for a fetch to fill, in ms; default 100. */
  readonly maxWaitMs?: number;
  /**
   * Called with one batch of a partition at a time. To resolve accepts it: the next batch follows it. To call `seek` inside makes the
   * next batch start there instead. To throw stops the consumer: `closed` rejects with it.
   */
  readonly onBatch: (batch: ConsumedBatch, control: BatchControl) => Promise<void>;
  /**
   * Called in place of onBatch when the next batch of a partition cannot be read. Unless it seeks, the partition is asked for the same batch again after
   * a pause of a second, or of the time that it asks for. Without it such a batch stops the consumer: `closed` rejects with its error.
   */
  readonly onUnreadable?: (batch: UnreadableBatch, control: BatchControl) => Promise<void>;
  /** Called with how far a partition has been read: also past what onBatch never sees (control records, aborted messages). */
  readonly onProgress?: (topic: string, partition: number, nextOffset: bigint) => void;
  /** Called with what onBatch never sees. It may have been asked for before a seek: `from` shows whether it follows what was handed over. */
  readonly onPassed?: (passed: PassedOffsets, control: Pick<BatchControl, 'commit' | 'isCurrent'>) => void;
  /** Called when this member joined (again), with its partitions by topic. Forget the state of partitions that are not listed. */
  readonly onAssigned?: (assignment: Readonly<Record<string, readonly number[]>>) => void;
  /** Called when the group has confirmed, by a heartbeat, that this member's assignment still holds. */
  readonly onConfirmed?: () => void;
};

export type BatchControl = {
  /** The partition goes on at `offset` after this call of onBatch, or the one that runs by now, whatever its batch held. */
  seek(offset: bigint): void;
  /** Nothing of the partition is read for so many ms; others go on. */
  pause(ms: number): void;
  /** Keeps the group membership alive during long work. Rejects when the group is rebalancing. */
  heartbeat(): Promise<void>;
  /** False once the partition is not this member's any more or the consumer stops. */
  isCurrent(): boolean;
  /**
   * Stores in the group that the partition goes on at `offset`. Rejects when Kafka is away, or the group was shared without this member; what
   * it rejects with may be thrown on by onBatch, and the member then joins again.
   */
  commit(offset: bigint): Promise<void>;
};

/**
 * A running member of a consumer group. Commits no offsets to Kafka by itself: whoever applies the messages stores them with the effects, or calls
 * `commit` after them.
 */
export type GroupConsumer = AsyncDisposable & {
  /** Resolves when the consumer was disposed; rejects with what stopped it. */
  readonly closed: Promise<void>;
};

/** Where a partition is to be read. */
export type FetchPlace = { readonly partition: number; readonly from: bigint };

/** What a partition had from where it was asked. `nextOffset` is past control records and aborted messages too. */
export type FetchedRun = {
  readonly partition: number;
  readonly messages: readonly ConsumedMessage[];
  readonly nextOffset: bigint;
  readonly unreadable: UnreadableBatch | null;
};

/** Reads partitions of a topic for whoever keeps their places himself: no group knows of it. */
export type TopicReader = AsyncDisposable & {
  /**
   * Asks once for what comes next in these partitions, and waits a moment when nothing does; a partition of which nothing came may be left out. Finds
   * leaders that have moved.
   *
   * @throws CdcError KAFKA_UNREACHABLE, TOPIC_MISSING; OffsetOutOfRangeError when the log does not hold one of the places
   */
  fetch(places: readonly FetchPlace[]): Promise<readonly FetchedRun[]>;
};

/** The log begins behind a place, or ends before it. */
export class OffsetOutOfRangeError extends Error {
  override readonly name = 'OffsetOutOfRangeError';

  constructor(topic: string, options?: ErrorOptions) {
    super(`topic ${topic} does not hold one of the offsets asked for`, options);
  }
}

/** A connection to one Kafka cluster. Cheap to make: each producer, admin and consumer opens its own connections. */
export type Kafka = {
  /** @throws CdcError KAFKA_UNREACHABLE naming the brokers and the remedy */
  admin(): Promise<KafkaAdmin>;
  transactionalProducer(options: {
    readonly transactionalId: string;
    readonly transactionTimeoutMs?: number;
    /** A topic that exists and that it will write to. Without it, a client may ask for all topics of the cluster first. */
    readonly topic?: string;
  }): Promise<TransactionalProducer>;
  consumer(options: ConsumerOptions): Promise<GroupConsumer>;
  /** @throws CdcError KAFKA_UNREACHABLE */
  reader(options: { readonly topic: string; readonly readUncommitted?: boolean }): Promise<TopicReader>;
};
