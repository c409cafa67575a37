import { connectKafka } from '#kafka/index.ts';
import type { Logger, PipelineConfig } from '#pipeline/index.ts';
import { openPool } from './database.ts';
import { requireMigrated } from './migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './model-config.ts';
import { parkedCounts } from './parking/parked-events.ts';
import { appliedOffsets } from './apply/positions.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { readVersion, type Stop } from './rebuild/versions.ts';
import { haltedPartitions, type Halt } from './faults/halts.ts';
import { projectionFaults, type ProjectionFault } from './views/projection-faults.ts';

/** How far one partition of one model is behind Kafka. Offsets count control records too, so `lag` is an upper bound of events. */
export type PartitionStatus = {
  readonly model: string;
  readonly topic: string;
  readonly partition: number;
  readonly appliedOffset: bigint;
  /** Null when the topic does not exist (any more). */
  readonly endOffset: bigint | null;
  readonly lag: bigint | null;
  /** When the position last moved, as Postgres prints it. */
  readonly appliedAt: string;
  /** Events below `appliedOffset` that are parked, so not in the tables. */
  readonly parked: number;
  /** What becomes visible at once: the changes of a row, or of a source transaction. */
  readonly consistency: 'row' | 'transaction';
  /** With consistency `transaction`: source transactions of the model that were seen in parts after all. */
  readonly tornTransactions: bigint;
  /** Why the partition halts: see docs/read-model.md. Null when it does not. */
  readonly halted: Omit<Halt, keyof TopicPartition> | null;
  /** The model's version that serves. */
  readonly version: number;
  /** Why the process that applied the model has given it up; null when it has not. */
  readonly stopped: Stop | null;
};

/**
 * The state of each model's partitions that have been claimed once.
 *
 * @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, KAFKA_UNREACHABLE
 */
export async function readModelStatus(
  config: PipelineConfig,
  models: readonly string[] | undefined,
  logger: Logger,
): Promise<readonly PartitionStatus[]> {
  const readModel = requireReadModel(config);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    await using admin = await connectKafka(config.kafka, logger).admin();
    const existing = new Set(await admin.listTopics());
    const status: PartitionStatus[] = [];
    for (const model of selectModels(readModel, models)) {
      const { consistency } = requireModel(readModel, model);
      await requireMigrated(pool, model);
      const applied = await appliedOffsets(pool, model);
      const parked = await parkedCounts(pool, model);
      const halts = new Map((await haltedPartitions(pool, model)).map(({ topic, partition, ...halt }) => [`${topic}/${partition}`, halt]));
      const { version, tornTransactions, stopped } = await readVersion(pool, model);
      const topics = [...new Set(applied.map(({ topic }) => topic))].filter((topic) => existing.has(topic));
      const ends = new Map<string, bigint>();
      for (const topic of topics) {
        for (const { partition, high } of await admin.offsetsOf(topic)) ends.set(`${topic}/${partition}`, high);
      }
      for (const { topic, partition, nextOffset, updatedAt } of applied) {
        const place = `${topic}/${partition}`;
        const endOffset = ends.get(place) ?? null;
        const lag = endOffset === null ? null : endOffset - nextOffset;
        const progress = { appliedOffset: nextOffset, endOffset, lag, appliedAt: updatedAt };
        const quality = {
          parked: parked.get(place) ?? 0,
          halted: halts.get(place) ?? null,
          consistency,
          tornTransactions,
          version,
          stopped,
        };
        status.push({ model, topic, partition, ...progress, ...quality });
      }
    }
    return status;
  } finally {
    await pool.end();
  }
}

/** The views of each model that halt, and why. @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED */
export async function standingViews(
  config: PipelineConfig,
  models: readonly string[] | undefined,
  logger: Logger,
): Promise<ReadonlyMap<string, readonly ProjectionFault[]>> {
  const readModel = requireReadModel(config);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    const found = new Map<string, readonly ProjectionFault[]>();
    for (const model of selectModels(readModel, models)) {
      await requireMigrated(pool, model);
      found.set(model, await projectionFaults(pool, model));
    }
    return found;
  } finally {
    await pool.end();
  }
}

/** The models whose process has given them up, and why. @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED */
export async function stoppedModels(
  config: PipelineConfig,
  models: readonly string[] | undefined,
  logger: Logger,
): Promise<ReadonlyMap<string, Stop>> {
  const readModel = requireReadModel(config);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    const found = new Map<string, Stop>();
    for (const model of selectModels(readModel, models)) {
      const { stopped } = await readVersion(pool, model);
      if (stopped !== null) found.set(model, stopped);
    }
    return found;
  } finally {
    await pool.end();
  }
}
