import type { Kafka } from '#kafka/index.ts';
import { CdcError, type Logger, type PipelineConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { loadThreadStarter, defaultLoadWorkers, type LoadThreadStarter } from '../load/load-threads.ts';
import { createHeartbeat } from '../table/heartbeat.ts';
import type { Oversize } from '../table/oversize.ts';
import { createGovernor, governed, type Governor } from '../pace/governor.ts';
import { intervalOf } from '../pace/poll-delay.ts';
import { marginOf } from '../position/margin.ts';
import { isWindow, type StartOptions } from '../position/position.ts';
import { startOf } from '../position/start-of.ts';
import { encoderOf, type TableFormat } from '../encoding/table-format.ts';
import { registeredFormat } from '../schemas/registered-format.ts';
import type { ServerIdentity } from '../source/dialect.ts';
import { judgeTable } from '../judge.ts';
import { problemsError } from '../source/judge/judge-table.ts';
import type { MissingIndex } from '../source/judge/missing-index.ts';
import { dialectOf } from '../dialects.ts';
import type { SourceSession } from '../source/dialect.ts';
import { eventShapeOf, type TableShape } from '../source/table/table-shape.ts';
import { goOnFrom } from '../source/go-on.ts';
import { sweepViewOf } from '../sweep/sweep-view.ts';
import type { TableSweeper } from '../sweep/table-sweeper.ts';
import { runTableLoop } from '../table/table-loop.ts';
import type { TablePublisher } from '../table/table-publisher.ts';
import type { PollerContext, TableAssignment } from './context.ts';
import { positionInTopic, topicReplaced } from './topic-guard.ts';
import { eventTopic } from './topics.ts';

/**
 * Polls a table over a connection to the legacy database, until the connection breaks, the table is reshaped or the assignment ends.
 *
 * @param oversize outlasts the session, as what it has learnt must; so does the sweeper
 * @param onFit called when the table was found fit to be polled from its position
 */
export async function pollWithSession(
  context: PollerContext,
  { table, signal, monitor }: TableAssignment,
  publisher: TablePublisher,
  { oversize, sweeper, onFit }: { readonly oversize: Oversize; readonly sweeper: TableSweeper | null; readonly onFit: () => void },
): Promise<void> {
  const { poller, once } = context;
  const logger = context.logger.child({ table: table.table });
  const topic = eventTopic(poller, table);
  await using opened = await (context.sessions?.take(signal) ?? sessionOf(context, table.table));
  const meter: Governor = { waitMs: () => 0, charge: ({ rows }, statements) => monitor.queried(statements, rows) };
  const limits = [createGovernor(table), context.governor].filter((governor) => governor !== null);
  const session = governed(opened, [...limits, meter], signal);
  const { identity, shape, missingIndex } = await inspect(session, context, table);
  const { systemIdentifier, timeline } = identity;
  const { basis, relation } = shape;
  const stored = publisher.journal.position;
  const topicId = await context.topics.look(topic);
  const ofTopic = positionInTopic(stored, { table, topic, id: topicId, firstSeen: context.topics.firstSeen(topic) });
  const adopted = await goOnFrom(ofTopic, session, identity, shape, table);
  if (stored === null && (await holdsEvents(context.kafka, topic))) {
    logger.warn({ topic }, 'no position of this table is known, though its topic holds events: the table is begun again');
  }
  // Before anything of this shape is published.
  const event = eventShapeOf(shape, session.dialect, identity.database, poller.topicPrefix);
  const format = await registeredFormat(poller, context.registrar, session, shape, event, topic, signal);
  const encoder = encoderOf(format, session.dialect, event);
  publisher.journal.adopt(adopted);
  const view = sweeper === null ? null : sweepViewOf(session, shape, encoder);
  sweeper?.restart();
  onFit();
  warnOfWindow(logger, shape, table, identity);
  if (missingIndex !== null) {
    const { columns, remedy } = missingIndex;
    logger.warn({ remedy }, `no index begins with (${columns.join(', ')}): every page sorts what it reads`);
  }
  const margin = marginOf(shape, table, poller);
  const start: StartOptions = {
    systemIdentifier,
    timeline,
    basis,
    relation,
    topicId,
    start: startOf(table.startFrom),
    margin,
    high:
      (shape.capture === 'id' || shape.capture === 'id-window') && publisher.journal.position === null
        ? await readHighestId(session, shape)
        : null,
  };
  await runTableLoop({
    session,
    shape,
    requireTopic: () => {
      if (!context.topics.isStill(topic, topicId)) throw topicReplaced(table.table, topic);
    },
    publisher,
    monitor,
    start,
    oversize,
    sweep: sweeper === null || view === null ? null : { sweeper, view },
    heartbeat: createHeartbeat({ database: identity.database, table: shape.id, prefix: poller.topicPrefix }, poller.heartbeatMs),
    encoder,
    interval: intervalOf(poller, table),
    pageRows: poller.pageRows,
    loadThreads: threadsFor(context, { table, monitor }, format, limits.length > 0),
    rememberedKeysMax: poller.rememberedKeysMax,
    once,
    logger,
    signal,
  });
}

/** @param table whose alone it is; left out: for all */
export function sessionOf({ config, poller }: Pick<PollerContext, 'config' | 'poller'>, table?: string): Promise<SourceSession> {
  const application = ['cdc-poller', poller.name, ...(table === undefined ? [] : [table])].join(' ');
  return dialectOf(config.legacyDb).openSession(config.legacyDb, application, poller.statementTimeoutMs);
}

/** Threads for the table's load; none where connections are shared or the speed is limited, since threads would keep to neither. */
function threadsFor(
  { config: { legacyDb }, poller, sessions, loadThreadsPlace }: PollerContext,
  { table, monitor }: Pick<TableAssignment, 'table' | 'monitor'>,
  format: TableFormat,
  isLimited: boolean,
): LoadThreadStarter | null {
  if (sessions !== null || isLimited) return null;
  const threads = poller.loadWorkers ?? defaultLoadWorkers();
  return loadThreadStarter({ legacyDb, poller, table, format }, threads, loadThreadsPlace, (rows) => monitor.queried(1, rows));
}

/** Positions that were lost show by it; after a reset it is as it should be. */
async function holdsEvents(kafka: Kafka, topic: string): Promise<boolean> {
  await using admin = await kafka.admin();
  return (await admin.offsetsOf(topic)).some(({ high }) => high > 0n);
}

/** What a window cannot promise. */
function warnOfWindow(
  logger: Logger,
  { capture, query, relation }: TableShape,
  table: PollerTableConfig,
  { readOnly }: ServerIdentity,
): void {
  if (!isWindow(capture)) return;
  const what = query === null && relation !== null ? 'a table without a fence' : 'a view or a query without a fence';
  if (capture === 'window') {
    logger.warn({ overlapMs: table.overlapMs }, `${what}: what commits later than overlapMs after its timestamp is lost`);
  } else {
    logger.warn(
      { overlapIds: table.overlapIds },
      `${what}: a row that commits when ids more than overlapIds above its own have been seen is lost`,
    );
  }
  if (readOnly) logger.warn('the server is read-only, so probably a replica: what it lags behind counts like a late commit');
}

async function inspect(
  session: SourceSession,
  { config, poller }: PollerContext,
  table: PollerTableConfig,
): Promise<{ identity: ServerIdentity; shape: TableShape; missingIndex: MissingIndex | null }> {
  const identity = await session.dialect.readIdentity(session);
  refuseStandby(identity, config);
  const { findings, shape, missingIndex } = await judgeTable(session, identity, table, poller.maskSecret);
  if (findings.length > 0 || shape === null) throw problemsError(findings);
  return { identity, shape, missingIndex };
}

async function readHighestId(session: SourceSession, shape: TableShape): Promise<bigint | null> {
  const [row] = await session.query(session.dialect.highestIdQuery(shape));
  return row?.[0] ? BigInt(row[0]) : null;
}

/** @throws CdcError SOURCE_IS_STANDBY */
export function refuseStandby({ inRecovery }: ServerIdentity, { legacyDb }: PipelineConfig): void {
  if (inRecovery) throw new CdcError('SOURCE_IS_STANDBY', `${legacyDb.host}:${legacyDb.port} is a standby`);
}
