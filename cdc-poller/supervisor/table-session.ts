import { CdcError, type Logger, type PipelineConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { createHeartbeat } from '../heartbeat.ts';
import type { Oversize } from '../oversize.ts';
import { createGovernor, governed, type Governor } from '../pace/governor.ts';
import { intervalOf } from '../pace/poll-delay.ts';
import { adoptPosition } from '../position/adopt.ts';
import { marginOf } from '../position/margin.ts';
import { isWindow, type StartOptions } from '../position/position.ts';
import { startOf } from '../position/start-of.ts';
import { wireEncoder } from '../schemas/wire-encoder.ts';
import type { ServerIdentity } from '../source/catalog.ts';
import { findProblems, problemsError } from '../source/judge-table.ts';
import { dialectOf } from '../source/dialect.ts';
import type { SourceSession } from '../source/source-session.ts';
import { shapeOf, type TableShape } from '../source/table-shape.ts';
import { sweepViewOf } from '../sweep/sweep-view.ts';
import type { TableSweeper } from '../sweep/table-sweeper.ts';
import { runTableLoop } from '../table-loop.ts';
import type { TablePublisher } from '../table-publisher.ts';
import type { PollerContext, Tenure } from './context.ts';
import { eventTopic } from './topics.ts';

/**
 * Polls a table over one connection to the legacy database, until the connection breaks, the table is reshaped or the tenure ends.
 *
 * @param oversize outlasts the session, as what it has learnt must; so does the sweeper
 * @param onFit called when the table was found fit to be polled from its position
 */
export async function pollWithSession(
  context: PollerContext,
  { table, signal, monitor }: Tenure,
  publisher: TablePublisher,
  { oversize, sweeper, onFit }: { readonly oversize: Oversize; readonly sweeper: TableSweeper | null; readonly onFit: () => void },
): Promise<void> {
  const { config, poller, once } = context;
  const logger = context.logger.child({ table: table.table });
  await using opened = await dialectOf(config.legacyDb).openSession(
    config.legacyDb,
    `cdc-poller ${poller.name} ${table.table}`,
    poller.statementTimeoutMs,
  );
  const meter: Governor = { waitMs: () => 0, charge: ({ rows }, statements) => monitor.queried(statements, rows) };
  const governors = [createGovernor(table), context.governor, meter].filter((governor) => governor !== null);
  const session = governed(opened, governors, signal);
  const { identity, shape } = await inspect(session, context, table);
  const { systemIdentifier, timeline, log } = identity;
  const { basis, relation } = shape;
  const rescanRewritten = (table.onRewrite ?? (shape.capture === 'id' ? 'rescan' : 'ignore')) === 'rescan';
  const { nextId } = shape;
  const present = { table: table.table, systemIdentifier, timeline, log, basis, relation, rescanRewritten, nextId };
  const adopted = adoptPosition(publisher.journal.position, present);
  // Before anything of this shape is published.
  const encoder = await wireEncoder(
    poller,
    context.registrar,
    session,
    shape,
    {
      ...shape,
      encodeColumn: session.dialect.encodeColumn,
      database: identity.database,
      table: shape.id,
      prefix: poller.topicPrefix,
    },
    eventTopic(poller, table),
    signal,
  );
  publisher.journal.adopt(adopted);
  const view = sweeper === null ? null : sweepViewOf(session, shape, encoder);
  sweeper?.restart();
  onFit();
  warnOfWindow(logger, shape, table, identity);
  if (!shape.indexed) {
    const columns = `(${basis.order.join(', ')})`;
    const remedy = `As the owner: ${session.dialect.words.createIndex(table.table, basis.order)}`;
    logger.warn({ remedy }, `no index begins with ${columns}: every page sorts what it reads`);
  }
  const margin = marginOf(shape, table, poller);
  const start: StartOptions = {
    systemIdentifier,
    timeline,
    basis,
    relation,
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
    publisher,
    monitor,
    start,
    oversize,
    sweep: sweeper === null || view === null ? null : { sweeper, view },
    heartbeat: createHeartbeat({ database: identity.database, table: shape.id, prefix: poller.topicPrefix }, poller.heartbeatMs),
    encoder,
    interval: intervalOf(poller, table),
    pageRows: poller.pageRows,
    rememberedKeysMax: poller.rememberedKeysMax,
    once,
    logger,
    signal,
  });
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
): Promise<{ identity: ServerIdentity; shape: TableShape }> {
  const identity = await session.dialect.readIdentity(session);
  refuseStandby(identity, config);
  const catalog = await session.dialect.readCatalog(session, table);
  const findings = findProblems(catalog, table, identity.role, session.dialect.words);
  if (findings.length > 0) throw problemsError(findings);
  return { identity, shape: shapeOf(catalog, table, poller.maskSecret, session.dialect.words) };
}

async function readHighestId(session: SourceSession, shape: TableShape): Promise<bigint | null> {
  const [row] = await session.query(session.dialect.highestIdQuery(shape));
  return row?.[0] ? BigInt(row[0]) : null;
}

/** @throws CdcError SOURCE_IS_STANDBY */
export function refuseStandby({ inRecovery }: ServerIdentity, { legacyDb }: PipelineConfig): void {
  if (inRecovery) throw new CdcError('SOURCE_IS_STANDBY', `${legacyDb.host}:${legacyDb.port} is a standby`);
}
