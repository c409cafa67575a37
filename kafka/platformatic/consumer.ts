import type { Slots } from './partition-reader.ts';
import { pause } from '#pipeline/index.ts';
import type { Consumer } from '@platformatic/kafka';
import type { ConsumerOptions, GroupConsumer } from '../port.ts';
import { backOffMs, attempts } from './client-options.ts';
import { close, leave } from './close.ts';
import { isPassing, protocolErrors } from './errors.ts';
import { edges, fetchOnce } from './fetch.ts';
import { joinGroup } from './membership.ts';
import { createReader, type PartitionReader } from './partition-reader.ts';

type Context = {
  readonly requestTimeoutMs: number;
  readonly maxBatchBytes: number;
  readonly translate: (error: unknown, doing: string) => unknown;
};

/** What distinguishes a consumer from the other clients of a connection. */
export type OwnOptions = {
  readonly groupId: string;
  readonly requestTimeout: number;
  readonly autocommit: false;
  readonly sessionTimeout: number;
  readonly rebalanceTimeout: number;
  readonly heartbeatInterval: number;
  readonly protocols: { name: string; version: number }[];
};

const rebalanceTimeoutMs = 30_000;

/** How long a fetch may wait while a partition that has been read ahead cannot take part in it, in ms. */
const busyWaitMs = 5;

/**
 * Runs a group member under the port's rules: the library keeps the membership, and this loop fetches for all assigned partitions at once,
 * one run ahead of what onBatch has accepted.
 */
export async function runConsumer(
  create: (own: OwnOptions) => Consumer,
  options: ConsumerOptions,
  { requestTimeoutMs, maxBatchBytes, translate }: Context,
): Promise<GroupConsumer> {
  const doing = `consume as group ${options.groupId}`;
  const sessionTimeout = options.sessionTimeoutMs ?? 10_000;
  const own = {
    groupId: options.groupId,
    requestTimeout: requestTimeoutMs,
    autocommit: false,
    sessionTimeout,
    rebalanceTimeout: rebalanceTimeoutMs,
    heartbeatInterval: Math.ceil(sessionTimeout / 5),
    protocols: [options.assignment === 'sticky' ? { name: 'cooperative-sticky', version: 1 } : { name: 'roundrobin', version: 1 }],
  } satisfies OwnOptions;
  // A join waits until the group has shared again; and a broker answers the requests of a connection one after the other. So the group has
  // connections of its own, and those over which is read are given up as soon as a broker falls silent.
  const consumer = create({ ...own, requestTimeout: rebalanceTimeoutMs + requestTimeoutMs });
  const fetcher = create(own);
  consumer.topics.trackAll(...options.topics);
  const stopping = new AbortController();
  const closed = Promise.withResolvers<void>();
  // Whoever does not look at `closed` must not be killed by its rejection.
  closed.promise.catch(() => undefined);
  const readers = new Map<string, PartitionReader>();
  let changed = Promise.withResolvers<void>();
  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const slots = createSlots(options.concurrency ?? 1);

  const fail = (error: unknown): void => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    wake();
    closed.reject(translate(error, doing));
    void leaveAll();
  };
  const leaveAll = async (): Promise<void> => {
    await Promise.all([leave(consumer), close(fetcher)]);
  };

  const assign = (assignment: Readonly<Record<string, readonly number[]>>): void => {
    const kept = new Set<string>();
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        const name = `${topic}/${partition}`;
        kept.add(name);
        if (readers.has(name)) continue;
        const commit = (offset: bigint): Promise<void> => consumer.commit({ offsets: [{ topic, partition, offset, leaderEpoch: -1 }] });
        readers.set(name, createReader({ topic, partition, options, slots, commit, wake, fail, signal: stopping.signal }));
      }
    }
    for (const [name, reader] of readers) {
      if (kept.has(name)) continue;
      reader.revoke();
      readers.delete(name);
    }
    options.onAssigned?.(assignment);
    wake();
  };

  const fetchLoop = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted;) {
      try {
        await findStarts(fetcher, readers, options.startAt === 'committed' ? consumer : null);
        const ready = [...readers.values()].filter((reader) => reader.fetchFrom !== null && !reader.isAhead);
        if (ready.length === 0) {
          await changed.promise;
          continue;
        }
        const places = ready.map(({ topic, partition, fetchFrom }) => ({ topic, partition, from: fetchFrom ?? 0n }));
        const wait = ready.length < readers.size ? busyWaitMs : (options.maxWaitMs ?? 100);
        const fetched = await fetchOnce(fetcher, places, {
          maxWaitMs: wait,
          maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
          readUncommitted: options.readUncommitted ?? false,
          maxBatchBytes,
        });
        failures = 0;
        for (const { topic, partition, from, run, highWatermark } of fetched) {
          if (run.nextOffset > from || run.unreadable !== null) readers.get(`${topic}/${partition}`)?.offer(from, run, highWatermark);
        }
      } catch (error) {
        if (stopping.signal.aborted) return;
        failures += 1;
        await recover(error, failures);
      }
    }
  };

  const recover = async (error: unknown, failures: number): Promise<void> => {
    const said = protocolErrors(error);
    if (said.includes('OFFSET_OUT_OF_RANGE')) await forgetLostPlaces(fetcher, readers);
    // A topic that is being made, or moved, is unknown for a moment.
    else if (!isPassing(error) && !(said.includes('UNKNOWN_TOPIC_OR_PARTITION') && failures < attempts)) throw error;
    fetcher.clearMetadata();
    await pause(backOffMs(Math.min(failures, attempts)), stopping.signal);
  };

  let membership;
  try {
    membership = await joinGroup(consumer, options, {
      signal: stopping.signal,
      answerMs: requestTimeoutMs,
      onAssigned: assign,
      onFailed: fail,
    });
  } catch (error) {
    stopping.abort();
    await leaveAll();
    throw translate(error, doing);
  }
  const loop = fetchLoop().catch(fail);

  return {
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      wake();
      membership.stop();
      await Promise.allSettled([...readers.values()].map((reader) => reader.idle()));
      await leaveAll();
      await loop;
      closed.resolve();
    },
  };
}

/** Readers that nobody has seeked begin where the options say: with a `member`, at what its group has committed, as far as the log has it. */
async function findStarts(consumer: Consumer, readers: ReadonlyMap<string, PartitionReader>, member: Consumer | null): Promise<void> {
  const lost = [...readers.values()].filter(({ fetchFrom }) => fetchFrom === null);
  if (lost.length === 0) return;
  const topics = [...new Set(lost.map(({ topic }) => topic))];
  const low = await edges(consumer, topics, 'earliest');
  if (member === null) {
    for (const reader of lost) reader.startAt(low(reader.topic, reader.partition));
    return;
  }
  const high = await edges(consumer, topics, 'latest');
  const byTopic = [...Map.groupBy(lost, ({ topic }) => topic)].map(([topic, wanted]) => ({
    topic,
    partitions: wanted.map(({ partition }) => partition),
  }));
  const committed = await member.listCommittedOffsets({ topics: byTopic });
  for (const reader of lost) {
    const { topic, partition } = reader;
    const at = committed.get(topic)?.[partition] ?? -1n;
    reader.startAt(at < low(topic, partition) || at > high(topic, partition) ? low(topic, partition) : at);
  }
}

/** Retention has overtaken a reader, or the topic was made again: it starts like a new one. */
async function forgetLostPlaces(consumer: Consumer, readers: ReadonlyMap<string, PartitionReader>): Promise<void> {
  const topics = [...new Set([...readers.values()].map(({ topic }) => topic))];
  const low = await edges(consumer, topics, 'earliest');
  const high = await edges(consumer, topics, 'latest');
  for (const reader of readers.values()) {
    const at = reader.fetchFrom;
    if (at !== null && (at < low(reader.topic, reader.partition) || at > high(reader.topic, reader.partition))) reader.restart();
  }
}

function createSlots(count: number): Slots {
  const waiting: (() => void)[] = [];
  let free = count;
  return {
    async run(work) {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}
