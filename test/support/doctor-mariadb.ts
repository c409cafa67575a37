import { join } from 'node:path';
import getPort from 'get-port';
import { runMariadbScript } from '#connectors/mariadb/prepare.ts';
import { withMariadb } from '#connectors/mariadb/mariadb-source.ts';
import { examine } from '#doctor/examine.ts';
import type { ExamineOptions } from '#doctor/request.ts';
import type { Strategy } from '#doctor/finding.ts';
import type { Report } from '#doctor/report.ts';
import { doctorRequest } from '#doctor/request.ts';
import { readConnectorFile, type ConnectorConfig, type ConnectorFile } from '#connectors/index.ts';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { testConnectAccess } from './connect.ts';
import { testStack } from './stack.ts';
import { createOwnMariadb, rootUser, type RunningMariadb } from './own-mariadb.ts';

const accounts = {
  poller: { user: 'cdc_poller', password: 'poller' },
  replicator: { user: 'cdc_replicator', password: 'replicator' },
} as const;

/** As the owner would make it: an index for the poller, a column that the server moves. */
export const healthyTable =
  'id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50), updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id)';

export type MariadbSetup = {
  readonly tables?: readonly unknown[];
  /** Of the connector file; `tables` without their database. */
  readonly captured?: readonly string[];
  readonly overrides?: ConnectorConfig;
  readonly files?: readonly ConnectorFile[];
  readonly roles?: Readonly<Record<string, unknown>>;
  readonly connectUrl?: string;
  readonly port?: number;
  readonly options?: ExamineOptions;
};

export type MariadbDoctor = AsyncDisposable & {
  readonly server: RunningMariadb;
  /** As root, statement by statement. */
  readonly run: (...sql: readonly string[]) => Promise<void>;
  readonly file: (overrides?: ConnectorConfig, captured?: readonly string[]) => Promise<ConnectorFile>;
  readonly pipeline: (setup?: MariadbSetup) => PipelineConfig;
  /** Of the log, without Connect unless `connectUrl` is given. */
  readonly examine: (strategies: readonly Strategy[], setup?: MariadbSetup) => Promise<Report>;
};

/** A server of the test's own with database shop and table orders, in which nothing is to be found. */
export async function startMariadbDoctor(options: readonly string[] = []): Promise<MariadbDoctor> {
  const { kafka } = await testStack();
  const own = await createOwnMariadb();
  const server = await own.start(await getPort(), options);
  const { host, port } = server.location;
  const run = async (...sql: readonly string[]): Promise<void> => {
    await withMariadb(server.login(rootUser), async (query) => {
      for (const statement of sql) await query(statement);
    });
  };
  await run('CREATE DATABASE shop', `CREATE TABLE shop.orders (${healthyTable})`, "INSERT INTO shop.orders (value) VALUES ('a'), ('b')");
  for (const { user, password } of Object.values(accounts)) await run(`CREATE USER ${user}@'127.0.0.1' IDENTIFIED BY '${password}'`);
  await run(`GRANT SELECT ON shop.* TO ${accounts.poller.user}@'127.0.0.1'`);
  await withMariadb(server.login(rootUser), async (query) => {
    await query(`SET @replicator = "${accounts.replicator.user}@'127.0.0.1'", @tables = 'shop.orders'`);
    for (const script of ['01-tables.sql', '02-grants.sql']) await runMariadbScript(script, query);
  });
  const pipeline = ({ tables = [{ table: 'shop.orders' }], roles = {}, port: another }: MariadbSetup = {}): PipelineConfig =>
    pipelineSchema.parse({
      legacyDb: { dialect: 'mariadb', host, port: another ?? port, database: 'shop', roles: { ...accounts, ...roles } },
      kafka: { brokers: kafka.brokers },
      poller: { name: 'shop', tables },
      connect: { url: 'http://127.0.0.1:1', topicPrefix: 'log' },
    });
  const file = async (overrides: ConnectorConfig = {}, captured: readonly string[] = ['orders']): Promise<ConnectorFile> => {
    const shipped = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', 'legacy-mariadb.json'));
    const config = {
      ...shipped.config,
      'database.hostname': host,
      'database.port': String(port),
      'database.include.list': 'shop,cdc',
      'table.include.list': [...captured.map((table) => `shop.${table}`), 'cdc.heartbeat'].join(','),
      ...overrides,
    };
    return { name: shipped.name, config };
  };
  return {
    server,
    run,
    file,
    pipeline,
    examine: async (strategies, setup = {}) => {
      const config = pipeline(setup);
      const { connect } = config;
      const { connectUrl, overrides, captured } = setup;
      const located =
        connectUrl === undefined || connect === undefined
          ? config
          : { ...config, connect: { ...connect, ...(await testConnectAccess()), url: connectUrl } };
      const request = await doctorRequest(located, '/', strategies);
      if (request.dialect !== 'mariadb') throw new TypeError('not a MariaDB');
      const files = setup.files ?? [await file(overrides, captured)];
      const log = { ...request.log, files, findings: [], ...(connectUrl === undefined ? { connect: undefined } : {}) };
      return examine({ ...request, log, poller: { ...request.poller, kafka: undefined } }, setup.options);
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}
