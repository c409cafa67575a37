import { randomUUID } from 'node:crypto';
import { openRegistry, type Registry } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import {
  isTablePattern,
  CdcError,
  describeError,
  pause,
  serveMonitoring,
  type Logger,
  type PipelineConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { shareInGroup, takeAll, type Share } from './membership/share.ts';
import type { Metrics, ProcessFigures } from './metrics/prometheus.ts';
import { readinessOf } from './metrics/readiness.ts';
import { createGovernor } from './pace/governor.ts';
import { positionTopic, readPositionTopic } from './position/position-topic.ts';
import { shareReading } from './position/shared-reading.ts';
import { createRegistrar } from './schemas/registration.ts';
import { shareSessions } from './source/shared-sessions.ts';
import type { PollerContext } from './supervisor/context.ts';
import { createTableFinder, ensureTopics, whenAvailable, type TableFinder } from './supervisor/prepare.ts';
import { createTopicGuard } from './supervisor/topic-guard.ts';
import { eventTopic } from './supervisor/topics.ts';
import { createSupervisor, type Supervisor } from './supervisor/supervisor.ts';
import { sessionOf } from './supervisor/table-session.ts';
import { takeTurns } from './supervisor/turns.ts';

/** With 2,000 tables at once, the broker left requests unanswered, all were tried again, and no table was ever taken over. */
const takenOverAtOnce = 32;

export type PollerOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Load, publish what is there, and return. Takes the tables over, whatever `sharing` says. */
  readonly once?: boolean;
};

/**
 * Polls all configured tables, or its share of them, until the signal is aborted (or, with `once`, until each has been read to its end). Every
 * table has a connection (or its turn on one, with `connections`), a transactional id and a position of its own. Lost servers are waited for; nothing is lost or published twice by it. A
 * table that fails for good stops alone.
 *
 * @throws CdcError when a table or column is unfit at start (all findings at once); when a newer process takes over (`sharing: takeover`); the
 *   first table's error when all have failed
 */
export async function runPoller({ config, logger, signal, once = false }: PollerOptions): Promise<void> {
  const { poller } = config;
  if (poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  const kafka = connectKafka(config.kafka, logger);
  const registry = poller.format === 'json' || config.schemaRegistry === undefined ? null : openRegistry(config.schemaRegistry);
  const registrar = registry === null ? null : createRegistrar(registry, poller.compatibility);
  const governor = createGovernor(poller);
  const topics = createTopicGuard(kafka, positionTopic(poller.name));
  const sessions = poller.connections === undefined ? null : shareSessions(poller.connections, () => sessionOf({ config, poller }));
  const context: PollerContext = {
    config,
    poller,
    kafka,
    logger,
    signal,
    once,
    owner: randomUUID(),
    governor,
    sessions,
    loadThreadsPlace: { taken: false },
    registrar,
    topics,
    refused: new Map(),
    takingOver: takeTurns(takenOverAtOnce),
    readPositions: shareReading(() => readPositionTopic(kafka, poller.name, signal, (text) => logger.info(text))),
  };
  const sharing = once ? 'takeover' : poller.sharing;
  const want: Supervisor['want'] = (tables, all) => supervisor.want(tables, all);
  const share = sharing === 'takeover' ? takeAll(want) : shareInGroup(context, want);
  const figures = (): ProcessFigures => ({ poller: poller.name, sharing, member: share.isMember(), tables: supervisor.figures() });
  const metrics = poller.http === undefined ? null : await createMetrics(figures);
  const supervisor = createSupervisor({ context, confirmed: share.confirmed, listener: metrics });

  // Disposed in reverse order: first the group is left, when all tables have stopped.
  await using cleanup = new AsyncDisposableStack();
  if (sessions !== null) cleanup.use(sessions);
  await serve(context, metrics, figures, cleanup);
  cleanup.use(share);
  const findTables = createTableFinder(context);
  const begun = await whenAvailable(context, () => begin(context, registry, share, findTables));
  if (begun === undefined) return;
  const over = new AbortController();
  const watched = watchTables({ ...context, signal: AbortSignal.any([signal, over.signal]) }, share, findTables, begun);
  try {
    await supervisor.ended;
  } finally {
    over.abort();
    await watched;
  }
}

/** The library is loaded only where figures are served. */
async function createMetrics(figures: () => ProcessFigures): Promise<Metrics> {
  const prometheus = await import('./metrics/prometheus.ts');
  return prometheus.createMetrics(figures);
}

async function serve(
  { poller, logger }: PollerContext,
  metrics: Metrics | null,
  figures: () => ProcessFigures,
  cleanup: AsyncDisposableStack,
): Promise<void> {
  if (poller.http === undefined || metrics === null) return;
  const monitored = {
    whyNotReady: () => readinessOf(figures()).reasons,
    status: figures,
    contentType: metrics.contentType,
    metrics: () => metrics.render(),
  };
  const http = cleanup.use(await serveMonitoring(poller.http, monitored, 'poller.http'));
  logger.info({ url: http.url }, 'serving /metrics, /livez, /readyz and /status');
}

/** Looks at the tables, makes their topics and offers them to be polled; may be tried again where it stopped. */
async function begin(
  context: PollerContext,
  registry: Registry | null,
  share: Share,
  findTables: TableFinder,
): Promise<readonly PollerTableConfig[]> {
  const tables = await findTables();
  // A missing registry is reported once, not by every table. Any question will do.
  const [first] = tables;
  if (first !== undefined) await registry?.compatibilityOf(`${eventTopic(context.poller, first)}-value`, context.signal);
  await ensureTopics(context, tables);
  context.logger.info({ poller: context.poller.name, tables: tables.map(({ table }) => table) }, 'polling');
  await share.offer(tables);
  return tables;
}

/** Looks for tables that have come or gone, as far as the configuration names them by a pattern, until the signal is aborted. */
async function watchTables(
  context: PollerContext,
  share: Share,
  findTables: TableFinder,
  begun: readonly PollerTableConfig[],
): Promise<void> {
  const { poller, logger, signal, once } = context;
  if (once || !poller.tables.some(({ table }) => isTablePattern(table))) return;
  let known = begun;
  let tookMs = 0;
  for (;;) {
    // A look asks the server about each table: however many there are, it is busy with that for a tenth of the time at most.
    await pause(Math.max(poller.discoveryIntervalMs, 9 * tookMs), signal);
    if (signal.aborted) return;
    const startedAt = performance.now();
    try {
      const tables = await findTables();
      tookMs = performance.now() - startedAt;
      const names = new Set(tables.map(({ table }) => table));
      if (names.size === known.length && known.every(({ table }) => names.has(table))) continue;
      logger.info({ tables: [...names] }, 'other tables match than before');
      await ensureTopics(context, tables);
      await share.offer(tables);
      known = tables;
    } catch (error) {
      if (!signal.aborted) logger.warn(`could not look for tables: ${describeError(error)}`);
    }
  }
}
