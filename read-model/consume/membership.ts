import type { GroupConsumer, Kafka, KafkaAdmin } from '#kafka/index.ts';
import { atMost, CdcError, unlessAborted, type Logger } from '#pipeline/index.ts';
import { retrying } from '../retry.ts';
import type { Reader } from './partition-reader.ts';
import { waitForNewTopics } from './topics.ts';

/** Compressed; what a fetch holds is in memory as a whole, and events often compress to a tenth. */
const fetchBounds = { maxBytesPerPartition: 512 * 1024, maxBytes: 2 * 1024 * 1024 };

export type MembershipOptions = {
  /** Whose it is, for the log. */
  readonly name: string;
  readonly groupId: string;
  /** All that are wanted; those that exist are consumed. */
  readonly topics: readonly string[];
  /** Partitions whose events are decoded and applied together. */
  readonly concurrency: number;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly logger: Logger;
  /** Makes what reads. `onFailure` ends the membership with an error; `signal` is aborted when it ends. */
  readonly reader: (signal: AbortSignal, onFailure: (error: unknown) => void) => Reader;
  /** Where partitions begin that the reader does not place itself. Default `beginning`. */
  readonly startAt?: 'beginning' | 'committed';
  /** Hears that the group was joined, and that the membership ends. */
  readonly onJoined: (joined: boolean) => void;
};

/** How long whoever ends a membership waits for a join that is under way, in ms. Kafka lets the first member of a group wait 3 s for others. */
const joinGraceMs = 5000;

/** Positions were moved by somebody else; to join again reads them again. */
export class PositionsMovedError extends Error {
  override readonly name = 'PositionsMovedError';
}

/**
 * One membership of a group, of those of its topics that exist (`present`), until another one appears or Kafka is lost. Gives the topics for the next one:
 * none when they must be looked up again. A join that is under way when `signal` is aborted is left before this ends, if it comes within 5 s: a member
 * that nobody waits for would bring back a group that was deleted meanwhile.
 *
 * @throws what ended it, but for a Kafka that is away; the signal's reason
 */
export async function joinUntilMoreTopics(
  { name, groupId, topics, concurrency, kafka, admin, logger, reader, startAt = 'beginning', onJoined }: MembershipOptions,
  present: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const ended = new AbortController();
  const membership = AbortSignal.any([signal, ended.signal]);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const join = async (): Promise<GroupConsumer> => {
    const joined = await kafka.consumer({
      groupId,
      topics: present,
      concurrency,
      startAt,
      ...fetchBounds,
      ...handlersOf(reader(membership, failed.reject)),
    });
    // Whoever waited for it has let go meanwhile: nobody else would end it.
    if (signal.aborted) await joined[Symbol.asyncDispose]();
    return joined;
  };
  let joining: Promise<unknown> = Promise.resolve();
  try {
    await using consumer = await retrying(`joining group ${groupId}`, logger, signal, () => {
      const joined = join();
      joining = joined;
      return joined;
    });
    logger.info({ schema: name, topics: present, group: groupId }, `${name} consumes`);
    onJoined(true);
    const more = present.length === topics.length ? [] : [waitForNewTopics(admin, topics, present, logger, membership)];
    try {
      return await unlessAborted(Promise.race([closedEarly(consumer.closed), failed.promise, ...more]), signal);
    } finally {
      onJoined(false);
      // Before the consumer is disposed: what waits for the database lets go, and its batches count as not applied.
      ended.abort();
      for (const promise of more) promise.catch(() => undefined);
    }
  } catch (error) {
    if (signal.aborted) await atMost(joinGraceMs, joining);
    if (error instanceof PositionsMovedError) return present;
    if (!(error instanceof CdcError) || (error.code !== 'KAFKA_UNREACHABLE' && error.code !== 'TOPIC_MISSING')) throw error;
    logger.warn({ schema: name, reason: error.message }, `${name} lost Kafka; joining again`);
    return [];
  }
}

function handlersOf(reader: Reader): Reader {
  return {
    onAssigned: (assignment) => reader.onAssigned(assignment),
    onBatch: (batch, control) => reader.onBatch(batch, control),
    onUnreadable: (batch, control) => reader.onUnreadable(batch, control),
    onPassed: (passed, control) => reader.onPassed(passed, control),
  };
}

/** A consumer ends by failing or by being disposed; nobody else disposes ours. */
async function closedEarly(closed: Promise<void>): Promise<never> {
  await closed;
  throw new Error('the consumer was closed by somebody else');
}
