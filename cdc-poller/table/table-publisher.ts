import type { EncodedRecords, Kafka, KafkaTransaction, OutgoingMessage, TransactionalProducer } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { LeftOutRows } from '../metrics/table-monitor.ts';
import { TableJournal } from '../position/table-journal.ts';
import { ownerKey, positionTopic, readOwner, readPositionTopic } from '../position/position-topic.ts';
import type { PositionReading } from '../position/shared-reading.ts';
import type { Position } from '../position/position.ts';
import type { Progress } from '../position/explain-wait.ts';

export type PublisherOptions = {
  readonly kafka: Kafka;
  readonly pollerName: string;
  /** `schema.table` */
  readonly table: string;
  readonly topic: string;
  /** This process. */
  readonly owner: string;
  /** True when this process owned the table before and lost the broker: then a newer owner is left in peace. */
  readonly reclaim: boolean;
  readonly signal: AbortSignal;
  /** When the transactional id may be taken, where many tables do so at once. */
  readonly inTurn?: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /** How positions are read once the table is taken over; alone, where it is left out. */
  readonly readPositions?: PositionReading;
  /** Called with what taking over waits for, when it lasts; a shared reading reports its own waits. */
  readonly progress?: Progress;
  /** Called with how many events each commit published to the table's topic. */
  readonly onCommitted?: (events: number) => void;
  /** Called with the rows that a commit's position passes without their event. */
  readonly onLeftOut?: (rows: LeftOutRows) => void;
  /** Called with the keys (as JSON) of the events that each commit published to the table's topic. */
  readonly onKeys?: ((keys: readonly string[]) => void) | undefined;
};

/**
 * The one way in which a table's events get out: events and position in one Kafka transaction. Whoever holds a publisher is the table's
 * owner; an older holder's next commit fails with PRODUCER_FENCED.
 */
export type TablePublisher = AsyncDisposable & {
  readonly journal: TableJournal;
  /** Adds events to the open transaction, or opens one; to the table's topic unless another is named. */
  send(messages: readonly OutgoingMessage[], topic?: string): Promise<void>;
  /** How many partitions the table's topic has. */
  partitions(): Promise<number>;
  /** Adds events that are records of the table's topic already. `keys` are theirs where `wantsKeys`. */
  sendRecords(batches: readonly EncodedRecords[], keys: readonly string[]): Promise<void>;
  /** Whether somebody asks for the keys of what is published. */
  readonly wantsKeys: boolean;
  /** Rows that are left out; reported when the position past them is committed. */
  leaveOut(rows: LeftOutRows): void;
  /**
   * Ends the transaction with the position; what is remembered counts from then on. `last` sends the last events before it: the position is written
   * beside them, which saves the time of a request, and what `last` throws ends the commit.
   */
  commit(position: Position, remembered: readonly (readonly [xid: bigint, key: string])[], last?: () => Promise<void>): Promise<void>;
  /** Drops what is not committed. */
  abort(): Promise<void>;
};

/**
 * Takes the table over and reads its position.
 *
 * @throws CdcError PRODUCER_FENCED when `reclaim` finds another owner; POSITION_INVALID; POSITION_INCOMPLETE; KAFKA_UNREACHABLE
 */
export async function openTablePublisher(options: PublisherOptions): Promise<TablePublisher> {
  const { kafka, pollerName, table, owner, reclaim, signal } = options;
  if (reclaim) {
    if ((await readOwner(kafka, pollerName, table, signal)) !== owner) {
      throw new CdcError(
        'PRODUCER_FENCED',
        `table ${table} of poller ${pollerName} was taken over by a newer process while Kafka was away`,
      );
    }
  }
  const { inTurn = (work) => work() } = options;
  // The reading has no turn: it may wait for a transaction that ends only when another table has had its own.
  const producer = await inTurn(
    () => kafka.transactionalProducer({ transactionalId: `${pollerName}/${table}`, topic: positionTopic(pollerName) }),
    signal,
  );
  try {
    const { readPositions = (until) => readPositionTopic(kafka, pollerName, until, options.progress) } = options;
    const stored = (await readPositions(signal)).get(table);
    if (stored?.invalid) throw stored.invalid;
    if (stored?.owner !== owner) await claim(producer, pollerName, table, owner);
    return createPublisher(producer, new TableJournal(table, stored), options);
  } catch (error) {
    await producer[Symbol.asyncDispose]();
    throw error;
  }
}

/** Leaves a record of who owns the table, for an older owner that lost the broker in the meantime. */
async function claim(producer: TransactionalProducer, pollerName: string, table: string, owner: string): Promise<void> {
  const transaction = await producer.begin();
  await transaction.send(positionTopic(pollerName), [{ key: ownerKey(table), value: owner }]);
  await transaction.commit();
}

function createPublisher(
  producer: TransactionalProducer,
  journal: TableJournal,
  { topic, pollerName, onCommitted, onLeftOut, onKeys }: PublisherOptions,
): TablePublisher {
  let transaction: KafkaTransaction | null = null;
  const positions = positionTopic(pollerName);
  const begin = (): Promise<KafkaTransaction> => producer.begin([{ topic: positions, partition: 0 }]);
  let pending = 0;
  let leftOut: LeftOutRows[] = [];
  let keys: string[] = [];
  return {
    journal,
    async send(messages, other = topic) {
      if (messages.length === 0) return;
      transaction ??= await begin();
      if (other === topic) pending += messages.length;
      if (onKeys !== undefined && other === topic) for (const { partitionKey, key } of messages) keys.push(partitionKey ?? String(key));
      await transaction.send(other, messages);
    },
    partitions: () => producer.partitionsOf(topic),
    async sendRecords(batches, published) {
      if (batches.length === 0) return;
      transaction ??= await begin();
      for (const { count } of batches) pending += count;
      if (onKeys !== undefined) keys.push(...published);
      await transaction.sendRecords(topic, batches);
    },
    wantsKeys: onKeys !== undefined,
    leaveOut(rows) {
      leftOut.push(rows);
    },
    async commit(position, remembered, last) {
      transaction ??= await begin();
      const entry = journal.entry(position, remembered);
      const [events, written] = await Promise.allSettled([last?.(), transaction.send(positions, entry.messages)]);
      // Of the two the events' failure says more: they may be too large.
      if (events.status === 'rejected') throw events.reason;
      if (written.status === 'rejected') throw written.reason;
      await transaction.commit();
      const published = pending;
      transaction = null;
      pending = 0;
      entry.committed();
      onCommitted?.(published);
      onKeys?.(keys);
      keys = [];
      for (const rows of leftOut) onLeftOut?.(rows);
      leftOut = [];
    },
    async abort() {
      const open = transaction;
      transaction = null;
      pending = 0;
      keys = [];
      leftOut = [];
      await open?.abort();
    },
    async [Symbol.asyncDispose]() {
      await producer[Symbol.asyncDispose]();
    },
  };
}
