import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { createApplier } from './applier.ts';
import type { ModelSchema } from './apply-transaction.ts';
import type { Mirror } from './mirror.ts';
import { partitionReader } from './partition-reader.ts';
import { retrying, unlessAborted } from './retry.ts';
import { mirrorsByTopic, waitForNewTopics } from './topics.ts';

export type ModelRun = ModelSchema & {
  readonly topicPrefix: string;
  readonly groupId: string;
  readonly mirrors: readonly Mirror[];
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  readonly logger: Logger;
};

/** Partitions whose events are decoded and applied together. */
const concurrency = 16;

/**
 * Consumes one model's topics until `signal` is aborted. Starts with the topics that exist and joins again when another appears; outlives
 * a Kafka or a database that is away for a while.
 *
 * @throws CdcError for what does not pass by itself: READ_MODEL_EVENT_INAPPLICABLE, EVENT_UNDECODABLE, READ_MODEL_EVENTS_LOST …
 */
export async function runModel(run: ModelRun, signal: AbortSignal): Promise<void> {
  const { admin, logger } = run;
  const topics = mirrorsByTopic(run.topicPrefix, run.mirrors);
  let present: readonly string[] = [];
  try {
    while (!signal.aborted) {
      if (present.length === 0) present = await waitForNewTopics(admin, [...topics.keys()], [], logger, signal);
      present = await consumeUntilMoreTopics(run, topics, present, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** One membership of the group. Gives the topics for the next one: none when they must be looked up again. */
async function consumeUntilMoreTopics(
  run: ModelRun,
  mirrors: ReadonlyMap<string, Mirror>,
  present: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { schema, kafka, admin, pool, logger } = run;
  const ended = new AbortController();
  const membership = AbortSignal.any([signal, ended.signal]);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  try {
    await using consumer = await retrying(`joining group ${run.groupId}`, logger, signal, () =>
      kafka.consumer({
        groupId: run.groupId,
        topics: present,
        concurrency,
        ...partitionReader({
          schema,
          pool,
          admin,
          applier: createApplier(pool, run, logger, membership),
          mirrors,
          logger,
          signal: membership,
          onFailure: failed.reject,
        }),
      }),
    );
    logger.info({ schema, topics: present, group: run.groupId }, 'read model consumes');
    const more = present.length === mirrors.size ? [] : [waitForNewTopics(admin, [...mirrors.keys()], present, logger, membership)];
    try {
      return await unlessAborted(Promise.race([closedEarly(consumer.closed), failed.promise, ...more]), signal);
    } finally {
      // Before the consumer is disposed: what waits for the database lets go, and its batches count as not applied.
      ended.abort();
      for (const promise of more) promise.catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof CdcError) || (error.code !== 'KAFKA_UNREACHABLE' && error.code !== 'TOPIC_MISSING')) throw error;
    logger.warn({ schema, reason: error.message }, 'the read model lost Kafka; joining again');
    return [];
  }
}

/** A consumer ends by failing or by being disposed; nobody else disposes ours. */
async function closedEarly(closed: Promise<void>): Promise<never> {
  await closed;
  throw new Error('the consumer was closed by somebody else');
}
