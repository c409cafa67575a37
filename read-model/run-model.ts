import type { Kafka, KafkaAdmin } from '#kafka/index.ts';
import { CdcError, pause, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { createBatchScheduler } from './apply/batch-scheduler.ts';
import type { TargetModel } from './apply/write-changes.ts';
import type { Mirror } from './mirrors/mirror.ts';
import type { ModelState } from './monitoring/model-states.ts';
import { openMirrors, type Mirrors } from './mirrors/mirrors.ts';
import { mirrorSink, type MirrorContext } from './apply/mirror-sink.ts';
import { joinUntilMoreTopics, PositionsMovedError } from './consume/membership.ts';
import { PartitionReader } from './consume/partition-reader.ts';
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
  return joinUntilMoreTopics(
    {
      name: schema,
      groupId: run.groupId,
      topics: topicsOf(run, mirrors),
      concurrency,
      kafka,
      admin,
      logger,
      onJoined: (joined) => run.onState?.(joined ? 'consuming' : 'joining'),
      reader: (membership, onFailure) => {
        const context: MirrorContext = {
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
          onFailure,
        };
        if (run.consistency === 'row') return new PartitionReader(context, mirrorSink(context));
        return new TransactionReader({
          ...context,
          boundaryTopic: boundaryTopic(run.topicPrefix),
          bufferBytes: run.bufferBytes,
          onStale: () => onFailure(new PositionsMovedError()),
        });
      },
    },
    present,
    signal,
  );
}

function topicsOf({ consistency, topicPrefix }: ModelRun, { topics }: Mirrors): readonly string[] {
  return consistency === 'row' ? topics : [...topics, boundaryTopic(topicPrefix)];
}
