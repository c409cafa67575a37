import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { createApplier } from './applier.ts';
import type { ModelSchema } from './apply-changes.ts';
import type { Mirror } from './mirror.ts';
import { openMirrors, type Mirrors } from './mirrors.ts';
import { partitionReader, type ReaderContext } from './partition-reader.ts';
import { retrying, unlessAborted } from './retry.ts';
import { schemaWaits } from './schema/schema-waits.ts';
import { waitForNewTopics } from './topics.ts';
import { boundaryTopic } from './transactions/boundary.ts';
import { holdAlone } from './transactions/hold-alone.ts';
import { transactionReader } from './transactions/transaction-reader.ts';

export type ModelRun = ModelSchema & {
  readonly topicPrefix: string;
  readonly groupId: string;
  readonly mirrors: readonly Mirror[];
  readonly consistency: 'row' | 'transaction';
  /** With consistency `transaction`: memory for events that wait for the rest of theirs. */
  readonly bufferBytes: number;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  readonly logger: Logger;
};

/** Partitions whose events are decoded and applied together. */
const concurrency = 16;

/** Compressed; what a fetch holds is in memory as a whole, and events often compress to a tenth. */
const fetchBounds = { maxBytesPerPartition: 512 * 1024, maxBytes: 2 * 1024 * 1024 };

/**
 * Consumes one model's topics until `signal` is aborted. Starts with the topics that exist and joins again when another appears; outlives
 * a Kafka or a database that is away for a while.
 *
 * @throws CdcError for what does not pass by itself: READ_MODEL_EVENT_INAPPLICABLE, EVENT_UNDECODABLE, READ_MODEL_EVENTS_LOST …
 */
export async function runModel(run: ModelRun, signal: AbortSignal): Promise<void> {
  const { admin, logger } = run;
  const mirrors = openMirrors(run.pool, run.topicPrefix, run.mirrors, logger, signal);
  let present: readonly string[] = [];
  try {
    while (!signal.aborted) {
      // Whoever puts transactions together must read all partitions: of several processes one does, the others stand by.
      await using alone = run.consistency === 'transaction' ? await holdAlone(run.pool, run.schema, logger, signal) : null;
      if (present.length === 0) present = await waitForNewTopics(admin, topicsOf(run, mirrors), [], logger, signal);
      const held = alone === null ? signal : AbortSignal.any([signal, alone.lost]);
      present = await consumeUntilMoreTopics(run, mirrors, present, held).catch((error: unknown) => {
        if (signal.aborted || !held.aborted) throw error;
        logger.warn({ schema: run.schema }, 'the connection that made this process the only consumer was lost; beginning again');
        return [];
      });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** One membership of the group. Gives the topics for the next one: none when they must be looked up again. */
async function consumeUntilMoreTopics(
  run: ModelRun,
  mirrors: Mirrors,
  present: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { schema, decoder, kafka, admin, pool, logger } = run;
  const ended = new AbortController();
  const membership = AbortSignal.any([signal, ended.signal]);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const topics = topicsOf(run, mirrors);
  const context: ReaderContext = {
    schema,
    pool,
    admin,
    applier: createApplier(pool, run, logger, membership),
    mirrors,
    decoder,
    schemas: schemaWaits({ pool, schema, decoder, logger, signal: membership }),
    onPoison: run.parkMost === undefined ? 'stop' : 'park',
    mismatches: run.mismatches ?? 'park',
    logger,
    signal: membership,
    onFailure: failed.reject,
  };
  try {
    await using consumer = await retrying(`joining group ${run.groupId}`, logger, signal, async () => {
      const joined = await kafka.consumer({
        groupId: run.groupId,
        topics: present,
        concurrency,
        ...fetchBounds,
        ...(run.consistency === 'row'
          ? partitionReader(context)
          : transactionReader({
              ...context,
              boundaryTopic: boundaryTopic(run.topicPrefix),
              bufferBytes: run.bufferBytes,
              onStale: () => failed.reject(new PositionsMovedError()),
            })),
      });
      // Whoever waited for it has let go meanwhile: nobody else would end it.
      if (signal.aborted) await joined[Symbol.asyncDispose]();
      return joined;
    });
    logger.info({ schema, topics: present, group: run.groupId }, 'read model consumes');
    const more = present.length === topics.length ? [] : [waitForNewTopics(admin, topics, present, logger, membership)];
    try {
      return await unlessAborted(Promise.race([closedEarly(consumer.closed), failed.promise, ...more]), signal);
    } finally {
      // Before the consumer is disposed: what waits for the database lets go, and its batches count as not applied.
      ended.abort();
      for (const promise of more) promise.catch(() => undefined);
    }
  } catch (error) {
    if (error instanceof PositionsMovedError) return present;
    if (!(error instanceof CdcError) || (error.code !== 'KAFKA_UNREACHABLE' && error.code !== 'TOPIC_MISSING')) throw error;
    logger.warn({ schema, reason: error.message }, 'the read model lost Kafka; joining again');
    return [];
  }
}

function topicsOf({ consistency, topicPrefix }: ModelRun, { topics }: Mirrors): readonly string[] {
  return consistency === 'row' ? topics : [...topics, boundaryTopic(topicPrefix)];
}

/** Positions were moved by somebody else; to join again reads them anew. */
class PositionsMovedError extends Error {
  override readonly name = 'PositionsMovedError';
}

/** A consumer ends by failing or by being disposed; nobody else disposes ours. */
async function closedEarly(closed: Promise<void>): Promise<never> {
  await closed;
  throw new Error('the consumer was closed by somebody else');
}
