import { join } from 'node:path';
import { escapeIdentifier, type ClientConfig } from 'pg';
import { parseTableId } from '#change-events/index.ts';
import { prepareSource, readConnectorFile, type ConnectorConfig, type ConnectorFile } from '#connectors/index.ts';
import { examine } from '#doctor/examine.ts';
import type { ExamineOptions } from '#doctor/request.ts';
import type { Finding, Strategy } from '#doctor/finding.ts';
import type { Report } from '#doctor/report.ts';
import { doctorRequest } from '#doctor/request.ts';
import { migrate } from '#legacy-db/migrate.ts';
import { pipelineSchema, postgresClientConfig, type PipelineConfig } from '#pipeline/index.ts';
import { startOwnPostgres, type OwnPostgres } from './own-postgres.ts';
import { testConnectAccess } from './connect.ts';
import { testStack, uniqueName } from './stack.ts';

/** Settings with which nothing is to be found. */
const healthySettings = {
  wal_level: 'logical',
  max_wal_senders: '4',
  max_replication_slots: '4',
  max_slot_wal_keep_size: '1GB',
  max_prepared_transactions: '4',
  autovacuum: 'off',
};
const orderTables = ['public.customers', 'public.products', 'public.orders', 'public.order_items'];

export type DoctorBench = AsyncDisposable & {
  readonly server: OwnPostgres;
  /** A database with the order system, cloned; nothing prepared for the log. */
  readonly database: () => Promise<DoctorDatabase>;
  /** One that is there; `legacy` is the template. Disposing leaves it. */
  readonly existing: (name: string) => DoctorDatabase;
};

export type DoctorDatabase = AsyncDisposable & {
  readonly name: string;
  readonly login: (duty: 'owner' | 'application' | 'poller' | 'replicator') => ClientConfig;
  /** As the superuser, in this database. */
  readonly run: OwnPostgres['run'];
  readonly pipeline: (changes?: PipelineChanges) => PipelineConfig;
  /** The shipped connector file for this database. */
  readonly file: (overrides?: ConnectorConfig) => Promise<ConnectorFile>;
  /** cdc connectors prepare. */
  readonly prepare: (file: ConnectorFile) => Promise<void>;
  /** Findings of one strategy. The log's without Connect, unless `connectUrl` is given. */
  readonly examine: (strategies: readonly Strategy[], setup?: Setup) => Promise<Report>;
};

export type PipelineChanges = {
  readonly tables?: readonly unknown[];
  readonly roles?: Readonly<Record<string, unknown>>;
  readonly topicPrefix?: string;
  /** In place of this server and database. */
  readonly location?: { readonly port?: number; readonly database?: string };
};

export type Setup = PipelineChanges & {
  readonly files?: readonly ConnectorFile[];
  readonly connectUrl?: string;
  readonly warnHeartbeatMs?: number;
  readonly options?: ExamineOptions;
};

/** A server of the test file's own, healthy, with a template of the order system. */
export async function startDoctorBench(version?: 15): Promise<DoctorBench> {
  const server = await startOwnPostgres(healthySettings, version);
  const { roles, kafka } = await testStack();
  const { host, port } = server;
  const login = (duty: keyof typeof roles, database: string): ClientConfig =>
    postgresClientConfig({ host, port, database }, roles[duty], `test ${duty}`);
  await migrate(login('owner', 'legacy'), {
    ledger: false,
    roles: { application: roles.application.user, poller: roles.poller.user, replicator: roles.replicator.user },
  });
  const create = async (): Promise<DoctorDatabase> => {
    const name = uniqueName('doctor');
    await server.run(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE legacy OWNER ${escapeIdentifier(roles.owner.user)}`);
    return existing(name, async () => {
      const slots = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}' AND NOT active`;
      await server.run(slots);
      await server.run(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
    });
  };
  const existing = (name: string, dispose: () => Promise<void>): DoctorDatabase => {
    const pipeline = ({
      tables = orderTables.map((table) => ({ table })),
      roles: changed = {},
      topicPrefix = 'log',
      location,
    }: PipelineChanges = {}) =>
      pipelineSchema.parse({
        legacyDb: { host, port, database: name, ...location, roles: { ...roles, ...changed } },
        kafka: { brokers: kafka.brokers },
        poller: { name, tables },
        connect: { url: 'http://127.0.0.1:1', topicPrefix },
      });
    return {
      name,
      login: (duty) => login(duty, name),
      run: (sql) => server.run(sql, name),
      pipeline,
      file: async (overrides = {}) => {
        const shipped = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', 'legacy-orders.json'));
        const config = {
          ...shipped.config,
          name,
          'database.hostname': host,
          'database.port': String(port),
          'database.dbname': name,
          'slot.name': name,
          ...overrides,
        };
        return { name, config };
      },
      prepare: async ({ config }) => {
        const helpers = new Set(['cdc.heartbeat', 'cdc.signal']);
        const named = (config['table.include.list'] ?? '').split(',').filter((table) => !helpers.has(table));
        await prepareSource(login('owner', name), {
          tables: named.map(parseTableId),
          publication: config['publication.name'] ?? '',
          replicator: roles.replicator.user,
        });
      },
      examine: async (strategies, { files = [], connectUrl, warnHeartbeatMs, options, ...changes } = {}) => {
        const config = pipeline(changes);
        const { connect } = config;
        const located =
          connectUrl === undefined || connect === undefined
            ? config
            : { ...config, connect: { ...connect, ...(await testConnectAccess()), url: connectUrl } };
        const request = await doctorRequest(located, '/', strategies);
        if (request.dialect !== 'postgres') throw new TypeError('not a Postgres');
        const log = {
          ...request.log,
          files,
          findings: [],
          ...(connectUrl === undefined ? { connect: undefined } : {}),
          ...(warnHeartbeatMs === undefined ? {} : { warnHeartbeatMs }),
        };
        // Kafka is asked where a test says so: topics and positions are tests of their own.
        return examine({ ...request, log, poller: { ...request.poller, kafka: undefined } }, options);
      },
      [Symbol.asyncDispose]: dispose,
    };
  };
  return {
    server,
    database: create,
    existing: (name) => existing(name, async () => undefined),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** `severity CODE subject`, for comparing. */
export function briefly({ findings }: Report): readonly string[] {
  return findings.map(({ severity, code, subject }) => `${severity} ${code} ${subject.name}`);
}

export function findingOf({ findings }: Report, code: Finding['code']): Finding | undefined {
  return findings.find((finding) => finding.code === code);
}
