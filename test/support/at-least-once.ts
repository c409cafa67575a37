import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kafka, KafkaAdmin, OutgoingMessage } from '#kafka/index.ts';
import { nodeFlags, silentLogger, type KafkaConfig } from '#pipeline/index.ts';
import { consume, type AtLeastOnceConsumer, type AtLeastOnceOptions, type Change } from '#sdk/index.ts';
import { testKafka, testKafkaConfig } from './kafka.ts';
import { order, topicOf, upsert } from './order-events.ts';
import { eventually } from './read-database.ts';
import { uniqueName } from './stack.ts';

type Tables = { readonly orders: Change };
export type Options = AtLeastOnceOptions<Tables>;

/** A service without a database: topic, group, and what its handler has seen. */
export type Scene = AsyncDisposable & {
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly topic: string;
  readonly group: string;
  /** One Kafka transaction. */
  send(...messages: readonly OutgoingMessage[]): Promise<void>;
  /** So many updates of 30 orders, each with a status of its own; gives those lines. */
  change(count: number): Promise<readonly string[]>;
  start(handle: Options['handle'], more?: Partial<Options>): Promise<AtLeastOnceConsumer>;
  /** A service as a process, which writes {@link lineOf} each change to the file. */
  spawn(batch: number): ChildProcess;
  /** What the processes have seen. */
  lines(): Promise<readonly string[]>;
  /** What the group has committed, by partition. */
  committed(): Promise<ReadonlyMap<number, bigint>>;
  /** Resolves when the group has committed all that is in the topic now, the end of its last transaction included or not. */
  caughtUp(): Promise<void>;
};

/** A change in one line, with its place. */
export function lineOf(change: Change): string {
  const { partition, offset, op, key, after } = change;
  return `${partition}/${offset} ${op} ${JSON.stringify(key)} ${JSON.stringify(after?.['status'] ?? null)}`;
}

export async function atLeastOnceScene({
  partitions = 3,
  client = 'kafkajs',
}: { readonly partitions?: number; readonly client?: KafkaConfig['client'] } = {}): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'cdc-at-least-once-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const file = join(folder, 'lines');
  const kafka = await testKafka(client);
  const admin = stack.use(await kafka.admin());
  const topic = topicOf(uniqueName('sdk'), 'orders');
  const group = uniqueName('service');
  await admin.ensureTopics([{ topic, partitions, replicationFactor: 1 }]);
  const producer = stack.use(await kafka.transactionalProducer({ transactionalId: uniqueName('sdk_writer') }));
  const kafkaConfig = await testKafkaConfig(client);
  let sent = 0;
  const send = async (...messages: readonly OutgoingMessage[]): Promise<void> => {
    const transaction = await producer.begin();
    await transaction.send(topic, messages);
    await transaction.commit();
  };
  const committed = (): Promise<ReadonlyMap<number, bigint>> => admin.committedOffsets(group, topic);
  return {
    kafka,
    admin,
    topic,
    group,
    send,
    async change(count) {
      const rows = Array.from({ length: count }, () => ({ id: (sent % 30) + 1, status: `s${(sent += 1)}` }));
      await send(...rows.map(({ id, status }) => upsert('orders', order(id, 1, status), 'u')));
      return rows.map(({ id, status }) => `update {"id":${id}} "${status}"`);
    },
    start: (handle, more = {}) =>
      consume<Tables>({ kafka: kafkaConfig, group, topics: { orders: topic }, logger: silentLogger, retryMaxMs: 200, ...more, handle }),
    spawn(batch) {
      const env = { ...process.env, SDK_SERVICE: JSON.stringify({ kafka: kafkaConfig, group, topic, file, batch }) };
      const script = new URL('./at-least-once-process.ts', import.meta.url).pathname;
      return spawn(process.execPath, [...nodeFlags, script], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    },
    async lines() {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
    committed,
    async caughtUp() {
      const ends = await admin.offsetsOf(topic);
      // The last offset of a partition is the end of a transaction: no message.
      await eventually(committed, (offsets) => ends.every(({ partition, high }) => (offsets.get(partition) ?? 0n) >= high - 1n));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** What a line says, without its place. */
export function changeOf(line: string): string {
  return line.slice(line.indexOf(' ') + 1);
}

/** How often lines come more than once. */
export function repeats(lines: readonly string[]): number {
  return lines.length - new Set(lines).size;
}
