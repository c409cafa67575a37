import { spawn, type ChildProcess } from 'node:child_process';
import assert from 'node:assert/strict';
import type { Kafka, KafkaAdmin, OutgoingMessage } from '#kafka/index.ts';
import { nodeFlags, silentLogger, type KafkaConfig } from '#pipeline/index.ts';
import { consume, type Change, type Consumer, type ConsumeOptions } from '#sdk/index.ts';
import { Pool } from 'pg';
import { testKafka, testKafkaConfig } from './kafka.ts';
import { topicOf } from './order-events.ts';
import { createReadDatabase, eventually, type ReadDatabase } from './read-database.ts';
import { uniqueName } from './stack.ts';

type Tables = { readonly orders: Change };
export type ServiceOptions = ConsumeOptions<Tables>;
export type Handle = ServiceOptions['handle'];

/** A service of its own: database, topic, group; and what tests do with it. */
export type Service = AsyncDisposable & {
  readonly read: ReadDatabase;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly topic: string;
  readonly group: string;
  /** One Kafka transaction. */
  send(...messages: readonly OutgoingMessage[]): Promise<void>;
  /** Starts a consumer in this process, with a pool of its own. Without a handler, {@link record}. */
  start(handle?: Handle, more?: Partial<ServiceOptions>): Promise<Consumer>;
  /** Starts a consumer that records as a process of its own. */
  spawn(): ChildProcess;
  /** What the recording handler has committed, in its order. */
  effects(): Promise<readonly string[]>;
  /** Resolves when everything that is in the topic now is handled, or parked. */
  caughtUp(timeoutMs?: number): Promise<void>;
  /** The group of the positions is any again: Kafka would otherwise wait for the dead one's session. */
  anyGroup(): Promise<void>;
};

/** A handler that keeps every change it was given, so that a second time shows. */
export const record: Handle = async (changes, tx) => {
  for (const change of changes) await recordOne(change, tx);
};

export async function recordOne(change: Change, tx: Parameters<Handle>[1]): Promise<void> {
  await tx.query('INSERT INTO effects (place, change) VALUES ($1, $2)', [`${change.partition}/${change.offset}`, effectOf(change)]);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A change in one line. */
function effectOf({ op, key, after }: Change): string {
  return `${op} ${JSON.stringify(key)} ${after === null ? '-' : textOf(after['status'])}`;
}

export async function createService({
  partitions = 3,
  client = 'kafkajs',
  topics = true,
}: { readonly partitions?: number; readonly client?: KafkaConfig['client']; readonly topics?: boolean } = {}): Promise<Service> {
  const stack = new AsyncDisposableStack();
  const read = stack.use(await createReadDatabase());
  await read.query('CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, place text NOT NULL, change text NOT NULL)');
  const kafka = await testKafka(client);
  const admin = stack.use(await kafka.admin());
  const prefix = uniqueName('sdk');
  const group = uniqueName('service');
  const topic = topicOf(prefix, 'orders');
  if (topics) await admin.ensureTopics([{ topic, partitions, replicationFactor: 1 }]);
  const producer = stack.use(await kafka.transactionalProducer({ transactionalId: uniqueName('sdk_writer') }));
  const kafkaConfig = await testKafkaConfig(client);
  return {
    read,
    kafka,
    admin,
    topic,
    group,
    async send(...messages) {
      const transaction = await producer.begin();
      await transaction.send(topic, messages);
      await transaction.commit();
    },
    async start(handle = record, more = {}) {
      const pool = new Pool({ ...read.owner, application_name: 'test service', max: 6 });
      pool.on('error', () => undefined);
      const options = {
        kafka: kafkaConfig,
        group,
        topics: { orders: topic },
        database: pool,
        logger: silentLogger,
        retryMaxMs: 200,
        ...more,
        handle,
      };
      const consumer = await consume<Tables>(options).catch(async (error: unknown) => {
        await pool.end();
        throw error;
      });
      return {
        ...consumer,
        async [Symbol.asyncDispose]() {
          await consumer[Symbol.asyncDispose]();
          await pool.end();
        },
      };
    },
    spawn() {
      const env = {
        ...process.env,
        SDK_SERVICE: JSON.stringify({ kafka: kafkaConfig, group: uniqueName('crash'), topic, database: read.owner }),
      };
      const file = new URL('./sdk-process.ts', import.meta.url).pathname;
      return spawn(process.execPath, [...nodeFlags, file], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    },
    effects: async () =>
      (await read.query('SELECT place, change FROM effects ORDER BY id')).map(({ place, change }) => `${place} ${change}`),
    async caughtUp(timeoutMs) {
      const ends = await admin.offsetsOf(topic);
      await eventually(
        async () =>
          (await read.query('SELECT partition, next_offset FROM cdc_consumer.applied_offsets WHERE topic = $1', [topic])).map(
            (row) => [Number(row['partition']), BigInt(row['next_offset'] ?? 0)] as const,
          ),
        (rows) => ends.every(({ partition, high, low }) => high === low || rows.some(([at, next]) => at === partition && next >= high)),
        timeoutMs,
      );
    },
    anyGroup: async () => void (await read.query('UPDATE cdc_consumer.model_version SET group_id = NULL')),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function changesOf(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.slice(line.indexOf(' ') + 1));
}

/** Every change of the topic, once, each partition in its order, whatever the order among partitions. */
export function assertEqualsLog(effects: readonly string[], expected: readonly string[]): void {
  const byPartition = Map.groupBy(effects, (line) => line.slice(0, line.indexOf('/')));
  for (const lines of byPartition.values()) {
    const offsets = lines.map((line) => Number(line.slice(line.indexOf('/') + 1, line.indexOf(' '))));
    assert.deepEqual(
      offsets,
      [...new Set(offsets)].toSorted((a, b) => a - b),
      'a change was handled twice, or out of order',
    );
  }
  assert.deepEqual(changesOf(effects).toSorted(), expected.toSorted());
}
