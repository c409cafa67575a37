import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import { CdcError, pause, unlessAborted, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { createBatchScheduler } from './apply/batch-scheduler.ts';
import type { TargetModel } from './apply/write-changes.ts';
import type { Mirror } from './mirrors/mirror.ts';
import type { ModelState } from './monitoring/model-states.ts';
import { openMirrors, type Mirrors } from './mirrors/mirrors.ts';
import { PartitionReader, type Reader, type ReaderContext } from './consume/partition-reader.ts';
import { retrying } from './retry.ts';
import { createStopReporter } from './faults/stops.ts';
import { schemaWaits } from './consume/schema-waits.ts';
import { waitForNewTopics } from './consume/topics.ts';
import { boundaryTopic } from './transactions/boundary.ts';
import { holdAlone } from './transactions/hold-alone.ts';
import { TransactionReader } from './transactions/transaction-reader.ts';

export type ModelRun = TargetModel & {
  /** Of `projections`, as the model's version has it. */
  readonly fingerprint: string;
  readonly topicPrefix: string;
  readonly groupId: string;
  readonly mirrors: readonly Mirror[];
  readonly consistency: 'row' | 'transaction';
  /** Columns of the source, as `schema.table.column`, that the mirrors go without. */
  readonly ignoreColumns?: readonly string[];
  /** With consistency `transaction`: memory for events that wait for others of their transaction. */
  readonly bufferBytes: number;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  readonly logger: Logger;
  /** Hears what the run is doing. */
  readonly onState?: (state: ModelState) => void;
};

/** A model that could not go on begins again after so long. */
const tryAgainMs = 2000;

/** Partitions whose events are decoded and applied together. */
const concurrency = 16;

/** Compressed; what a fetch holds is in memory as a whole, and events often compress to a tenth. */
const fetchBounds = { maxBytesPerPartition: 512 * 1024, maxBytes: 2 * 1024 * 1024 };

/**
 * Consumes one model's topics until `signal` is aborted. Starts with the topics that exist and joins again when another appears; outlives
 * a Kafka or a database that is away for a while, and whatever is wrong with single tables. An unknown error is reported, and the
 * model begins again.
 *
 * @throws CdcError for what concerns the whole model: READ_MODEL_PROJECTIONS_CHANGED, a Kafka that refuses; with `onPoison: stop`
 *   READ_MODEL_EVENT_INAPPLICABLE, EVENT_UNDECODABLE …
 */
export async function runModel(run: ModelRun, signal: AbortSignal): Promise<void> {
  const { admin, logger } = run;
  const mirrors = openMirrors(run.pool, run.topicPrefix, run.mirrors, logger, signal, run.ignoreColumns);
  const stops = createStopReporter(run.pool, run.schema, logger);
  let present: readonly string[] = [];
  try {
    while (!signal.aborted) {
      // Whoever puts transactions together must read all partitions: of several processes one does, the others wait.
      if (run.consistency === 'transaction') run.onState?.('waiting to take over');
      await using alone = run.consistency === 'transaction' ? await holdAlone(run.pool, run.schema, logger, signal) : null;
      if (present.length === 0) {
        run.onState?.('waiting for topics');
        present = await waitForNewTopics(admin, topicsOf(run, mirrors), [], logger, signal);
      }
      run.onState?.('joining');
      const held = alone === null ? signal : AbortSignal.any([signal, alone.lost]);
      present = await consumeUntilMoreTopics(run, mirrors, present, held).catch(async (error: unknown) => {
        if (signal.aborted) throw error;
        if (held.aborted)
          logger.warn({ schema: run.schema }, 'the connection that made this process the only consumer was lost; beginning again');
        else {
          // What is of the catalogue and of no partition is for whoever started the model.
          if (error instanceof CdcError) throw error;
          await stops.report(error);
          await pause(tryAgainMs, signal);
        }
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
    fingerprint: run.fingerprint,
    pool,
    admin,
    scheduler: createBatchScheduler(pool, run, logger, membership),
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
        ...handlersOf(
          run.consistency === 'row'
            ? new PartitionReader(context)
            : new TransactionReader({
                ...context,
                boundaryTopic: boundaryTopic(run.topicPrefix),
                bufferBytes: run.bufferBytes,
                onStale: () => failed.reject(new PositionsMovedError()),
              }),
        ),
      });
      // Whoever waited for it has let go meanwhile: nobody else would end it.
      if (signal.aborted) await joined[Symbol.asyncDispose]();
      return joined;
    });
    logger.info({ schema, topics: present, group: run.groupId }, 'read model consumes');
    run.onState?.('consuming');
    const more = present.length === topics.length ? [] : [waitForNewTopics(admin, topics, present, logger, membership)];
    try {
      return await unlessAborted(Promise.race([closedEarly(consumer.closed), failed.promise, ...more]), signal);
    } finally {
      run.onState?.('joining');
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

function handlersOf(reader: Reader): Reader {
  return {
    onAssigned: (assignment) => reader.onAssigned(assignment),
    onBatch: (batch, control) => reader.onBatch(batch, control),
    onUnreadable: (batch, control) => reader.onUnreadable(batch, control),
    onPassed: (passed) => reader.onPassed(passed),
  };
}

function topicsOf({ consistency, topicPrefix }: ModelRun, { topics }: Mirrors): readonly string[] {
  return consistency === 'row' ? topics : [...topics, boundaryTopic(topicPrefix)];
}

/** Positions were moved by somebody else; to join again reads them again. */
class PositionsMovedError extends Error {
  override readonly name = 'PositionsMovedError';
}

/** A consumer ends by failing or by being disposed; nobody else disposes ours. */
async function closedEarly(closed: Promise<void>): Promise<never> {
  await closed;
  throw new Error('the consumer was closed by somebody else');
}
