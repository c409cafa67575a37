import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { pino } from 'pino';
import * as z from 'zod';
import { migrate as migrateLegacy } from '#legacy-db/index.ts';
import { pipelineSchema, postgresClientConfig, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { migrate, type WantedMirror } from '#read-model/index.ts';
import { queryApiRoles } from '#services/query-api/roles.ts';
import { startQueryApi, type RunningService } from '#services/index.ts';
import { capturedMirrors } from './captured-mirrors.ts';
import { orderView } from './order-mirrors.ts';
import { startOwnPostgres, type OwnPostgres } from './own-postgres.ts';
import { get } from './query-api.ts';
import { eventually } from './read-database.ts';
import { testStack } from './stack.ts';
import { typeSamples } from './value-samples.ts';

/** A legacy server and a read server of its own, each to be stopped, and query APIs between them. The mirrors hold what the legacy tables hold. */
export type FallbackScene = AsyncDisposable & {
  readonly legacy: OwnPostgres;
  readonly read: OwnPostgres;
  /** `fallback`: over what reads as the poller's role, and `settings` over the others of services.queryApi. */
  config(fallback?: Readonly<Record<string, unknown>> | null, settings?: Readonly<Record<string, unknown>>): PipelineConfig;
  start(fallback?: Readonly<Record<string, unknown>> | null, settings?: Readonly<Record<string, unknown>>): Promise<RunningService>;
  /** With any configuration; disposed by whoever starts it. */
  startWith(config: PipelineConfig): Promise<RunningService>;
  /** Keeps a transaction open in the legacy database that has run `sql`. */
  holdLegacy(sql: string): Promise<{ waiting(): Promise<unknown>; release(): Promise<void> }>;
  log(): string;
};

const role = 'test_query_api';
const password = 'api-secret';

export async function createFallbackScene(): Promise<FallbackScene> {
  await using opened = new AsyncDisposableStack();
  const [legacy, read] = await Promise.all([startOwnPostgres({ wal_level: 'logical' }), startOwnPostgres()]);
  opened.use(legacy);
  opened.use(read);
  const { roles } = await testStack();
  const locations = { legacy: locationOf(legacy), read: locationOf(read) };
  await migrateLegacy(postgresClientConfig(locations.legacy, roles.owner, 'test owner'), {
    ledger: false,
    roles: { application: roles.application.user, poller: roles.poller.user, replicator: roles.replicator.user },
  });
  await legacy.run(legacyRows, 'legacy');
  await fillSamples(legacy);
  await legacy.run(
    `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${escapeIdentifier(roles.poller.user)}, ${escapeIdentifier(roles.replicator.user)}`,
    'legacy',
  );
  const tables = ['customers', 'products', 'orders', 'order_items', 'samples', 'labels'];
  const mirrors = await capturedMirrors(
    { ...locations.legacy, roles },
    tables.map((table) => `public.${table}`),
  );
  const owner = postgresClientConfig(locations.read, roles.owner, 'test owner');
  await migrate(owner, { schema: 'model', asked: { topicPrefix: 'test', mirrors, projections: orderView } });
  for (const mirror of mirrors) await copyRows(legacy, read, mirror);
  await read.run('CREATE INDEX ON model.orders (status); UPDATE model.freshness SET as_of = clock_timestamp()', 'legacy');
  let log = '';
  const logger = pino({ level: 'debug' }, { write: (line: string) => void (log += line) });
  const config: FallbackScene['config'] = (fallback = {}, settings = {}) =>
    pipelineSchema.parse({
      legacyDb: { ...locations.legacy, roles },
      kafka: { brokers: 'nobody:1' },
      readModel: {
        ...locations.read,
        ...roles.owner,
        models: { model: { topicPrefix: 'test', groupId: 'none', staleAfterMs: 3_600_000 } },
      },
      services: {
        queryApi: {
          user: role,
          password,
          auth: 'none',
          http: { port: 0 },
          rateLimit: { requests: 0 },
          ...settings,
          ...(fallback === null
            ? {}
            : {
                fallback: {
                  model: { failures: 3, probeAfterMs: 100 },
                  legacy: { ...roles.poller, failures: 3, probeAfterMs: 100, timeoutMs: 5000 },
                  ...fallback,
                },
              }),
        },
      },
    });
  const sql = await queryApiRoles({ config: config(), apply: false, logger: silentLogger });
  await read.run(sql.replace('<password>', password), 'legacy');
  const stack = opened.move();
  return {
    legacy,
    read,
    config,
    log: () => log,
    startWith: (wanted) => startQueryApi({ config: wanted, logger, signal: new AbortController().signal }),
    async holdLegacy(statement) {
      const client = new Client(postgresClientConfig(locations.legacy, roles.owner, 'test holder'));
      await client.connect();
      await client.query('BEGIN');
      await client.query(statement);
      return {
        waiting: () =>
          eventually(
            () =>
              legacy.run(`SELECT pid FROM pg_stat_activity WHERE application_name = 'cdc query-api fallback' AND wait_event_type = 'Lock'`),
            (rows) => rows.length > 0,
          ),
        release: () => client.end(),
      };
    },
    start: async (fallback, settings) =>
      stack.use(await startQueryApi({ config: config(fallback, settings), logger, signal: new AbortController().signal })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function locationOf({ host, port }: OwnPostgres): { readonly host: string; readonly port: number; readonly database: string } {
  return { host, port, database: 'legacy' };
}

const legacyRows = `
  INSERT INTO customers (id, email, name, credit_limit) SELECT i, 'c' || i || '@example.test', 'customer ' || i, i * 1.10 FROM generate_series(1, 20) AS i;
  INSERT INTO products (id, sku, name, price) VALUES (1, 's1', 'one', 19.90), (9007199254740995, 's2', 'two', 9999999999.99);
  INSERT INTO orders (id, customer_id, status, note) SELECT i, 1 + i % 20, 'new', 'note "' || i || '" 😀' FROM generate_series(1, 200) AS i;
  INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT i, 1, i, i * 0.01 FROM generate_series(1, 200) AS i;
  CREATE TABLE labels (label text PRIMARY KEY, value integer);
  INSERT INTO labels VALUES ('a', 1), ('B', 2), ('ä', 3);
  CREATE TYPE feeling AS ENUM ('sad', 'glad')`;

/** A table of every supported type: row n has the nth value of each. */
async function fillSamples(legacy: OwnPostgres): Promise<void> {
  const known = await legacy.run(
    `SELECT t FROM unnest(ARRAY[${typeSamples.map(({ type }) => escapeLiteral(type)).join(', ')}]) AS t WHERE to_regtype(regexp_replace(t, '\\(.*?\\)', '')) IS NOT NULL`,
    'legacy',
  );
  const samples = typeSamples.filter(({ type }) => known.some(({ t }) => t === type));
  const columns = samples.map(({ type }, index) => `c${index} ${type}`).join(', ');
  await legacy.run(`CREATE TABLE samples (id bigint PRIMARY KEY, felt feeling, ${columns})`, 'legacy');
  const most = Math.max(...samples.map(({ values }) => values.length));
  const rows = Array.from({ length: most }, (_, row) => samples.map(({ values }) => values[row] ?? 'NULL'));
  await legacy.run(rows.map((values, row) => `INSERT INTO samples VALUES (${row + 1}, 'glad', ${values.join(', ')})`).join(';'), 'legacy');
}

/** As the read model does: the text of each value, as the mirror's type. */
async function copyRows(legacy: OwnPostgres, read: OwnPostgres, { source, table, columns }: WantedMirror): Promise<void> {
  const rows = await legacy.run(`SELECT * FROM ${escapeIdentifier(source.schema)}.${escapeIdentifier(source.table)}`, 'legacy');
  const inserts = rows.map((row) => {
    const values = columns.map(({ name, type }) => {
      const value = row[name];
      return value === null || value === undefined ? 'NULL' : `${escapeLiteral(value)}::${type}`;
    });
    const names = columns.map(({ name }) => escapeIdentifier(name)).join(', ');
    return `INSERT INTO model.${escapeIdentifier(table)} (${names}) VALUES (${values.join(', ')})`;
  });
  await read.run(inserts.join(';'), 'legacy');
}

const guardShape = z.object({
  state: z.enum(['closed', 'open', 'half-open']),
  opened: z.number(),
  refused: z.object({ open: z.number(), busy: z.number(), timeout: z.number() }),
});
const statusShape = z.object({
  ready: z.boolean(),
  modelReadable: z.boolean(),
  lastAnswers: z.object({ answers: z.number(), bytes: z.number() }),
  dependencies: z.object({ 'read-model': guardShape, legacy: guardShape }),
});

export async function statusOf(api: RunningService): Promise<z.output<typeof statusShape>> {
  return statusShape.parse(JSON.parse((await get(api, '/status')).text));
}
