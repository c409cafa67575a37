import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseTableId, topicName } from '#change-events/index.ts';
import { connectKafka, type Kafka } from '#kafka/index.ts';
import {
  CdcError,
  describeError,
  type ErrorCode,
  type Logger,
  type PipelineConfig,
  type PollerConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { backOffMs } from './back-off.ts';
import { createEventEncoder } from './encoding/event-encoder.ts';
import { positionTopicSpec } from './position/position-topic.ts';
import { readCatalog, readServerIdentity, type ServerIdentity } from './source/catalog.ts';
import { openSourceSession, type SourceSession } from './source/source-session.ts';
import { findProblems, problemsError, shapeOf, type TableShape } from './source/table-shape.ts';
import { openTablePublisher, type TablePublisher } from './table-publisher.ts';
import { runTableLoop } from './table-loop.ts';

export type PollerOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Load, publish what is there, and return. */
  readonly once?: boolean;
};

type PollerContext = PollerOptions & { readonly kafka: Kafka; readonly poller: PollerConfig; readonly owner: string };

const statementTimeoutMs = 60_000;

/** What does not go away by itself: the process ends with it instead of trying again. */
const finalCodes: ReadonlySet<ErrorCode> = new Set([
  'PRODUCER_FENCED',
  'TABLE_UNKNOWN',
  'COLUMN_UNKNOWN',
  'COLUMN_NULLABLE',
  'COLUMN_TYPE_UNFIT',
  'SELECT_MISSING',
  'TABLES_UNFIT',
  'SOURCE_IS_STANDBY',
  'SOURCE_CHANGED',
  'POSITION_INVALID',
  'KAFKA_MESSAGE_TOO_LARGE',
  'KAFKA_AUTHENTICATION_FAILED',
  'LEGACY_LOGIN_REFUSED',
  'LEGACY_DB_MISSING',
]);

/**
 * Polls all configured tables until the signal is aborted (or, with `once`, until each has been read to its end). Every table has a
 * connection, a transactional id and a position of its own. Lost servers are waited for; nothing is lost or published twice by it.
 *
 * @throws CdcError when a table or column is unfit (all findings at once), when a newer process takes over, when the database is another
 */
export async function runPoller(options: PollerOptions): Promise<void> {
  const { config, logger } = options;
  const { poller } = config;
  if (poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  const kafka = connectKafka(config.kafka, logger);
  // One table's final error ends the others gracefully.
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const context: PollerContext = { ...options, signal, kafka, poller, owner: randomUUID() };

  await whenAvailable(context, () => checkTables(config, poller));
  await whenAvailable(context, () => ensureTopics(context));
  if (signal.aborted) return;
  logger.info({ poller: poller.name, tables: poller.tables.map(({ table }) => table) }, 'polling');
  const results = await Promise.allSettled(
    poller.tables.map(async (table) => {
      try {
        await pollTable(context, table);
      } catch (error) {
        stop.abort();
        throw error;
      }
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Tries what needs the servers, and waits for them if the configuration says so. */
async function whenAvailable(context: PollerContext, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; !context.signal.aborted; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      const waits = context.config.kafka.whenUnavailable === 'wait' && !context.once;
      if (isFinal(error) || !waits) throw error;
      await waitAfter(error, attempt, context, {});
    }
  }
}

async function checkTables(config: PipelineConfig, poller: PollerConfig): Promise<void> {
  await using session = await openSourceSession(config.legacyDb, `cdc-poller ${poller.name}`, statementTimeoutMs);
  const query = (text: string, values?: readonly string[]) => session.query(text, values);
  const identity = await readServerIdentity(query);
  refuseStandby(identity, config);
  const findings = [];
  for (const table of poller.tables) findings.push(...findProblems(await readCatalog(query, table), table, identity.role));
  if (findings.length > 0) throw problemsError(findings);
}

async function ensureTopics({ kafka, poller, config }: PollerContext): Promise<void> {
  const { partitions, replicationFactor } = config.kafka;
  await using admin = await kafka.admin();
  await admin.ensureTopics([
    positionTopicSpec(poller.name, replicationFactor),
    ...poller.tables.map(({ table }) => ({
      topic: topicName(poller.topicPrefix, parseTableId(table)),
      partitions,
      replicationFactor,
      config: { 'cleanup.policy': 'compact' },
    })),
  ]);
}

/** Polls one table for as long as it goes: lost connections are made again, the rest is final. */
async function pollTable(context: PollerContext, table: PollerTableConfig): Promise<void> {
  const { signal, once = false } = context;
  let publisher: TablePublisher | null = null;
  let reclaim = false;
  try {
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const began = performance.now();
      try {
        publisher ??= await openTablePublisher(publisherOptions(context, table, reclaim));
        reclaim = true;
        await pollWithSession(context, table, publisher);
        if (once) return;
      } catch (error) {
        if (signal.aborted) return;
        if (isFinal(error)) throw error;
        publisher = await keepAfter(error, publisher);
        if (performance.now() - began > 30_000) attempt = 1;
        await waitAfter(error, attempt, context, { table: table.table });
      }
    }
  } finally {
    await publisher?.[Symbol.asyncDispose]();
  }
}

/** A broken database connection leaves the publisher as it is; after trouble with Kafka the table is taken over anew. */
async function keepAfter(error: unknown, publisher: TablePublisher | null): Promise<TablePublisher | null> {
  if (publisher === null) return null;
  if (isDatabaseError(error)) {
    try {
      await publisher.abort();
      return publisher;
    } catch {
      // Falls through: what cannot be aborted is fenced by taking over.
    }
  }
  await publisher[Symbol.asyncDispose]();
  return null;
}

async function pollWithSession(context: PollerContext, table: PollerTableConfig, publisher: TablePublisher): Promise<void> {
  const { config, poller, signal, once = false } = context;
  const logger = context.logger.child({ table: table.table });
  await using session = await openSourceSession(config.legacyDb, `cdc-poller ${poller.name} ${table.table}`, statementTimeoutMs);
  const { identity, shape } = await inspect(session, config, table);
  refuseOtherSource(identity, publisher, table.table);
  await runTableLoop({
    session,
    identity,
    shape,
    publisher,
    encoder: createEventEncoder({
      database: identity.database,
      table: shape.id,
      prefix: poller.topicPrefix,
      columns: shape.columns,
      key: shape.key,
      timestamp: shape.timestamp,
    }),
    pollIntervalMs: table.pollIntervalMs ?? poller.pollIntervalMs,
    pageRows: poller.pageRows,
    rememberedKeysMax: poller.rememberedKeysMax,
    clockMarginMs: poller.clockMarginMs,
    once,
    logger,
    signal,
  });
}

async function inspect(
  session: SourceSession,
  config: PipelineConfig,
  table: PollerTableConfig,
): Promise<{ identity: ServerIdentity; shape: TableShape }> {
  const query = (text: string, values?: readonly string[]) => session.query(text, values);
  const identity = await readServerIdentity(query);
  refuseStandby(identity, config);
  const catalog = await readCatalog(query, table);
  const findings = findProblems(catalog, table, identity.role);
  if (findings.length > 0) throw problemsError(findings);
  return { identity, shape: shapeOf(catalog, table) };
}

function refuseStandby({ inRecovery }: ServerIdentity, { legacyDb }: PipelineConfig): void {
  if (inRecovery) throw new CdcError('SOURCE_IS_STANDBY', `${legacyDb.host}:${legacyDb.port} is a standby`);
}

function refuseOtherSource({ systemIdentifier, timeline }: ServerIdentity, { journal }: TablePublisher, table: string): void {
  const { position } = journal;
  if (position === null || (position.systemIdentifier === systemIdentifier && position.timeline === timeline)) return;
  const was = `system identifier ${position.systemIdentifier}, timeline ${position.timeline}`;
  throw new CdcError(
    'SOURCE_CHANGED',
    `the position of table ${table} belongs to ${was}; the server is ${systemIdentifier}, timeline ${timeline}`,
  );
}

function publisherOptions(
  { kafka, poller, owner, signal }: PollerContext,
  { table }: PollerTableConfig,
  reclaim: boolean,
): Parameters<typeof openTablePublisher>[0] {
  return { kafka, pollerName: poller.name, table, topic: topicName(poller.topicPrefix, parseTableId(table)), owner, reclaim, signal };
}

function isFinal(error: unknown): boolean {
  return error instanceof CdcError && finalCodes.has(error.code);
}

/** pg's errors carry an SQLSTATE or a socket's code; Kafka's come as CdcError or as kafkajs's own. */
function isDatabaseError(error: unknown): boolean {
  if (error instanceof CdcError) return error.code === 'LEGACY_DB_UNREACHABLE';
  return (
    error instanceof Error && ('severity' in error || /Connection terminated|Client (?:was closed|has encountered)/.test(error.message))
  );
}

async function waitAfter(error: unknown, attempt: number, { signal, logger }: PollerContext, fields: object): Promise<void> {
  const ms = backOffMs(attempt, Math.random());
  const code = error instanceof CdcError ? { code: error.code, remedy: error.remedy } : {};
  logger.warn({ ...fields, ...code, nextTryInMs: ms }, describeError(error));
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: the caller's loop sees it.
  }
}
