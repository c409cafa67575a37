import { topicName, type EventDecoder, type TableId } from '#change-events/index.ts';
import type { BatchControl, ConsumedBatch, Kafka } from '#kafka/index.ts';
import { describeError } from '#pipeline/index.ts';
import { randomUUID } from 'node:crypto';
import type { TableShape } from '../canonical/shape.ts';
import { mapStrategies, type PerStrategy, type Strategy } from '../strategy.ts';
import { observe, type ObservedEvent } from './observed-event.ts';
import { TopicProgress } from './topic-progress.ts';

/** Everything seen of one table under one strategy. */
export type ObservedTable = {
  readonly events: readonly ObservedEvent[];
  readonly tombstones: number;
  /** Messages that are no event of the contract: how many, and the first one's error. */
  readonly undecodable: { readonly count: number; readonly first: string | null };
};

export type ObserverOptions = {
  readonly kafka: Kafka;
  readonly decoder: EventDecoder;
  readonly topicPrefixes: PerStrategy<string>;
  readonly tables: readonly TableShape[];
  /** Its topic under the log strategy carries the sentinel. */
  readonly heartbeatTable: TableId;
  /** How far a strategy's model is; what it has not applied yet is observed as well, or nobody would know that it is behind. */
  readonly appliedOffsets: PerStrategy<(topic: string, partition: number) => bigint | null>;
  /** Events kept in memory (about 0.5 kB each); past it they are only counted, and outcomes that need them become inconclusive. */
  readonly maxEvents: number;
};

export type Observer = AsyncDisposable & {
  /** Rejects with what stopped the observation early. */
  readonly closed: Promise<void>;
  /** Whether the log strategy has published the heartbeat of this transaction. */
  sawSentinel(txId: bigint): boolean;
  readonly progress: TopicProgress;
  table(strategy: Strategy, tableId: string): ObservedTable;
  /** Events that came after `maxEvents` and were not kept. */
  readonly dropped: () => number;
};

type Source = { readonly strategy: Strategy; readonly shape: TableShape; readonly record: MutableTable };
type MutableTable = { events: ObservedEvent[]; tombstones: number; undecodable: { count: number; first: string | null } };

/**
 * Watches the topics of all strategies from the positions of their models, as a read_committed consumer of its own group, and stamps each event
 * with this host's clock on arrival.
 *
 * @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE
 */
export async function startObserver(options: ObserverOptions): Promise<Observer> {
  const { kafka, decoder, topicPrefixes, tables } = options;
  const heartbeatTopic = topicName(topicPrefixes.log, options.heartbeatTable);
  const sources = new Map<string, Source>();
  const recorded = mapStrategies(topicPrefixes, (prefix, strategy) => {
    const records = new Map<string, MutableTable>();
    for (const shape of tables) {
      const record: MutableTable = { events: [], tombstones: 0, undecodable: { count: 0, first: null } };
      records.set(shape.id, record);
      sources.set(topicName(prefix, shape), { strategy, shape, record });
    }
    return records;
  });

  const sentinels = new Set<bigint>();
  let kept = 0;
  let dropped = 0;

  const record = ({ shape, record: table }: Source, batch: ConsumedBatch, from: bigint): void => {
    const receivedAt = performance.timeOrigin + performance.now();
    for (const message of batch.messages) {
      if (message.offset < from) continue;
      if (kept >= options.maxEvents) {
        dropped += 1;
        continue;
      }
      try {
        const observation = observe(decoder, shape, batch.topic, batch.partition, message, receivedAt);
        if (observation.kind === 'tombstone') table.tombstones += 1;
        else {
          table.events.push(observation.event);
          kept += 1;
        }
      } catch (error) {
        table.undecodable.count += 1;
        table.undecodable.first ??= describeError(error);
      }
    }
  };

  const noteSentinels = (batch: ConsumedBatch): void => {
    for (const message of batch.messages) {
      const place = { topic: batch.topic, partition: batch.partition, offset: message.offset.toString() };
      const txId = decoder.decodeChangeEvent(message.value, place)?.source.txId;
      if (txId !== undefined && txId !== null) sentinels.add(BigInt(txId));
    }
  };

  const topics = [...sources.keys(), heartbeatTopic];
  const progress = new TopicProgress();
  {
    await using admin = await kafka.admin();
    for (const topic of topics) {
      const source = sources.get(topic);
      for (const { partition, low, high } of await admin.offsetsOf(topic)) {
        const applied = source === undefined ? high : (options.appliedOffsets[source.strategy]?.(topic, partition) ?? low);
        progress.start(topic, partition, applied < high ? applied : high);
      }
    }
  }

  const onBatch = async (batch: ConsumedBatch, control: BatchControl): Promise<void> => {
    const from = progress.next(batch.topic, batch.partition);
    // The group has no committed offsets, so a partition begins with its history (again, after a lost connection): skip it at once.
    if (batch.nextOffset < from) return control.seek(from);
    await decoder.prepare(batch.messages);
    const source = sources.get(batch.topic);
    if (source === undefined) noteSentinels(batch);
    else record(source, batch, from);
    const last = batch.messages.at(-1);
    if (last !== undefined && last.offset >= from) progress.sawMessage(batch.topic, batch.partition, last.offset);
    progress.advance(batch.topic, batch.partition, batch.nextOffset);
  };

  const groupId = `comparison-observer-${randomUUID()}`;
  const assigned = Promise.withResolvers<void>();
  const consumer = await kafka.consumer({
    groupId,
    topics,
    maxWaitMs: 50,
    onBatch,
    onProgress: (topic, partition, nextOffset) => {
      if (nextOffset >= progress.next(topic, partition)) progress.advance(topic, partition, nextOffset);
    },
    onAssigned: () => assigned.resolve(),
  });
  // Also settled by an early end, so that nobody waits for a consumer that died.
  await Promise.race([assigned.promise, consumer.closed]);

  return {
    closed: consumer.closed,
    sawSentinel: (txId) => sentinels.has(txId),
    progress,
    table: (strategy, tableId) => recorded[strategy]?.get(tableId) ?? { events: [], tombstones: 0, undecodable: { count: 0, first: null } },
    dropped: () => dropped,
    async [Symbol.asyncDispose]() {
      await consumer[Symbol.asyncDispose]();
      await using admin = await kafka.admin();
      // The group is ours alone; the broker would forget it in days anyway.
      await admin.deleteGroup(groupId).catch(() => undefined);
    },
  };
}
