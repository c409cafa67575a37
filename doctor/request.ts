import { resolve } from 'node:path';
import type { ClientConfig } from 'pg';
import {
  CdcError,
  describeError,
  mariadbConnectionOptions,
  postgresClientConfig,
  silentLogger,
  type Credentials,
  type LegacyDbConfig,
  type PipelineConfig,
  type PollerConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { connectKafka, type Kafka } from '#kafka/index.ts';
import type { MariadbSource } from '#connectors/mariadb/mariadb-source.ts';
import { readConnectorFile, type ConnectorFile } from '#connectors/config-file.ts';
import { connectClient, type ConnectClient } from '#connectors/rest/client.ts';
import { finding, type Finding, type Strategy } from './finding.ts';

export type ExamineOptions = {
  readonly signal?: AbortSignal;
  /** A transaction that has been open for this long, in seconds, is a finding. Default 30. */
  readonly oldSeconds?: number;
  /** This host's clock in ms. Default Date.now. */
  readonly now?: () => number;
};

/** {@link ExamineOptions} with its defaults. */
export type Settings = Required<ExamineOptions>;

/** What to examine in a Postgres. */
export type DoctorRequest = { readonly dialect: 'postgres' } & Request<ClientConfig>;
/** What to examine in a MariaDB. */
export type MariadbRequest = { readonly dialect: 'mariadb' } & Request<MariadbSource>;

export type PollerRequest = {
  readonly tables: readonly PollerTableConfig[];
  /** Undefined where there is no poller to be examined. */
  readonly settings: PollerConfig | undefined;
  /** Undefined: it is not to be asked. `brokers` is for people. */
  readonly kafka: { readonly cluster: Kafka; readonly brokers: string } | undefined;
};

/** What to examine in an H2: the query-based strategy alone, as the poller's judge sees it. */
export type H2Request = { readonly dialect: 'h2' } & Request<null>;

/** Everything that an examination needs to know. Nothing in it is open. */
type Request<Login> = {
  readonly strategies: readonly Strategy[];
  /** host:port and name of the database, for people. */
  readonly server: string;
  readonly database: string;
  readonly poller: PollerRequest & {
    readonly login: Login;
    readonly role: string;
    /** As the poller itself logs in, for its judge. */
    readonly legacyDb: LegacyDbConfig;
  };
  readonly log: {
    readonly replicator: { readonly login: Login; readonly role: string } | undefined;
    readonly ownerRole: string | undefined;
    readonly connect: ConnectClient | undefined;
    /** connect.guard.warnHeartbeatMs: from when on a heartbeat is late. */
    readonly warnHeartbeatMs: number;
    readonly topicPrefix: string;
    readonly files: readonly ConnectorFile[];
    /** Files that cannot be read. */
    readonly findings: readonly Finding[];
  };
};

/**
 * What pipeline.yaml asks to examine. `wanted` undefined: whatever it configures.
 *
 * @throws CdcError CONFIG_INVALID when a wanted strategy is not configured, or none is; DIALECT_UNSUPPORTED for the log of an H2
 */
export async function doctorRequest(
  config: PipelineConfig,
  configFolder: string,
  wanted: readonly Strategy[] | undefined,
): Promise<DoctorRequest | MariadbRequest | H2Request> {
  const { legacyDb, poller, connect, kafka } = config;
  const configured: Strategy[] = [];
  if (poller !== undefined) configured.push('query');
  if (connect !== undefined) configured.push('log');
  const strategies = wanted ?? configured;
  const missing = strategies.find((strategy) => !configured.includes(strategy));
  if (missing !== undefined || strategies.length === 0) {
    const section = missing === 'query' ? 'poller' : missing === 'log' ? 'connect' : 'poller or connect';
    throw new CdcError('CONFIG_INVALID', `pipeline.yaml has no ${section} section: there is nothing to examine`, {
      remedy: 'Add it with its tables or connectors, or examine the other strategy (--strategy query|log).',
    });
  }
  if (legacyDb.dialect === 'h2' && strategies.includes('log')) {
    throw new CdcError(
      'DIALECT_UNSUPPORTED',
      `${legacyDb.host}:${legacyDb.port}/${legacyDb.database} is an H2, which has no log to capture`,
    );
  }
  const files = strategies.includes('log') ? await connectorFiles(connect?.connectors ?? [], configFolder) : { files: [], findings: [] };
  const request = <Login>(login: (credentials: Credentials) => Login): Request<Login> => {
    const { roles } = legacyDb;
    return {
      strategies,
      server: `${legacyDb.host}:${legacyDb.port}`,
      database: legacyDb.database,
      poller: {
        login: login(roles.poller),
        role: roles.poller.user,
        tables: strategies.includes('query') ? (poller?.tables ?? []) : [],
        settings: poller,
        kafka: { cluster: connectKafka(kafka, silentLogger), brokers: kafka.brokers.join(', ') },
        legacyDb,
      },
      log: {
        replicator: roles.replicator === undefined ? undefined : { login: login(roles.replicator), role: roles.replicator.user },
        ownerRole: roles.owner?.user,
        connect: connect === undefined ? undefined : connectClient(connect),
        warnHeartbeatMs: connect?.guard.warnHeartbeatMs ?? 0,
        topicPrefix: connect?.topicPrefix ?? '',
        ...files,
      },
    };
  };
  if (legacyDb.dialect === 'h2') return { dialect: 'h2', ...request(() => null) };
  if (legacyDb.dialect === 'mariadb') {
    const { database: _none, ...location } = legacyDb;
    const connection = (credentials: Credentials): MariadbSource['connection'] =>
      mariadbConnectionOptions(location, credentials, 'cdc doctor');
    return {
      dialect: 'mariadb',
      ...request<MariadbSource>((credentials) => ({ dialect: 'mariadb', connection: connection(credentials) })),
    };
  }
  return { dialect: 'postgres', ...request((credentials) => postgresClientConfig(legacyDb, credentials, 'cdc doctor')) };
}

async function connectorFiles(
  paths: readonly string[],
  folder: string,
): Promise<{ readonly files: readonly ConnectorFile[]; readonly findings: readonly Finding[] }> {
  const files: ConnectorFile[] = [];
  const findings: Finding[] = [];
  if (paths.length === 0) findings.push(finding('CONNECTOR_NONE', 'log', { kind: 'setting', name: 'connect.connectors' }, {}));
  for (const path of paths) {
    try {
      files.push(await readConnectorFile(resolve(folder, path)));
    } catch (error) {
      const detail = describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
      findings.push(finding('CONNECTOR_FILE_UNUSABLE', 'log', { kind: 'connector', name: path }, { detail }));
    }
  }
  return { files, findings };
}
