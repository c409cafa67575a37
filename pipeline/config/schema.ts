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
/** A number above 0 and up to 1, or the text of one. */
const share = z.preprocess(
  (value) => (typeof value === 'string' && /^\d*\.?\d+$/.test(value.trim()) ? Number(value) : value),
  z.number('expected a number above 0, up to 1').gt(0).max(1),
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

const schemaRegistry = z.strictObject({
  url: z.url().describe("Where the registry speaks Confluent's API, as http://localhost:8081 or, of Apicurio, …/apis/ccompat/v7."),
  username: name.optional(),
  password: z.string().optional(),
  tls: tls.optional(),
  requestTimeoutMs: int(100).default(10_000),
});

/** How events are written; every format is read. */
const formats = z.enum(['json', 'avro', 'json-schema']);

const database = z.strictObject({
  host: name.default('localhost'),
  port: port.default(5432),
  database: name,
  tls: tls.optional(),
});

const legacyDb = database.extend({
  dialect: z
    .enum(['postgres', 'mariadb'])
    .optional()
    .describe(
      'What the server is. Default: postgres. mariadb (and MySQL): the poller, through an overlap window, which is best effort, and connectors; set port.',
    ),
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
  client: z
    .enum(['kafkajs', 'platformatic'])
    .default('kafkajs')
    .describe(
      'The Kafka library: kafkajs, or @platformatic/kafka, which is faster and wants Kafka 3.0. All members of a group must use the same.',
    ),
  tls: tls.optional(),
  sasl: z.strictObject({ mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']), username: name, password: name }).optional(),
  whenUnavailable: z.enum(['wait', 'exit']).default('wait').describe('What a process does when no broker answers at start.'),
  requestTimeoutMs: int(1000)
    .default(10_000)
    .describe('A broker that leaves a request unanswered for this long counts as lost: the connection to it is given up.'),
  partitions: int(1).default(3).describe('Partitions of the topics that this project creates.'),
  replicationFactor: int(-1).default(-1).describe("-1 takes the broker's default."),
});

/** How fast a poller, or one of its tables, may go. */
const pace = {
  minIntervalMs: int(1).optional().describe('Set with or without maxIntervalMs: the interval adapts. A busy table is asked this often.'),
  maxIntervalMs: int(1).optional().describe('An idle table is asked this often.'),
  maxRowsPerSecond: int(1).optional().describe('Rows read per second, on average, a load included.'),
  dutyCycle: share.optional().describe('Share of time in which queries may run, 0 to 1, a load included.'),
};

const onTooLarge = z.enum(['fail', 'skip', 'dead-letter']);

/** What a masked column shows in place of its value. */
const mask = z.enum(['hash', 'null']).or(z.strictObject({ fixed: z.string().or(z.number()).or(z.boolean()) }));

/** An instant with its zone or offset; a date alone would be guessed at. */
const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$/, 'expected a time as 2026-01-31T00:00:00Z');

const timeZone = z.string().refine(isTimeZone, 'expected the name of a time zone, as Europe/Berlin or UTC');

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

const sweep = z.strictObject({
  intervalMs: int(1).default(60_000).describe('From the end of one sweep to the beginning of the next.'),
  maxDeletes: int(1).default(1000).describe('A sweep that misses more keys is not believed: it publishes nothing and says so.'),
  chunkKeys: int(1, 1_000_000).default(10_000).describe('Keys compared by one query.'),
  listKeys: int(1, 1_000_000).default(200).describe('A range of at most so many keys that differs is listed, a longer one halved.'),
  maxKeys: int(1).default(5_000_000).describe('Published keys held in memory, about 60 bytes each.'),
});

export const pollerTableSchema = z
  .strictObject({
    table: tableName.describe('schema.table. With * or ?: every table that matches, new ones while running too.'),
    exclude: z.array(tableName).optional().describe('Of a pattern: tables to leave out, patterns too.'),
    query: name
      .optional()
      .describe('A SELECT in place of the table, which then only names the topic. Has no fence: see overlapMs; declare key.'),
    mode: z
      .enum(['timestamp+incrementing', 'timestamp', 'incrementing', 'bulk'])
      .default('timestamp+incrementing')
      .describe('What tells that a row is new. docs/poller.md compares them.'),
    timestampColumn: name
      .or(z.array(name).min(1))
      .default('updated_at')
      .describe('Set by every insert and update. Of several, the first that is not null counts.'),
    incrementingColumn: name.default('id').describe('Orders rows of one timestamp; in mode incrementing, the id that only grows.'),
    key: z.array(name).min(1).optional().describe('Columns of the event key, unique and not null. Default: the primary key.'),
    timeZone: timeZone.optional().describe('In which the application writes a timestamp column without time zone.'),
    idsAscend: flag
      .default(false)
      .describe('Mode incrementing: declares that ids ascend in the order in which they are drawn, where no sequence proves it.'),
    startFrom: z
      .enum(['everything', 'now'])
      .or(instant)
      .or(z.string().regex(/^-?\d+$/, 'expected an id'))
      .or(z.int().transform(String))
      .default('everything')
      .describe('Where a table without a position begins: everything, now, a time (2026-01-31T00:00:00Z), or an id (mode incrementing).'),
    includeColumns: z.array(name).min(1).optional().describe('Only these columns stand in events; the others are not read.'),
    excludeColumns: z.array(name).min(1).optional().describe('These columns do not stand in events and are not read.'),
    mask: z
      .record(name, mask)
      .optional()
      .describe('Column → hash (SHA-256 of salt and value), null, or {fixed: value}. Never for key columns.'),
    topic: name
      .regex(/^[\w.-]{1,249}$/, 'expected letters, digits, dot, dash or underscore')
      .optional()
      .describe('In place of <topicPrefix>.<schema>.<table>.'),
    onTooLarge: onTooLarge.optional().describe("Overrides the poller's onTooLarge for this table."),
    onRewrite: z
      .enum(['rescan', 'ignore'])
      .optional()
      .describe(
        'After TRUNCATE or a rewrite of the table: read it all once for what is new. Default: rescan in mode incrementing, else ignore.',
      ),
    overlapMs: int(0)
      .default(60_000)
      .describe('Where there is no fence (views, queries, MariaDB): how long a row may commit after its timestamp and still be seen.'),
    overlapIds: int(0)
      .default(1000)
      .describe('Mode incrementing where there is no fence (MariaDB): how far below the highest id a row may come late and still be seen.'),
    pollIntervalMs: int(1).optional().describe("A fixed interval for this table, in place of the poller's."),
    sweep: sweep.optional().describe('Finds deletes by comparing keys now and then; the primary key must be one integer or uuid column.'),
    ...pace,
  })
  .superRefine(checkTable);

type WrittenTable = {
  readonly table: string;
  readonly mode: string;
  readonly query?: string | undefined;
  readonly startFrom: string;
  readonly pollIntervalMs?: number | undefined;
  readonly [setting: string]: unknown;
};

/** What single settings cannot tell: those that contradict one another. */
function checkTable(table: WrittenTable, context: z.RefinementCtx): void {
  const refuse = (setting: string, message: string): void => context.addIssue({ code: 'custom', path: [setting], message });
  const isPattern = /[*?]/.test(table.table);
  const { mode, startFrom } = table;
  if (isPattern && table.query !== undefined) refuse('query', 'a query belongs to one table, not to a pattern');
  if (isPattern && table['topic'] !== undefined) refuse('topic', 'tables of a pattern need topics of their own: leave it out');
  if (!isPattern && table['exclude'] !== undefined) refuse('exclude', 'belongs to a pattern: table has no * or ?');
  if (mode === 'bulk' && table.pollIntervalMs === undefined) {
    refuse('pollIntervalMs', 'is needed in mode bulk, which publishes the whole table every time');
  }
  if (mode === 'incrementing' && table.query !== undefined) refuse('mode', 'a query has no fence on ids: expected timestamp or bulk');
  const isId = /^-?\d+$/.test(startFrom);
  if (isId && mode !== 'incrementing') refuse('startFrom', 'an id belongs to mode incrementing');
  if (!isId && mode === 'incrementing' && !/^[en]/.test(startFrom)) refuse('startFrom', 'mode incrementing begins at an id, not at a time');
  if (mode === 'bulk' && startFrom !== 'everything') refuse('startFrom', 'mode bulk reads everything');
  if (table['includeColumns'] !== undefined && table['excludeColumns'] !== undefined) {
    refuse('excludeColumns', 'expected includeColumns or excludeColumns, not both');
  }
}

const http = z.strictObject({ host: name.default('127.0.0.1'), port: int(0, 65_535) });

const poller = z.strictObject({
  name: name
    .regex(/^[\w.-]+$/, 'expected letters, digits, dot, dash or underscore')
    .describe('Transactional ids, positions and topics hang on it.'),
  topicPrefix: name.regex(/^[\w.-]+$/).default('query'),
  format: formats.default('json').describe('How keys and values are written. avro and json-schema need schemaRegistry.'),
  compatibility: z
    .enum(['NONE', 'BACKWARD', 'FORWARD', 'FULL', 'BACKWARD_TRANSITIVE', 'FORWARD_TRANSITIVE', 'FULL_TRANSITIVE'])
    .default('BACKWARD')
    .describe('What a changed table must keep to: set on a subject that has no level of its own when the poller first registers it.'),
  pollIntervalMs: int(1).default(100).describe('The fixed interval, unless minIntervalMs or maxIntervalMs is set.'),
  ...pace,
  heartbeatMs: int(1).default(5000).describe('How often a table without news says that it is up to date, in <topicPrefix>.cdc.heartbeat.'),
  statementTimeoutMs: int(1).default(60_000).describe('Ends a query that takes longer, and its wait for a lock.'),
  stuckAfterMs: int(1).default(15_000).describe('A table without a successful poll for this long, and for ten intervals, is not ready.'),
  sharing: z
    .enum(['group', 'takeover'])
    .default('group')
    .describe('Several processes of this name: share the tables as a Kafka consumer group, or the newer takes all over.'),
  sessionTimeoutMs: int(1000)
    .default(6000)
    .describe("How long a process that shares may be silent before its tables move; the broker's group.min.session.timeout.ms at least."),
  http: http.optional().describe('Serves /metrics, /livez, /readyz and /status. Port 0 takes a free one, which the log tells.'),
  onTooLarge: onTooLarge
    .default('fail')
    .describe('A row larger than its topic takes: fail (the table waits), skip, or dead-letter (told in <topicPrefix>.dead-letter).'),
  maskSecret: z.string().default('').describe('The salt of mask: hash. As ${NAME}, never in the file.'),
  discoveryIntervalMs: int(1000).default(30_000).describe('How often tables that match a pattern are looked for.'),
  pageRows: int(1, 100_000).default(1000).describe('Rows read by one query.'),
  clockMarginMs: int(0)
    .default(1000)
    .describe('How far below the fence the timestamp floor is kept, for clocks that a transaction read before it became visible.'),
  rememberedKeysMax: int(1)
    .default(200_000)
    .describe('Keys remembered per table while an old transaction is open; past it, rows wait for that transaction.'),
  tables: z.array(pollerTableSchema).min(1),
});

const guard = z
  .strictObject({
    intervalMs: int(100).default(10_000).describe('How often Connect and the source are looked at.'),
    warnBytes: int(1)
      .default(2 ** 30)
      .describe('Warns when the slot keeps more WAL in the source than this.'),
    dropSlotBytes: int(1)
      .optional()
      .describe('Policy: drops the slot when it keeps more WAL than this. What it had not delivered is then lost. Absent: never.'),
    warnHeartbeatMs: int(1)
      .default(60_000)
      .describe(
        "Warns when the connector's last heartbeat in the source is older than this, and three of its intervals. cdc doctor takes the same measure.",
      ),
    restartMax: int(0).default(5).describe('Restarts of a FAILED connector in a row; then it is left FAILED and that is said.'),
    restartBackoffMs: int(1).default(5000).describe('Wait before the first restart; doubles with each one.'),
    restartBackoffMaxMs: int(1).default(300_000),
  })
  .refine(({ warnBytes, dropSlotBytes }) => dropSlotBytes === undefined || dropSlotBytes > warnBytes, {
    message: 'expected more than warnBytes, so that a warning comes first',
    path: ['dropSlotBytes'],
  });

const connect = z.strictObject({
  url: z.url().default('http://localhost:8083'),
  username: name.optional(),
  password: z.string().optional(),
  tls: tls.optional(),
  connectors: z.array(name).default([]).describe('Connector configuration files, as Connect takes them, relative to pipeline.yaml.'),
  topicPrefix: name.default('log').describe('The topic.prefix of every connector file; another one there is refused.'),
  guard: guard.prefault({}).describe('What cdc connectors watch does on its own.'),
});

const model = z.strictObject({
  topicPrefix: name,
  groupId: name,
  onPoison: z
    .enum(['park', 'stop'])
    .default('park')
    .describe('An event that cannot be applied is parked with the later ones of its key, or stops the model.'),
  staleAfterMs: int(1)
    .default(30_000)
    .describe('The status calls the model stale when the time up to which it is complete is further back than this.'),
  onSchemaChange: z
    .enum(['stop-table', 'park'])
    .default('stop-table')
    .describe("A value that is not of its mirror column's type stops that table alone, or is parked like other events that do not fit."),
  parkedMax: int(1).default(10_000).describe('The model stops when more events than this would be parked.'),
  consistency: z
    .enum(['row', 'transaction'])
    .default('row')
    .describe(
      'transaction: what a source transaction changed becomes visible at once. Needs the transaction topic of a log-based connector.',
    ),
  transactionBufferMb: int(1)
    .default(64)
    .describe('Memory for events whose transaction is not complete yet; with consistency: transaction.'),
});

const readModel = database.extend({
  user: name,
  password: z.string().default(''),
  models: z
    .record(z.string().regex(/^[a-z_][a-z0-9_]*$/), model)
    .describe('One read model per strategy: its name is the schema that holds it.'),
});

const comparison = z.strictObject({
  sweep: z
    .strictObject({
      name: name.regex(/^[\w.-]+$/, 'expected letters, digits, dot, dash or underscore'),
      topicPrefix: name.regex(/^[\w.-]+$/).default('sweep'),
      sweep: sweep.prefault({}).describe('How its tables are swept.'),
      http: http.optional().describe('As poller.http; a port of its own.'),
    })
    .optional()
    .describe('A third contender: the tables of the poller polled once more, with the key sweep on, by cdc poller start --sweep.'),
});

export const pipelineSchema = z
  .strictObject({
    legacyDb,
    kafka,
    schemaRegistry: schemaRegistry
      .optional()
      .describe('Speaks the API of the Confluent Schema Registry. Only read when a format or a message asks for it.'),
    poller: poller.optional(),
    connect: connect.optional(),
    readModel: readModel.optional(),
    comparison: comparison.optional(),
  })
  .superRefine(checkDialect)
  .superRefine(checkFormat);

/** Formats that carry the id of a schema need a place where it is kept. */
function checkFormat({ schemaRegistry: registry, poller: polled }: FormatChecked, context: z.RefinementCtx): void {
  if (polled === undefined || polled.format === 'json' || registry !== undefined) return;
  context.addIssue({ code: 'custom', path: ['poller', 'format'], message: `${polled.format} needs schemaRegistry.url` });
}

type FormatChecked = { readonly schemaRegistry?: object | undefined; readonly poller?: { readonly format: string } | undefined };

/** Settings of a table that mean what only Postgres has. */
function checkDialect({ legacyDb: { dialect }, poller: polled }: DialectChecked, context: z.RefinementCtx): void {
  if (dialect !== 'mariadb') return;
  const why = {
    sweep: 'the key sweep reads Postgres only',
    onRewrite: 'MariaDB tells nothing of rewrites; TRUNCATE is noticed in mode incrementing',
  };
  for (const [index, table] of (polled?.tables ?? []).entries()) {
    for (const [setting, message] of Object.entries(why)) {
      if (table[setting] !== undefined) context.addIssue({ code: 'custom', path: ['poller', 'tables', index, setting], message });
    }
  }
}

type DialectChecked = {
  readonly legacyDb: { readonly dialect?: string | undefined };
  readonly poller?: { readonly tables: readonly { readonly [setting: string]: unknown }[] } | undefined;
};

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
export type Credentials = z.output<typeof credentials>;
export type TlsConfig = z.output<typeof tls>;
