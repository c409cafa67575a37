import { connectKafka } from '#kafka/index.ts';
import type { Logger, PipelineConfig } from '#pipeline/index.ts';
import { openPool } from './database.ts';
import { requireMigrated } from './migrate.ts';
import { appliedOffsets } from './positions.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './start.ts';

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
      requireModel(readModel, model);
      await requireMigrated(pool, model);
      const applied = await appliedOffsets(pool, model);
      const topics = [...new Set(applied.map(({ topic }) => topic))].filter((topic) => existing.has(topic));
      const ends = new Map<string, bigint>();
      for (const topic of topics) {
        for (const { partition, high } of await admin.offsetsOf(topic)) ends.set(`${topic}/${partition}`, high);
      }
      for (const { topic, partition, nextOffset, updatedAt } of applied) {
        const endOffset = ends.get(`${topic}/${partition}`) ?? null;
        const lag = endOffset === null ? null : endOffset - nextOffset;
        status.push({ model, topic, partition, appliedOffset: nextOffset, endOffset, lag, appliedAt: updatedAt });
      }
    }
    return status;
  } finally {
    await pool.end();
  }
}
