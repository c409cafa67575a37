import { openRegistry, type Registry } from '#change-events/index.ts';
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
import { configOfThread, startMemberThread } from './members/member-threads.ts';
import { openMember, sharingOf } from './members/member.ts';
import { allMembers, type Members } from './members/members.ts';
import { registerTables, type TableSlots } from './membership/table-slots.ts';
import type { Metrics, ProcessFigures } from './metrics/prometheus.ts';
import { readinessOf } from './metrics/readiness.ts';
import type { PollerContext } from './supervisor/context.ts';
import { createTableFinder, ensureTopics, whenAvailable, type TableFinder } from './supervisor/prepare.ts';
import { eventTopic } from './supervisor/topics.ts';

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
  let shown: ProcessFigures = { poller: poller.name, sharing: once ? 'takeover' : poller.sharing, member: null, tables: [] };
  const metrics = poller.http === undefined ? null : await createMetrics(() => shown);
  const threadConfig = configOfThread(config);

  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  // Disposed in reverse order: first all tables stop, then the group is left.
  await using cleanup = new AsyncDisposableStack();
  const own = cleanup.use(openMember({ config: threadConfig, logger, signal: until, once, listener: metrics }));
  const others = once ? 0 : poller.threads - 1;
  const threads = Array.from({ length: others }, (_, index) =>
    cleanup.use(startMemberThread(index + 2, { config: threadConfig, logger, signal: until }, metrics)),
  );
  const members = allMembers(own, threads);
  members.ended.catch(() => undefined);
  let beginning: Promise<readonly PollerTableConfig[] | undefined> = Promise.resolve(undefined);
  cleanup.defer(async () => {
    over.abort();
    // Whoever joins the group meanwhile has to leave it.
    await beginning.catch(() => undefined);
    await own.ended.catch(() => undefined);
  });
  await serve(
    config,
    logger,
    metrics,
    async () => {
      const { figures, silent } = await members.look();
      shown = figures;
      return { figures, reasons: [...readinessOf(figures).reasons, ...silent] };
    },
    cleanup,
  );
  const { context } = own;
  const registry = poller.format === 'json' || config.schemaRegistry === undefined ? null : openRegistry(config.schemaRegistry);
  const findTables = createTableFinder(context);
  beginning = whenAvailable(context, () => begin(context, registry, members, findTables));
  const begun = await Promise.race([beginning, members.ended.then(() => undefined)]);
  if (begun === undefined) return;
  const watched = watchTables(context, members, findTables, begun);
  try {
    await members.ended;
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
  { poller }: PipelineConfig,
  logger: Logger,
  metrics: Metrics | null,
  look: () => Promise<{ readonly figures: ProcessFigures; readonly reasons: readonly string[] }>,
  cleanup: AsyncDisposableStack,
): Promise<void> {
  if (poller?.http === undefined || metrics === null) return;
  const monitored = {
    whyNotReady: async () => (await look()).reasons,
    status: async () => (await look()).figures,
    contentType: metrics.contentType,
    async metrics() {
      await look();
      return await metrics.render();
    },
  };
  const http = cleanup.use(await serveMonitoring(poller.http, monitored, 'poller.http'));
  logger.info({ url: http.url }, 'serving /metrics, /livez, /readyz and /status');
}

/** Looks at the tables, makes their topics and offers them to be polled; may be tried again where it stopped. */
async function begin(
  context: PollerContext,
  registry: Registry | null,
  members: Members,
  findTables: TableFinder,
): Promise<readonly PollerTableConfig[]> {
  const tables = await findTables();
  // A missing registry is reported once, not by every table. Any question will do.
  const [first] = tables;
  if (first !== undefined) await registry?.compatibilityOf(`${eventTopic(context.poller, first)}-value`, context.signal);
  await ensureTopics(context, tables);
  context.logger.info({ poller: context.poller.name, tables: tables.map(({ table }) => table) }, 'polling');
  await offer(context, members, tables);
  return tables;
}

/** Every table has its partition in the topic of the group before any thread joins: so all of them can join at once. */
async function offer(context: PollerContext, members: Members, tables: readonly PollerTableConfig[]): Promise<void> {
  const { kafka, poller, config, signal } = context;
  const names = tables.map(({ table }) => table);
  const { replicationFactor } = config.kafka;
  const slots: TableSlots =
    sharingOf(context) === 'takeover' ? new Map() : await registerTables(kafka, poller.name, names, { replicationFactor, signal });
  await members.offer({ tables, slots });
}

/** Looks for tables that have come or gone, as far as the configuration names them by a pattern, until the signal is aborted. */
async function watchTables(
  context: PollerContext,
  members: Members,
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
      await offer(context, members, tables);
      known = tables;
    } catch (error) {
      if (!signal.aborted) logger.warn(`could not look for tables: ${describeError(error)}`);
    }
  }
}
