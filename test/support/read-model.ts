import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { pino } from 'pino';
import type { Kafka, KafkaAdmin, OutgoingMessage } from '#kafka/index.ts';
import { nodeFlags, pipelineSchema, type KafkaConfig, type PipelineConfig, type ReadModelConfig } from '#pipeline/index.ts';
import { startReadModel, type RunningReadModel, type WantedMirror } from '#read-model/index.ts';
import { migrateOrders, orderMirrors, orderView } from './order-mirrors.ts';
import { testKafka, testKafkaConfig } from './kafka.ts';
import { topicOf } from './order-events.ts';
import { createReadDatabase, eventually, type ReadDatabase } from './read-database.ts';
import { uniqueName } from './stack.ts';

const orderTables = ['customers', 'products', 'orders', 'order_items'] as const;

/** A read model of its own: database, topics, group; and what tests do with it. */
export type ReadModelFixture = AsyncDisposable & {
  readonly read: ReadDatabase;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly config: PipelineConfig;
  readonly prefix: string;
  readonly schema: string;
  readonly groupId: string;
  topic(table: string): string;
  /** One Kafka transaction with messages for one table. */
  send(table: string, messages: readonly OutgoingMessage[]): Promise<void>;
  /** Starts a consumer in this process. */
  start(): Promise<RunningReadModel>;
  /** What consumers in this process have logged so far: JSON lines. */
  log(): string;
  /** Starts a consumer as a process of its own. */
  spawn(options?: { readonly groupId?: string; readonly client?: KafkaConfig['client'] }): ChildProcess;
  /** Resolves when everything that is in the topics now is applied. */
  caughtUp(timeoutMs?: number): Promise<void>;
};

const schema = 'model';

export type ReadModelFixtureOptions = {
  readonly partitions?: number;
  readonly topics?: boolean;
  /** Default: those of the order system. */
  readonly mirrors?: readonly WantedMirror[];
  /** Default: the order system's view with its mirrors, none with others. */
  readonly projections?: typeof orderView;
  /** topic.prefix; default one of its own. */
  readonly prefix?: string;
  readonly client?: KafkaConfig['client'];
  readonly maxBatchMb?: number;
  readonly schemaRegistry?: Readonly<Record<string, unknown>> | undefined;
  /** Settings of the model over the defaults. */
  readonly settings?: Partial<ReadModelConfig['models'][string]>;
};

export async function createReadModel({
  partitions = 3,
  topics = true,
  mirrors = orderMirrors,
  projections = mirrors === orderMirrors ? orderView : [],
  prefix = uniqueName('rm'),
  client = 'kafkajs',
  maxBatchMb = 64,
  schemaRegistry,
  settings = {},
}: ReadModelFixtureOptions = {}): Promise<ReadModelFixture> {
  const stack = new AsyncDisposableStack();
  const read = stack.use(await createReadDatabase());
  const kafka = await testKafka();
  const admin = stack.use(await kafka.admin());
  const names = orderTables.map((table) => topicOf(prefix, table));
  if (topics) await admin.ensureTopics(names.map((topic) => ({ topic, partitions, replicationFactor: 1 })));
  stack.defer(async () => {
    const existing = new Set(await admin.listTopics());
    await admin.deleteTopics(names.filter((topic) => existing.has(topic)));
  });
  await migrateOrders(read.owner, schema, mirrors, projections);
  const groupId = uniqueName('group');
  const kafkaConfig = { ...(await testKafkaConfig(client)), maxBatchMb };
  const configFor = (group: string): PipelineConfig =>
    pipelineSchema.parse({
      legacyDb: { database: 'none', roles: { poller: { user: 'none' } } },
      kafka: kafkaConfig,
      schemaRegistry,
      readModel: { ...read.config, models: { [schema]: { topicPrefix: prefix, groupId: group, ...settings } } },
    });
  const config = configFor(groupId);
  const producer = stack.use(await kafka.transactionalProducer({ transactionalId: uniqueName('producer') }));
  const children = new Set<ChildProcess>();
  stack.defer(() => stopAll(children));
  let failure: { readonly error: unknown } | undefined;
  let log = '';
  const write = (line: string): void => {
    log += line;
    if (process.env['LOG_LEVEL'] !== undefined) process.stderr.write(line);
  };
  const logger = pino({ level: process.env['LOG_LEVEL'] ?? 'info' }, { write });
  return {
    read,
    kafka,
    admin,
    config,
    prefix,
    schema,
    groupId,
    topic: (table) => topicOf(prefix, table),
    async send(table, messages) {
      const transaction = await producer.begin();
      await transaction.send(topicOf(prefix, table), messages);
      await transaction.commit();
    },
    log: () => log,
    start: async () => {
      const running = await startReadModel({ config, logger, signal: new AbortController().signal });
      running.closed.catch((error: unknown) => (failure = { error }));
      return running;
    },
    spawn: (options = {}) => {
      const own = configFor(options.groupId ?? groupId);
      const childConfig = options.client === undefined ? own : { ...own, kafka: { ...own.kafka, client: options.client } };
      const child = spawn(process.execPath, [...nodeFlags, new URL('./read-model-process.ts', import.meta.url).pathname], {
        env: { ...process.env, READ_MODEL_CONFIG: JSON.stringify(childConfig) },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      children.add(child);
      return child;
    },
    async caughtUp(timeoutMs = 60_000) {
      const existing = new Set(await admin.listTopics());
      const ends = new Map<string, bigint>();
      for (const topic of names.filter((name) => existing.has(name))) {
        for (const { partition, high } of await admin.offsetsOf(topic)) ends.set(`${topic}/${partition}`, high);
      }
      const behind = async (): Promise<string[]> => {
        if (failure !== undefined) throw failure.error;
        const rows = await read.query(`SELECT topic || '/' || partition AS place, next_offset FROM ${schema}.applied_offsets`);
        const applied = new Map(rows.map(({ place, next_offset }) => [place, BigInt(next_offset ?? 0)]));
        return [...ends].flatMap(([place, end]) => {
          const at = applied.get(place) ?? 0n;
          return at < end ? [`${place}: applied ${at} of ${end}`] : [];
        });
      };
      await eventually(behind, (places) => places.length === 0, timeoutMs);
    },
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
    },
  };
}

/** kill -9 */
export async function killed(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Batches that have been applied so far. */
export async function appliedBatches({ read, schema: model }: ReadModelFixture): Promise<number> {
  const [row] = await read.query(`SELECT count(*) AS count FROM ${model}.apply_log`);
  return Number(row?.['count']);
}

async function stopAll(children: ReadonlySet<ChildProcess>): Promise<void> {
  await Promise.all(
    [...children].map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }),
  );
}
