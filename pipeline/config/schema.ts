import * as z from 'zod';
import { checkDialect, checkFormat, checkThreads } from './checks.ts';
import { model } from './settings/model-settings.ts';
import { flag, int, name } from './settings/plain-settings.ts';
import { onTooLarge, pace, pollerTableSchema, sweep } from './settings/poller-table-settings.ts';
import { checkSecrets } from './secrets.ts';
import { services } from './settings/services-settings.ts';

/**
 * The shape of pipeline.yaml. After `${NAME}` interpolation every scalar may be a string, so numbers and booleans are read
 * from their text. `.describe()` texts reach editors through pipeline.schema.json.
 */

const port = int(1, 65_535);

const credentials = z.strictObject({
  user: name.describe('User name.'),
  password: z.string().default('').describe('As ${NAME}: never in the file.'),
});

const tls = z.strictObject({
  rejectUnauthorized: flag.default(true).describe('Refuse a server whose certificate is not signed by a trusted CA.'),
  caFile: name.optional().describe('PEM file with the CA certificate.'),
  certFile: name.optional().describe('PEM file with the client certificate.'),
  keyFile: name.optional().describe('PEM file with the key of the client certificate.'),
});

const schemaRegistry = z.strictObject({
  url: z.url().describe("Address of Confluent's API: http://localhost:8081 for example. Apicurio serves it at …/apis/ccompat/v7."),
  username: name.optional().describe('Basic auth. Confluent Cloud: the API key.'),
  password: z.string().optional().describe('Basic auth. Confluent Cloud: the API secret.'),
  tls: tls.optional(),
  requestTimeoutMs: int(100).default(10_000).describe('How long a request may take.'),
});

/** How events are written; every format is read. */
const formats = z.enum(['json', 'avro', 'json-schema']);

const database = z.strictObject({
  host: name.default('localhost').describe('Host of the server.'),
  port: port.default(5432).describe('Port of the server.'),
  database: name.describe('Name of the database.'),
  tls: tls.optional(),
});

const legacyDb = database.extend({
  dialect: z
    .enum(['postgres', 'mariadb', 'h2'])
    .optional()
    .describe(
      'Kind of server. Default: postgres. mariadb also covers MySQL: the poller is then best effort. h2: the poller only, best effort, through H2’s server of the Postgres protocol. Set port too.',
    ),
  pooler: z
    .enum(['session'])
    .optional()
    .describe(
      'Set to session if host and port lead to a connection pooler in session mode. Otherwise the poller refuses a pooler, because it cannot be exact in transaction mode.',
    ),
  roles: z
    .strictObject({
      owner: credentials.optional().describe('The owner of the tables. Used by connectors prepare, legacy-db and the demo only.'),
      application: credentials.optional().describe('The old application. Used by the workload generator only.'),
      poller: credentials.optional().describe('Reads the tables. Needs SELECT and nothing else. Left out: the replicator reads them.'),
      replicator: credentials.optional().describe('Debezium. Needs LOGIN, REPLICATION and SELECT.'),
    })
    .transform((roles, context) => {
      const poller = roles.poller ?? roles.replicator;
      if (poller !== undefined) return { ...roles, poller };
      context.addIssue({ code: 'custom', path: ['poller'], message: 'expected a role that reads the tables: poller, or replicator' });
      return z.NEVER;
    })
    .describe('One role for each duty, each with as few rights as possible.'),
});

const kafka = z.strictObject({
  brokers: z
    .array(name)
    .min(1)
    .or(z.string().transform((list) => list.split(',').map((broker) => broker.trim())))
    .describe('Addresses as host:port: a list, or one text with commas.'),
  clientId: name.default('legacy-cdc-bridge').describe('Client id that brokers see in their logs and quotas.'),
  client: z
    .enum(['kafkajs', 'platformatic'])
    .default('kafkajs')
    .describe(
      'The Kafka library. platformatic is faster and needs Kafka 3.0 or newer. All processes of one consumer group must use the same one.',
    ),
  tls: tls.optional(),
  sasl: z
    .strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).describe('SASL mechanism.'),
      username: name.describe('SASL user name.'),
      password: name.describe('SASL password, as ${NAME}.'),
    })
    .optional(),
  compression: z
    .enum(['zstd', 'gzip', 'none'])
    .default('zstd')
    .describe('Compression of the topics that the poller writes. kafkajs alone reads gzip and none only; most other clients read all.'),
  whenUnavailable: z.enum(['wait', 'exit']).default('wait').describe('If no broker answers at start: wait for one, or exit with an error.'),
  requestTimeoutMs: int(1000)
    .default(10_000)
    .describe('A broker that does not answer a request within this time counts as lost; its connection is closed.'),
  maxBatchMb: int(1, 1024)
    .default(64)
    .describe('Largest size of an unpacked record batch, in MiB. A larger batch is not read: its partition halts and reports it.'),
  partitions: int(1).default(3).describe('Number of partitions of topics that this project creates.'),
  replicationFactor: int(-1).default(-1).describe('Replicas of topics that this project creates. -1: the default of the broker.'),
});

const http = z.strictObject({
  host: name.default('127.0.0.1').describe('Address to listen on. There is no login: choose one that only monitoring reaches.'),
  port: int(0, 65_535).describe('Port for /metrics, /livez, /readyz and /status. 0 takes a free port, which the log names.'),
});

const poller = z.strictObject({
  name: name
    .regex(/^[\w.-]+$/, 'expected letters, digits, dot, dash or underscore')
    .describe('Name of the poller. Transactional ids, positions and the consumer group contain it.'),
  topicPrefix: name
    .regex(/^[\w.-]+$/)
    .default('query')
    .describe('Start of every topic name.'),
  format: formats.default('json').describe('Format of keys and values. avro and json-schema need schemaRegistry.'),
  compatibility: z
    .enum(['NONE', 'BACKWARD', 'FORWARD', 'FULL', 'BACKWARD_TRANSITIVE', 'FORWARD_TRANSITIVE', 'FULL_TRANSITIVE'])
    .default('BACKWARD')
    .describe('Compatibility level that the poller sets on a subject without a level of its own when it first registers a schema.'),
  pollIntervalMs: int(1)
    .default(100)
    .describe('Fixed interval between the starts of two polls, unless minIntervalMs or maxIntervalMs is set.'),
  ...pace,
  connections: int(1)
    .optional()
    .describe(
      'Most connections to the legacy database that the tables of a process share. A table keeps one while it reads, and one that is being loaded until the load has ended. Default: each table has its own.',
    ),
  heartbeatMs: int(1).default(5000).describe('How often a table without changes writes a heartbeat to <topicPrefix>.cdc.heartbeat.'),
  statementTimeoutMs: int(1).default(60_000).describe('Longest time for a query, and for its wait for a lock.'),
  stuckAfterMs: int(1)
    .default(15_000)
    .describe('A table without a successful poll for this long, and for ten intervals, counts as stuck and not ready.'),
  sharing: z
    .enum(['group', 'takeover'])
    .default('group')
    .describe(
      'Several processes with this name: group shares the tables as a Kafka consumer group; with takeover the newest process takes all tables.',
    ),
  sessionTimeoutMs: int(1000)
    .default(6000)
    .describe(
      'With sharing: group: how long a process may be silent before its tables move. At least group.min.session.timeout.ms of the broker.',
    ),
  http: http.optional(),
  onTooLarge: onTooLarge
    .default('fail')
    .describe(
      'A row that is larger than its topic allows. fail: the table waits. skip: leave the row out. dead-letter: leave it out and report it in <topicPrefix>.dead-letter.',
    ),
  maskSecret: z.string().default('').describe('Salt for mask: hash. As ${NAME}: never in the file.'),
  discoveryIntervalMs: int(1000)
    .default(30_000)
    .describe(
      'How often to look for new tables that match a pattern. Less often where a look takes more than a tenth of that: with thousands of tables.',
    ),
  loadWorkers: int(1, 64)
    .optional()
    .describe(
      'Threads that read and encode the first load of a table, each with a connection of its own; one table of the process at a time has them. 1: none. Default: half of the processors, at most 4. Not with connections, maxRowsPerSecond or dutyCycle: one connection then reads the load.',
    ),
  threads: int(1, 64)
    .default(1)
    .describe(
      'Threads that poll tables side by side, for many tables on several processors. They share the tables as further processes would, and loadWorkers is shared among them. Needs sharing: group; not with connections, maxRowsPerSecond or dutyCycle. start --once uses one.',
    ),
  pageRows: int(1, 100_000).default(5000).describe('Most rows that one query reads. Large rows: fewer.'),
  clockMarginMs: int(0)
    .default(1000)
    .describe('How far the floor stays below the fence, for timestamps from a clock that is a little behind.'),
  rememberedKeysMax: int(1)
    .default(200_000)
    .describe('Most keys to remember per table while an old transaction is open. Beyond it, rows wait for that transaction.'),
  tables: z.array(pollerTableSchema).min(1),
});

const guard = z
  .strictObject({
    intervalMs: int(100).default(10_000).describe('How often the guard checks Connect and the source.'),
    warnBytes: int(1)
      .default(2 ** 30)
      .describe('Warn if the slot keeps more WAL in the source than this.'),
    dropSlotBytes: int(1)
      .optional()
      .describe('Drop the slot if it keeps more WAL than this. Changes that it had not delivered are then lost. Default: never.'),
    warnHeartbeatMs: int(1)
      .default(60_000)
      .describe(
        'Warn if the last heartbeat of the connector is older than this, and than three of its intervals. cdc doctor uses the same limit.',
      ),
    restartMax: int(0).default(5).describe('Most restarts of a FAILED connector in a row. Then the guard reports it and leaves it FAILED.'),
    restartBackoffMs: int(1).default(5000).describe('Wait before the first restart. It doubles with each restart.'),
    restartBackoffMaxMs: int(1).default(300_000).describe('Longest wait before a restart.'),
  })
  .refine(({ warnBytes, dropSlotBytes }) => dropSlotBytes === undefined || dropSlotBytes > warnBytes, {
    message: 'expected more than warnBytes, so that a warning comes first',
    path: ['dropSlotBytes'],
  });

const connect = z.strictObject({
  url: z.url().default('http://localhost:8083').describe('REST address of Kafka Connect.'),
  username: z.string().optional().describe('Basic auth; empty for none.'),
  password: z.string().optional().describe('Basic auth, as ${NAME}.'),
  tls: tls.optional(),
  connectors: z.array(name).default([]).describe('Connector files in the format of Connect, relative to pipeline.yaml.'),
  topicPrefix: name.default('log').describe('The topic.prefix of the connector files. A file with another prefix is refused.'),
  guard: guard.prefault({}).describe('What cdc connectors watch does by itself.'),
});

const readModel = database.extend({
  user: name.describe('User name.'),
  password: z.string().default('').describe('As ${NAME}: never in the file.'),
  http: http.optional(),
  models: z
    .record(z.string().regex(/^[a-z_][a-z0-9_]*$/), model)
    .describe('One read model for each strategy. Its name is the name of its schema.'),
});

const comparison = z.strictObject({
  sweep: z
    .strictObject({
      name: name.regex(/^[\w.-]+$/, 'expected letters, digits, dot, dash or underscore').describe('Name of the second poller.'),
      topicPrefix: name
        .regex(/^[\w.-]+$/)
        .default('sweep')
        .describe('Start of its topic names.'),
      sweep: sweep.prefault({}).describe('Key sweep of its tables.'),
      http: http.optional(),
    })
    .optional()
    .describe('A third contender: a second poller for the same tables, with the key sweep on. Start it with cdc poller start --sweep.'),
});

export const pipelineSchema = z
  .strictObject({
    legacyDb,
    kafka,
    schemaRegistry: schemaRegistry
      .optional()
      .describe('A schema registry with the API of Confluent. Needed for Avro and JSON Schema only.'),
    poller: poller.optional(),
    connect: connect.optional(),
    readModel: readModel.optional(),
    services: services.optional().describe('Services around the pipeline. Start them with cdc services start (docs/services.md).'),
    comparison: comparison.optional(),
  })
  .superRefine(checkDialect)
  .superRefine(checkFormat)
  .superRefine(checkThreads)
  .superRefine(checkSecrets);

/** pipeline.yaml, validated, defaults filled in. */
export type PipelineConfig = z.output<typeof pipelineSchema>;
export type KafkaConfig = PipelineConfig['kafka'];
export type SchemaRegistryConfig = NonNullable<PipelineConfig['schemaRegistry']>;
export type WireFormat = z.output<typeof formats>;
export type LegacyDbConfig = PipelineConfig['legacyDb'];
export type PollerConfig = NonNullable<PipelineConfig['poller']>;
export type PollerTableConfig = PollerConfig['tables'][number];
export type ConnectConfig = NonNullable<PipelineConfig['connect']>;
export type GuardConfig = ConnectConfig['guard'];
export type ReadModelConfig = NonNullable<PipelineConfig['readModel']>;
/** What answers when the read model is away. */
export type FallbackConfig = NonNullable<QueryApiConfig['fallback']>;
export type OrdersConfig = NonNullable<NonNullable<PipelineConfig['services']>['orders']>;
/** How a service listens. */
export type ServiceHttpConfig = Pick<
  QueryApiConfig,
  'http' | 'monitoring' | 'tls' | 'trustedProxies' | 'rateLimit' | 'requestTimeoutMs' | 'endWithinMs'
>;
/** Whose tokens a service takes. */
export type ServiceAuthConfig = Pick<QueryApiConfig, 'auth' | 'jwt'>;
export type QueryApiConfig = NonNullable<NonNullable<PipelineConfig['services']>['queryApi']>;
export type Credentials = z.output<typeof credentials>;
export type TlsConfig = z.output<typeof tls>;
