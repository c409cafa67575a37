import type { ReadModelFixture } from '#test/support/read-model.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { measure, type Figures } from './measure.ts';
import type { SinkWorker } from './sink.ts';
import type { Stream } from './stream.ts';

/** Something that fills a table from a topic, measured once per call. Each call begins with an empty table and at the topic's beginning. */
export type Contender = { readonly name: string; readonly run: () => Promise<Figures> };

const schema = 'model';

/** What the read model is measured as. */
export const readModelNames = {
  mirror: 'read model, mirror only',
  best: 'read model, mirror only, kafka.client: platformatic',
  view: 'read model, mirror and order view',
} satisfies Record<string, string>;

/**
 * The read model as a process of its own, with default settings but for `best`. `mirror` and `best` do what a sink does: the order table's
 * events go to a mirror that no view hangs on, with the sink's one index, and the rows are still stored with their position. `view` also
 * keeps the order view.
 */
export function readModelContender(model: ReadModelFixture, stream: Stream, kind: keyof typeof readModelNames): Contender {
  const table = kind === 'view' ? 'orders' : 'plain_orders';
  return {
    name: readModelNames[kind],
    run: async () => {
      const { read } = model;
      await read.query(
        `CREATE TABLE IF NOT EXISTS ${schema}.plain_orders (LIKE ${schema}.orders INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (id))`,
      );
      await read.query(`UPDATE ${schema}.mirrored_tables SET mirror_table = $1 WHERE source_table = 'orders'`, [table]);
      await read.query(
        `TRUNCATE ${schema}.plain_orders, ${schema}.orders, ${schema}.order_view, ${schema}.applied_offsets, ${schema}.apply_log`,
      );
      await settle(read.query);
      const child = model.spawn({ groupId: uniqueName('bench'), ...(kind === 'best' ? { client: 'platformatic' } : {}) });
      if (child.pid === undefined) throw new Error('the read model could not be started');
      const { pid } = child;
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      try {
        const failure = async (): Promise<string | null> =>
          child.exitCode === null ? null : `the read model ended with ${child.exitCode}`;
        return await measure({ read, table: `${schema}.${table}`, stream, pid, databasePid: await readServerPid(), failure });
      } finally {
        child.kill('SIGTERM');
        await exited;
      }
    },
  };
}

/** The sink's own settings as they come, and the fastest that were found: see bench/README.md. */
export const sinkSettings = {
  default: {},
  best: {
    'batch.size': '5000',
    'consumer.override.max.poll.records': '5000',
    'use.reduction.buffer': 'true',
    'dialect.postgres.unnest.insert.enabled': 'true',
  },
} satisfies Record<string, Readonly<Record<string, string>>>;

export const sinkNames = {
  default: 'Debezium JDBC sink, default settings',
  best: 'Debezium JDBC sink, best settings',
} satisfies Record<keyof typeof sinkSettings, string>;

export function sinkContender(model: ReadModelFixture, stream: Stream, worker: SinkWorker, kind: keyof typeof sinkSettings): Contender {
  return {
    name: sinkNames[kind],
    run: async () => {
      const { read } = model;
      await read.query(
        `CREATE TABLE IF NOT EXISTS sink_orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL, note text,
                                                 placed_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)`,
      );
      await read.query('TRUNCATE sink_orders');
      await settle(read.query);
      const { host, port, database, user, password } = read.config;
      await using connector = await worker.start({
        topics: model.topic('orders'),
        'collection.name.format': 'sink_orders',
        'connection.url': `jdbc:postgresql://${host}:${port}/${database}`,
        'connection.username': user,
        'connection.password': password,
        ...sinkSettings[kind],
      });
      return await measure({
        read,
        table: 'sink_orders',
        stream,
        pid: worker.pid,
        databasePid: await readServerPid(),
        failure: () => connector.failure(),
      });
    },
  };
}

/** What one contender leaves behind for the server to write must not burden the next. */
async function settle(query: (sql: string) => Promise<unknown>): Promise<void> {
  await query('CHECKPOINT').catch(() => undefined);
}

async function readServerPid(): Promise<number> {
  const { processes } = await testStack();
  const server = processes.find(({ name }) => name === 'postgres-read');
  if (server === undefined) throw new Error('the stack has no process postgres-read');
  return server.pid;
}
