import type { Pool } from 'pg';
import { describeError, type Logger } from '#pipeline/index.ts';
import { inTransaction, queryText, qualified, text, type Database } from '../database.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { retrying } from '../retry.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** The tables that halt, as one member of a model's group knows them. */
export type Halts = {
  /** `self`: this partition halts before an event that does not fit; `table`: another one of its table does. */
  of(place: TopicPartition): 'self' | 'table' | null;
  /** Makes it known, in the log and in the database, once per event. */
  halt(mismatch: Mismatch): Promise<void>;
  /** The partition has passed the event. */
  passed(place: TopicPartition): void;
  /** Learns from the database what halts, also at other members of the group. */
  load(): Promise<void>;
};

export function createHalts(pool: Pool, schema: string, logger: Logger, signal: AbortSignal): Halts {
  const halted = new Map<string, Map<number, string>>();
  return {
    of({ topic, partition }) {
      const partitions = halted.get(topic);
      if (partitions === undefined || partitions.size === 0) return null;
      return partitions.has(partition) ? 'self' : 'table';
    },
    async halt({ topic, partition, offset, error }) {
      const partitions = halted.get(topic) ?? new Map<number, string>();
      halted.set(topic, partitions);
      const why = `${offset} ${error.code}`;
      if (partitions.get(partition) === why) return;
      partitions.set(partition, why);
      logger.error({ topic, partition, code: error.code, remedy: error.remedy }, error.message);
      try {
        await retrying(`making it known that ${topic}/${partition} of ${schema} halts`, logger, signal, () =>
          recordHalt(pool, schema, { topic, partition, offset, error }),
        );
      } catch (failed) {
        // It halts all the same, and the log has said so.
        if (!signal.aborted)
          logger.error({ topic, partition, reason: describeError(failed) }, 'it could not be made known in the database');
      }
    },
    passed({ topic, partition }) {
      if (halted.get(topic)?.delete(partition) === true) logger.info({ topic, partition }, 'the partition goes on');
    },
    async load() {
      const found = await retrying(`reading what halts in ${schema}`, logger, signal, () => haltedPartitions(pool, schema));
      halted.clear();
      for (const { topic, partition, offset, code } of found) {
        if (isWait(code)) continue;
        halted.set(topic, (halted.get(topic) ?? new Map()).set(partition, `${offset} ${code}`));
      }
    },
  };
}

/** Why one partition halts or waits, whatever its table's others do. */
const waits: readonly string[] = [
  'REGISTRY_UNREACHABLE',
  'REGISTRY_REFUSED',
  'READ_MODEL_LOCKED',
  'READ_MODEL_TRIES_AGAIN',
  'KAFKA_BATCH_TOO_LARGE',
  'KAFKA_BATCH_UNREADABLE',
  'CONSUMER_TRIES_AGAIN',
  'CONSUMER_HANDLER_FAILED',
  'CONSUMER_HANDLER_TIMEOUT',
];

/** Another partition of a batch's table halts, maybe at another process: nothing of the transaction was applied. */
export class HaltedTableError extends Error {
  override readonly name = 'HaltedTableError';
  readonly topics: ReadonlySet<string>;

  constructor(topics: ReadonlySet<string>) {
    super(`tables halt: ${[...topics].join(', ')}`);
    this.topics = topics;
  }
}

/**
 * Refuses partitions whose table halts before an event of another partition. A partition that halts itself may try: its mirror may have been fixed.
 * Names tables without schema: runs inside `inTransaction`.
 *
 * @throws HaltedTableError
 */
export async function refuseHalted(
  database: Database,
  batches: readonly (TopicPartition & { readonly messages: readonly unknown[] })[],
): Promise<void> {
  const places = batches.filter(({ messages }) => messages.length > 0);
  if (places.length === 0) return;
  const rows = await queryText(
    database,
    `SELECT h.topic, h.partition FROM halted_partitions h
       JOIN applied_offsets a ON a.topic = h.topic AND a.partition = h.partition AND a.next_offset <= h.event_offset
      WHERE h.topic = ANY ($1::text[]) AND h.code <> ALL ($2::text[])`,
    [places.map(({ topic }) => topic), waits],
  );
  if (rows.length === 0) return;
  const halted = new Set(rows.map((row) => `${text(row, 0)}/${text(row, 1)}`));
  const topics = new Set(rows.map((row) => text(row, 0)));
  const refused = places.filter(({ topic, partition }) => topics.has(topic) && !halted.has(`${topic}/${partition}`));
  if (refused.length > 0) throw new HaltedTableError(new Set(refused.map(({ topic }) => topic)));
}

/** Whether a partition only waits, for a server or for a lock: that passes without anybody's doing. */
export function isWait(code: string): boolean {
  return waits.includes(code);
}

/** Makes it known in the database why a partition halts before an event. */
export async function recordHalt(pool: Pool, schema: string, { topic, partition, offset, error }: Mismatch): Promise<void> {
  await inTransaction(pool, schema, (client) =>
    client.query(
      `INSERT INTO halted_partitions (topic, partition, event_offset, code, cause, remedy) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (topic, partition) DO UPDATE SET event_offset = EXCLUDED.event_offset, code = EXCLUDED.code, cause = EXCLUDED.cause,
         remedy = EXCLUDED.remedy, halted_at = clock_timestamp()`,
      [topic, partition, String(offset), error.code, error.message.replaceAll('\0', String.raw`\0`).slice(0, 4000), error.remedy],
    ),
  );
}

/** Why a partition halts: an error of the catalogue, as it was when it was met first. */
export type Halt = TopicPartition & {
  readonly offset: bigint;
  readonly code: string;
  readonly cause: string;
  readonly remedy: string;
  readonly haltedAt: string;
};

/** The partitions of the model in `schema` that halt now: those that have not passed the event since. */
export async function haltedPartitions(database: Database, schema: string): Promise<readonly Halt[]> {
  const rows = await queryText(
    database,
    `SELECT h.topic, h.partition, h.code, h.cause, h.remedy, h.halted_at, h.event_offset
       FROM ${qualified(schema, 'halted_partitions')} h
       JOIN ${qualified(schema, 'applied_offsets')} a ON a.topic = h.topic AND a.partition = h.partition AND a.next_offset <= h.event_offset
      ORDER BY h.topic, h.partition`,
  );
  return rows.map((row) => ({
    topic: text(row, 0),
    partition: Number(row[1]),
    code: text(row, 2),
    cause: text(row, 3),
    remedy: text(row, 4),
    haltedAt: text(row, 5),
    offset: BigInt(text(row, 6)),
  }));
}
