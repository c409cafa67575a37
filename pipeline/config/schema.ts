import * as z from 'zod';

/**
 * The shape of pipeline.yaml. After `${NAME}` interpolation every scalar may be a string, so numbers and booleans are read
 * from their text. `.describe()` texts reach editors through pipeline.schema.json.
 */

/** A whole number, or the text of one. Not coerced: a setting left empty, or `true`, is not a number. */
const int = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+$/.test(value.trim()) ? Number(value) : value),
    z
      .int(`expected a whole number from ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`}`)
      .min(minimum)
      .max(maximum),
  );
const port = int(1, 65_535);
const flag = z.stringbool().or(z.boolean());
const name = z.string().min(1);
const tableName = z.string().regex(/^[^.]+\.[^.]+$/, 'expected schema.table');

const credentials = z.strictObject({ user: name, password: z.string().default('') });

const tls = z.strictObject({
  rejectUnauthorized: flag.default(true).describe('Refuse a server whose certificate no trusted CA signed.'),
  caFile: name.optional().describe('PEM file with the CA certificate.'),
  certFile: name.optional(),
  keyFile: name.optional(),
});

const database = z.strictObject({
  host: name.default('localhost'),
  port: port.default(5432),
  database: name,
  tls: tls.optional(),
});

const legacyDb = database.extend({
  roles: z
    .strictObject({
      owner: credentials.optional().describe('Owns the tables. Only legacy-db migrate/seed and the demo use it.'),
      application: credentials.optional().describe('The old application. Only the workload generator uses it.'),
      poller: credentials.describe('Reads the tables, nothing else: SELECT is enough.'),
      replicator: credentials.optional().describe('Debezium: LOGIN REPLICATION and SELECT.'),
    })
    .describe('One role per duty, each with the least rights.'),
});

const kafka = z.strictObject({
  brokers: z
    .array(name)
    .min(1)
    .or(z.string().transform((list) => list.split(',').map((broker) => broker.trim()))),
  clientId: name.default('legacy-cdc-bridge'),
  tls: tls.optional(),
  sasl: z.strictObject({ mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']), username: name, password: name }).optional(),
  whenUnavailable: z.enum(['wait', 'exit']).default('wait').describe('What a process does when no broker answers at start.'),
  partitions: int(1).default(3).describe('Partitions of the topics that this project creates.'),
  replicationFactor: int(-1).default(-1).describe("-1 takes the broker's default."),
});

export const pollerTableSchema = z.strictObject({
  table: tableName,
  mode: z.enum(['timestamp+incrementing']).default('timestamp+incrementing'),
  timestampColumn: name.default('updated_at'),
  incrementingColumn: name.default('id'),
  pollIntervalMs: int(1).optional().describe("Overrides the poller's interval for this table."),
});

const poller = z.strictObject({
  name: name
    .regex(/^[\w.-]+$/, 'expected letters, digits, dot, dash or underscore')
    .describe('Transactional ids, positions and topics hang on it.'),
  topicPrefix: name.regex(/^[\w.-]+$/).default('query'),
  pollIntervalMs: int(1).default(100),
  pageRows: int(1, 100_000).default(1000).describe('Rows read by one query.'),
  clockMarginMs: int(0)
    .default(1000)
    .describe('How far below the fence the timestamp floor is kept, for clocks that a transaction read before it became visible.'),
  rememberedKeysMax: int(1)
    .default(200_000)
    .describe('Keys remembered per table while an old transaction is open; past it, rows wait for that transaction.'),
  tables: z.array(pollerTableSchema).min(1),
});

const connect = z.strictObject({
  url: z.url().default('http://localhost:8083'),
  username: name.optional(),
  password: z.string().optional(),
  connectors: z.array(name).default([]).describe('Connector configuration files, as Connect takes them, relative to pipeline.yaml.'),
  topicPrefix: name.default('log').describe("The connector's topic.prefix."),
});

const readModel = database.extend({
  user: name,
  password: z.string().default(''),
  models: z
    .record(z.string().regex(/^[a-z_][a-z0-9_]*$/), z.strictObject({ topicPrefix: name, groupId: name }))
    .describe('One read model per strategy: its name is the schema that holds it.'),
});

export const pipelineSchema = z.strictObject({
  legacyDb,
  kafka,
  poller: poller.optional(),
  connect: connect.optional(),
  readModel: readModel.optional(),
});

/** pipeline.yaml, validated, defaults filled in. */
export type PipelineConfig = z.output<typeof pipelineSchema>;
export type KafkaConfig = PipelineConfig['kafka'];
export type LegacyDbConfig = PipelineConfig['legacyDb'];
export type PollerConfig = NonNullable<PipelineConfig['poller']>;
export type PollerTableConfig = PollerConfig['tables'][number];
export type ConnectConfig = NonNullable<PipelineConfig['connect']>;
export type ReadModelConfig = NonNullable<PipelineConfig['readModel']>;
export type Credentials = z.output<typeof credentials>;
export type TlsConfig = z.output<typeof tls>;
