import type { Pool } from 'pg';
import { eventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage, OutgoingMessage } from '#kafka/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import type { TargetModel } from '#read-model/apply/write-changes.ts';
import type { PartitionBatch } from '#read-model/apply/partition-batch.ts';
import type { CopyTrials } from '#read-model/mirrors/copy-trials.ts';
import { inTransaction, openPool } from '#read-model/database.ts';
import { decodeEvents } from '#read-model/decode/decode-batch.ts';
import type { WantedMirror } from '#read-model/index.ts';
import { migrateOrders, orderMirrors } from './order-mirrors.ts';
import { loadMirrors } from '#read-model/mirrors/mirror-catalogue.ts';
import type { Mirror } from '#read-model/mirrors/mirror.ts';
import { loadProjections } from '#read-model/views/stored-projections.ts';
import { drainQueue } from '#read-model/parking/drain.ts';
import { queuesOf } from '#read-model/parking/parked-events.ts';
import { createReadDatabase, type ReadDatabase } from './read-database.ts';

/** A read model without Kafka: the test decides what is applied when, and in how many transactions at once. */
export type DirectModel = AsyncDisposable & {
  readonly read: ReadDatabase;
  readonly pool: Pool;
  readonly model: TargetModel;
  /** How each trial of COPY ended so far: whether it succeeded. */
  readonly copies: readonly boolean[];
  /** Makes the partition's position 0 at epoch 1. */
  place(table: string, partition?: number): Promise<void>;
  /** A batch of messages from `offset` on. */
  batch(
    table: string,
    offset: number,
    messages: readonly OutgoingMessage[],
    options?: { partition?: number; epoch?: number },
  ): PartitionBatch;
  /** Drains every queue of parked events. */
  retry(): Promise<void>;
  /** After a test made or changed a mirror table. */
  reload(): Promise<void>;
};

/** @param copies try COPY for every batch that has a new row, whatever came of it before; otherwise never */
export async function createDirectModel({
  copies = true,
  mirrors: made = orderMirrors,
}: {
  readonly copies?: boolean;
  readonly mirrors?: readonly WantedMirror[];
} = {}): Promise<DirectModel> {
  const stack = new AsyncDisposableStack();
  const read = stack.use(await createReadDatabase());
  const schema = 'model';
  await migrateOrders(read.owner, schema, made);
  const pool = openPool(postgresClientConfig(read.config, read.config, 'direct apply'), silentLogger, 8);
  stack.defer(() => pool.end());
  let mirrors: readonly Mirror[] = [];
  const reload = async (): Promise<void> => {
    mirrors = await inTransaction(pool, schema, (client) => loadMirrors(client, schema));
  };
  await reload();
  const ended: boolean[] = [];
  const copyTrials: CopyTrials = { isWorth: (_, rows) => rows > 0, ended: (_, succeeded) => ended.push(succeeded) };
  const { projections } = await loadProjections(pool, schema);
  const model: TargetModel = { schema, projections, decoder: eventDecoder(undefined), ...(copies ? { copyTrials } : {}) };
  return {
    read,
    pool,
    model,
    copies: ended,
    reload,
    async retry() {
      await inTransaction(pool, schema, async (client) => {
        for (const queue of await queuesOf(client, {})) {
          const mirror = mirrors.find(({ table }) => table === queue.topic);
          if (mirror !== undefined) await drainQueue(client, model, mirror, queue);
        }
      });
    },
    async place(table, partition = 0) {
      await read.query(`INSERT INTO ${schema}.applied_offsets (topic, partition, next_offset, epoch) VALUES ($1, $2, 0, 1)`, [
        table,
        partition,
      ]);
    },
    batch(table, offset, messages, { partition = 0, epoch = 1 } = {}) {
      const mirror = mirrors.find((candidate) => candidate.table === table);
      if (mirror === undefined) throw new TypeError(`no mirror ${table}`);
      const consumed = messages.map((message, index) => toConsumed(message, BigInt(offset + index)));
      return {
        topic: table,
        partition,
        ...decodeEvents(model.decoder, mirror, { topic: table, partition }, consumed).events,
        expectedOffset: BigInt(offset),
        epoch: BigInt(epoch),
        nextOffset: BigInt(offset + messages.length),
      };
    },
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
    },
  };
}

function toConsumed({ key, value, headers }: OutgoingMessage, offset: bigint): ConsumedMessage {
  return {
    offset,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp: 0,
    headers: headers ?? {},
  };
}
