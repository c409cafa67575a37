import type { Pool } from 'pg';
import type { ConsumedMessage, OutgoingMessage } from '#kafka/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import type { ModelSchema, PartitionBatch } from '#read-model/apply-transaction.ts';
import { changeReader } from '#read-model/change.ts';
import { inTransaction, openPool } from '#read-model/database.ts';
import { migrate } from '#read-model/index.ts';
import { loadMirrors } from '#read-model/mirror-catalogue.ts';
import type { Mirror } from '#read-model/mirror.ts';
import { orderView } from '#read-model/order-view.ts';
import { createReadDatabase, type ReadDatabase } from './read-database.ts';

/** A read model without Kafka: tests decide themselves what is applied when, and by how many appliers at once. */
export type DirectModel = AsyncDisposable & {
  readonly read: ReadDatabase;
  readonly pool: Pool;
  readonly model: ModelSchema;
  /** Makes the partition's position 0 at epoch 1. */
  place(table: string, partition?: number): Promise<void>;
  /** A batch of messages from `offset` on. */
  batch(
    table: string,
    offset: number,
    messages: readonly OutgoingMessage[],
    options?: { partition?: number; epoch?: number },
  ): PartitionBatch;
  /** After a test made or changed a mirror table. */
  reload(): Promise<void>;
};

export async function createDirectModel(): Promise<DirectModel> {
  const stack = new AsyncDisposableStack();
  const read = stack.use(await createReadDatabase());
  const schema = 'model';
  await migrate(read.owner, { schema });
  const pool = openPool(postgresClientConfig(read.config, read.config, 'test applier'), silentLogger, 8);
  stack.defer(() => pool.end());
  let mirrors: readonly Mirror[] = [];
  const reload = async (): Promise<void> => {
    mirrors = await inTransaction(pool, schema, (client) => loadMirrors(client, schema));
  };
  await reload();
  return {
    read,
    pool,
    model: { schema, projections: [orderView] },
    reload,
    async place(table, partition = 0) {
      await read.query(`INSERT INTO ${schema}.applied_offsets (topic, partition, next_offset, epoch) VALUES ($1, $2, 0, 1)`, [
        table,
        partition,
      ]);
    },
    batch(table, offset, messages, { partition = 0, epoch = 1 } = {}) {
      const mirror = mirrors.find((candidate) => candidate.table === table);
      if (mirror === undefined) throw new TypeError(`no mirror ${table}`);
      const reader = changeReader(mirror, () => undefined);
      const changes = messages.map((message, index) => {
        const consumed = toConsumed(message, BigInt(offset + index));
        return reader(consumed, { topic: table, partition, offset: String(consumed.offset) });
      });
      return {
        topic: table,
        partition,
        mirror,
        changes,
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

function toConsumed({ key, value }: OutgoingMessage, offset: bigint): ConsumedMessage {
  return {
    offset,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp: 0,
    headers: {},
  };
}
