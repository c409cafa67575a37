import type { Consumer, EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';
import type { BatchControl, ConsumedBatch, ConsumedMessage, ConsumerOptions } from '../port.ts';
import { CdcError } from '#pipeline/index.ts';
import { isKafkaJsError } from './errors.ts';
import { PlainRecord } from './faster-records.ts';
import { fetchedOffset } from './fetched-offset.ts';
import { watchPulse } from './pulse.ts';
import { createRests } from './rests.ts';
import { close, unanswered, type Sockets } from './sockets.ts';

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

/** To leave a group that is sharing anew, kafkajs waits for the end of that: up to a session timeout, if a member has died. */
const leaveGraceMs = 5000;

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
  let over = false;
  const end = (ending: Ending): void => {
    if (over) return;
    over = true;
    ended.resolve(ending);
    // What ended it has been told: the group is left as well as it can be.
    void leave();
  };
  const giveUp = (error: Error): void => {
    sockets.cut(error);
    end({ error, by: 'kafka' });
  };
  // Whatever kafkajs waits for then, and says nothing of.
  const pulse = watchPulse(silenceMs, () => giveUp(new CdcError('KAFKA_UNREACHABLE', `no heartbeat for ${silenceMs / 1000} s`)));
  const leave = async (): Promise<void> => {
    over = true;
    pulse[Symbol.dispose]();
    const left = consumer.disconnect().catch(() => undefined);
    await Promise.allSettled(working);
    await close({ disconnect: () => left }, sockets, leaveGraceMs);
  };

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    pulse.beat();
    if (!over) options.onAssigned?.(payload.memberAssignment);
  });
  consumer.on(consumer.events.HEARTBEAT, () => {
    pulse.beat();
    if (!over) options.onConfirmed?.();
  });
  consumer.on(consumer.events.REQUEST_TIMEOUT, (event) => giveUp(unanswered(event)));
  consumer.on(consumer.events.CRASH, ({ payload }) => end({ error: payload.error, by: 'kafka' }));
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    // While stopping, batches pass by unread: nothing may be concluded from their end.
    if (over) return;
    const { topic, partition, batchSize, firstOffset, lastOffset } = payload;
    const to = BigInt(lastOffset) + 1n;
    options.onProgress?.(topic, partition, to);
    if (batchSize === 0) options.onPassed?.({ topic, partition, from: BigInt(firstOffset), to });
  });

  const rest = createRests(consumer);
  const handle = async (payload: EachBatchPayload): Promise<void> => {
    const { topic, partition } = payload.batch;
    const control: BatchControl = {
      seek: (offset) => consumer.seek({ topic, partition, offset: offset.toString() }),
      rest: (ms) => {
        if (!over) rest(topic, partition, ms);
      },
      heartbeat: () => payload.heartbeat(),
      isCurrent: () => payload.isRunning() && !payload.isStale() && !over,
    };
    try {
      await options.onBatch(toBatch(payload), control);
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
    await consumer.subscribe({ topics: [...options.topics], fromBeginning: options.startAt !== 'latest' });
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
    pulse[Symbol.dispose]();
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
    messages: batch.messages.map(toMessage),
    nextOffset: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(batch.highWatermark),
    fetchedFrom: fetchedOffset(batch),
  };
}

function toMessage(record: KafkaMessage): ConsumedMessage {
  if (record instanceof PlainRecord) return record.message;
  const { offset, key, value, timestamp, headers } = record;
  return { offset: BigInt(offset), key, value, timestamp: Number(timestamp), headers: headers === undefined ? {} : readHeaders(headers) };
}

function readHeaders(headers: IHeaders): Record<string, string> {
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) read[name] = last.toString();
  }
  return read;
}
