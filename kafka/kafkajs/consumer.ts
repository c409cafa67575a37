import type { Consumer, EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';
import type { BatchControl, ConsumedBatch, ConsumedMessage, ConsumerOptions, GroupConsumer } from '../port.ts';
import { isKafkaJsError } from './errors.ts';
import type { OwnClient } from './own-client.ts';

type Translate = (error: unknown, doing: string) => unknown;

/**
 * Runs a kafkajs consumer under the port's rules. kafkajs itself restarts after what it calls retriable (broker lost, rebalance); what
 * `onBatch` throws stops the consumer for good, at once and without accepting the batch.
 */
export async function runConsumer(
  consumer: Consumer,
  client: OwnClient,
  options: ConsumerOptions,
  translate: Translate,
): Promise<GroupConsumer> {
  const doing = `consume as group ${options.groupId}`;
  const closed = Promise.withResolvers<void>();
  // Whoever does not look at `closed` must not be killed by its rejection.
  closed.promise.catch(() => undefined);
  let stopping = false;

  const fail = (error: unknown): void => {
    if (stopping) return;
    stopping = true;
    closed.reject(translate(error, doing));
    void leave(consumer, client);
  };

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (!stopping) options.onAssigned?.(payload.memberAssignment);
  });
  consumer.on(consumer.events.HEARTBEAT, () => options.onConfirmed?.());
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) fail(payload.error);
  });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    // While stopping, batches pass by unread: nothing may be concluded from their end.
    if (!stopping) options.onProgress?.(payload.topic, payload.partition, BigInt(payload.lastOffset) + 1n);
  });

  const resting = new Map<string, NodeJS.Timeout>();
  const rest = (topic: string, partition: number, ms: number): void => {
    if (stopping) return;
    const place = [{ topic, partitions: [partition] }];
    const name = `${topic}/${partition}`;
    consumer.pause(place);
    clearTimeout(resting.get(name));
    const resume = (): void => {
      // kafkajs knows no pauses of its own after it has started a crashed consumer again, and none while it does.
      if (consumer.paused().some((one) => one.topic === topic)) consumer.resume(place);
    };
    // The consumer's own timers keep the process; this one must not outlive them.
    resting.set(name, setTimeout(resume, ms).unref());
  };

  const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
    if (stopping) return;
    const { topic, partition } = payload.batch;
    const control: BatchControl = {
      seek: (offset) => consumer.seek({ topic, partition, offset: offset.toString() }),
      rest: (ms) => rest(topic, partition, ms),
      heartbeat: () => payload.heartbeat(),
      isCurrent: () => payload.isRunning() && !payload.isStale() && !stopping,
    };
    try {
      await options.onBatch(toBatch(payload), control);
    } catch (error) {
      // A rebalance that a heartbeat met is kafkajs's to handle: it joins again and the batch comes back to whoever owns it.
      if (isKafkaJsError(error)) throw error;
      fail(error);
    }
  };

  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [...options.topics], fromBeginning: options.startAt !== 'latest' });
    await consumer.run({ autoCommit: false, partitionsConsumedConcurrently: options.concurrency ?? 1, eachBatch });
  } catch (error) {
    stopping = true;
    await leave(consumer, client);
    throw translate(error, doing);
  }

  return {
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await leave(consumer, client);
      closed.resolve();
    },
  };
}

/**
 * Leaves the group as well as it can be left. kafkajs starts a crashed consumer again after a pause, and ends one that joins in name only:
 * closing its client is what makes sure of the end.
 */
async function leave(consumer: Consumer, client: OwnClient): Promise<void> {
  try {
    await consumer.disconnect();
  } catch {
    // The broker takes the member out when its session times out.
  } finally {
    client.close();
  }
}

function toBatch({ batch }: EachBatchPayload): ConsumedBatch {
  return {
    topic: batch.topic,
    partition: batch.partition,
    messages: batch.messages.map(toMessage),
    nextOffset: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(batch.highWatermark),
  };
}

function toMessage({ offset, key, value, timestamp, headers }: KafkaMessage): ConsumedMessage {
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
