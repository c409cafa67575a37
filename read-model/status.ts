import { connectKafka, type KafkaAdmin } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import type { Logger, PipelineConfig } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { appliedOffsets } from './apply/positions.ts';
import { openPool } from './database.ts';
import { haltedPartitions, type Halt } from './faults/halts.ts';
import { freshnessOf, type Freshness } from './freshness/read-freshness.ts';
import { requireMigrated } from './migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './model-config.ts';
import { parkedCounts } from './parking/parked-events.ts';
import { listVersions, readVersion, type Stop } from './rebuild/versions.ts';
import { projectionFaults, type ProjectionFault } from './views/projection-faults.ts';

/** How far one partition is behind Kafka. Offsets count control records too, so `lag` is an upper bound of events. */
export type PartitionProgress = {
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
  /** Why the partition halts: see docs/read-model.md. Null when it does not. */
  readonly halted: Omit<Halt, keyof TopicPartition> | null;
};

/** {@link PartitionProgress} of one model. */
export type PartitionStatus = PartitionProgress & {
  readonly model: string;
  /** What becomes visible at once: the changes of a row, or of a source transaction. */
  readonly consistency: 'row' | 'transaction';
  /** With consistency `transaction`: source transactions of the model that were seen in parts after all. */
  readonly tornTransactions: bigint;
  /** The model's version that serves. */
  readonly version: number;
  /** Why the process that applied the model has given it up; null when it has not. */
  readonly stopped: Stop | null;
};

/** The state of one model, whichever processes apply it. */
export type ModelStatus = {
  readonly model: string;
  /** The version that serves. */
  readonly version: number;
  /** The version that is being filled, if one is. */
  readonly rebuilding: number | null;
  /** Why the process that applied the model has given it up; null when it has not. */
  readonly stopped: Stop | null;
  readonly freshness: Freshness;
  /** The views that halt, and why. */
  readonly haltedViews: readonly ProjectionFault[];
  readonly tornTransactions: bigint;
  /** Those that have been claimed once. */
  readonly partitions: readonly PartitionStatus[];
};

/** @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, KAFKA_UNREACHABLE */
export async function readModelStatus(
  config: PipelineConfig,
  models: readonly string[] | undefined,
  logger: Logger,
): Promise<readonly ModelStatus[]> {
  const readModel = requireReadModel(config);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    await using admin = await connectKafka(config.kafka, logger).admin();
    const found: ModelStatus[] = [];
    for (const model of selectModels(readModel, models)) {
      const { consistency, staleAfterMs } = requireModel(readModel, model);
      await requireMigrated(pool, model);
      const { version, tornTransactions, stopped } = await readVersion(pool, model);
      const candidate = (await listVersions(pool, model)).findLast((other) => other.version > version);
      found.push({
        model,
        version,
        rebuilding: candidate?.version ?? null,
        stopped,
        freshness: await freshnessOf(pool, model, staleAfterMs),
        haltedViews: await projectionFaults(pool, model),
        tornTransactions,
        partitions: await partitionsOf(pool, admin, { model, version, consistency, tornTransactions, stopped }),
      });
    }
    return found;
  } finally {
    await pool.end();
  }
}

type OfModel = Pick<PartitionStatus, 'model' | 'version' | 'consistency' | 'tornTransactions' | 'stopped'>;

async function partitionsOf(pool: Pool, admin: KafkaAdmin, ofModel: OfModel): Promise<readonly PartitionStatus[]> {
  return (await partitionProgress(pool, admin, ofModel.model)).map((progress) => ({ ...progress, ...ofModel }));
}

/** The partitions that were claimed once for the positions in `schema`. */
export async function partitionProgress(pool: Pool, admin: KafkaAdmin, schema: string): Promise<readonly PartitionProgress[]> {
  const applied = await appliedOffsets(pool, schema);
  const parked = await parkedCounts(pool, schema);
  const halts = new Map((await haltedPartitions(pool, schema)).map(({ topic, partition, ...halt }) => [`${topic}/${partition}`, halt]));
  const ends = await endOffsets(admin, new Set(applied.map(({ topic }) => topic)));
  return applied.map(({ topic, partition, nextOffset, updatedAt }) => {
    const place = `${topic}/${partition}`;
    const endOffset = ends.get(place) ?? null;
    return {
      topic,
      partition,
      appliedOffset: nextOffset,
      endOffset,
      lag: endOffset === null ? null : endOffset - nextOffset,
      appliedAt: updatedAt,
      parked: parked.get(place) ?? 0,
      halted: halts.get(place) ?? null,
    };
  });
}

async function endOffsets(admin: KafkaAdmin, topics: ReadonlySet<string>): Promise<ReadonlyMap<string, bigint>> {
  const existing = new Set(await admin.listTopics());
  const ends = new Map<string, bigint>();
  for (const topic of topics) {
    if (!existing.has(topic)) continue;
    for (const { partition, high } of await admin.offsetsOf(topic)) ends.set(`${topic}/${partition}`, high);
  }
  return ends;
}
