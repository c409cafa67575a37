import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { BatchControl, ConsumedBatch, ConsumedMessage, ConsumerOptions, UnreadableBatch } from '../port.ts';
import { CdcError } from '#pipeline/index.ts';
import { isKafkaJsError } from './errors.ts';
import { ReadRecord, UnreadableRecord } from './patches/fetch-answer.ts';
import { fetchedOffset } from './patches/fetched-offset.ts';
import { builtOtherwise } from './patches/internals.ts';
import { watchSilence } from './silence-watch.ts';
import { createPauses } from './partition-pauses.ts';
import { close, unanswered, type Sockets } from './patches/sockets.ts';

/** A kafkajs consumer that was never started, with sockets of its own. */
export type KafkaJsMember = {
  readonly consumer: Consumer;
  readonly sockets: Sockets;
  /** Without a heartbeat that the broker took, or a join, for this long the member is given up: the broker has done so long ago. */
  readonly silenceMs: number;
};

/** A kafkajs consumer from its first join on; its end may have come already. */
export type Life = {
  /** Resolves when kafkajs has given up, with why; or when onBatch threw. Never after `leave`. */
  readonly ended: Promise<Ending>;
  /** Leaves the group, when onBatch is not at work any more. */
  leave(): Promise<void>;
};

export type Ending = { readonly error: unknown; readonly by: 'kafka' | 'handler' };

/** To leave a group that is sharing again, kafkajs waits for the end of that: up to a session timeout, if a member has died. */
const leaveGraceMs = 5000;

/** How long a partition pauses before a batch that cannot be read, in ms. */
const unreadablePauseMs = 1000;

/**
 * Starts a consumer and resolves when it has joined its group, or has failed to (`ended`). It is never started again: kafkajs's own restart and its disconnect do not know of
 * each other, and a consumer that is disconnected while it starts lives on, as a member of the group whose partitions nobody reads.
 *
 * @throws what kafkajs threw when it could not connect; the signal's reason when it was aborted before the join
 */
export async function startMember(
  { consumer, sockets, silenceMs }: KafkaJsMember,
  options: ConsumerOptions,
  signal: AbortSignal,
): Promise<Life> {
  const ended = Promise.withResolvers<Ending>();
  const working = new Set<Promise<void>>();
  /** Partitions whose batch could not be read: its end is no progress. */
  const unreadablePartitions = new Set<string>();
  let over = false;
  const end = (ending: Ending): void => {
    if (over) return;
    over = true;
    ended.resolve(ending);
    // The error that ended it has been reported: the group is left as well as it can be.
    void leave();
  };
  const giveUp = (error: Error): void => {
    sockets.cut(error);
    end({ error, by: 'kafka' });
  };
  // Whatever kafkajs waits for then, and says nothing of.
  const silence = watchSilence(silenceMs, () => giveUp(new CdcError('KAFKA_UNREACHABLE', `no heartbeat for ${silenceMs / 1000} s`)));
  const leave = async (): Promise<void> => {
    over = true;
    silence[Symbol.dispose]();
    const left = consumer.disconnect().catch(() => undefined);
    await Promise.allSettled(working);
    await close({ disconnect: () => left }, sockets, leaveGraceMs);
  };

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    silence.beat();
    if (!over) options.onAssigned?.(payload.memberAssignment);
  });
  consumer.on(consumer.events.HEARTBEAT, () => {
    silence.beat();
    if (!over) options.onConfirmed?.();
  });
  consumer.on(consumer.events.REQUEST_TIMEOUT, (event) => giveUp(unanswered(event)));
  consumer.on(consumer.events.CRASH, ({ payload }) => end({ error: payload.error, by: 'kafka' }));
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    // While stopping, batches pass by unread: nothing may be concluded from their end.
    if (over) return;
    const { topic, partition, batchSize, firstOffset, lastOffset } = payload;
    if (unreadablePartitions.delete(`${topic}/${partition}`)) return;
    const to = BigInt(lastOffset) + 1n;
    options.onProgress?.(topic, partition, to);
    if (batchSize > 0) return;
    const commit = async (offset: bigint): Promise<void> => consumer.commitOffsets([{ topic, partition, offset: offset.toString() }]);
    options.onPassed?.({ topic, partition, from: BigInt(firstOffset), to }, { commit, isCurrent: () => !over });
  });

  const pause = createPauses(consumer);
  const handle = async (payload: EachBatchPayload): Promise<void> => {
    const { topic, partition } = payload.batch;
    const control: BatchControl = {
      seek: (offset) => consumer.seek({ topic, partition, offset: offset.toString() }),
      pause: (ms) => {
        if (!over) pause(topic, partition, ms);
      },
      heartbeat: () => payload.heartbeat(),
      isCurrent: () => payload.isRunning() && !payload.isStale() && !over,
      commit: (offset) => payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: offset.toString() }] }] }),
    };
    try {
      const unreadable = unreadableOf(payload);
      if (unreadable === null) return await options.onBatch(toBatch(payload), control);
      if (options.onUnreadable === undefined) throw unreadable.error;
      unreadablePartitions.add(`${topic}/${partition}`);
      control.pause(unreadablePauseMs);
      // kafkajs goes on behind the batch's placeholder, unless it is sent elsewhere; and once it is, the batch is none of this member's any more.
      let wanted = unreadable.offset;
      const seek = (offset: bigint): void => {
        wanted = offset;
      };
      try {
        await options.onUnreadable(unreadable, { ...control, seek });
      } finally {
        if (!over) control.seek(wanted);
      }
    } catch (error) {
      // A rebalance that a heartbeat met is kafkajs's to handle: it joins again and the batch comes back to whoever owns it.
      if (isKafkaJsError(error)) throw error;
      end({ error, by: 'handler' });
    }
  };
  const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
    if (over) return;
    const work = handle(payload);
    working.add(work);
    try {
      await work;
    } finally {
      working.delete(work);
    }
  };

  const start = async (): Promise<void> => {
    await consumer.connect();
    await consumer.subscribe({ topics: [...options.topics], fromBeginning: true });
    // Resolves also when the join has failed: then `ended` says so.
    await consumer.run({ autoCommit: false, partitionsConsumedConcurrently: options.concurrency ?? 1, eachBatch });
  };
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([sockets.whileOpen(start()), aborted.promise]);
  } catch (error) {
    over = true;
    silence[Symbol.dispose]();
    // Not disconnected: kafkajs would go on starting. Without sockets it gives up.
    sockets.cut();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    aborted.promise.catch(() => undefined);
  }
  return { ended: ended.promise, leave };
}

function toBatch({ batch }: EachBatchPayload): ConsumedBatch {
  return {
    topic: batch.topic,
    partition: batch.partition,
    messages: messagesOf(batch.messages),
    nextOffset: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(batch.highWatermark),
    fetchedFrom: fetchedOffset(batch),
  };
}

/** kafkajs has left out what is no message, and knows its records by another type. */
function messagesOf(records: readonly unknown[]): readonly ConsumedMessage[] {
  const messages: ConsumedMessage[] = [];
  for (const record of records) {
    if (!(record instanceof ReadRecord) || record.message === null) throw builtOtherwise('fetched records');
    messages.push(record.message);
  }
  return messages;
}

function unreadableOf({ batch: { messages } }: EachBatchPayload): UnreadableBatch | null {
  const first: unknown = messages[0];
  return first instanceof UnreadableRecord ? first.unreadable : null;
}
