import type { ClientConfig } from 'pg';
import { eventDecoder, heartbeatTable as standardHeartbeat, type TableId } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import type { WorkloadStatistics } from '#legacy-db/index.ts';
import type { SchemaRegistryConfig } from '#pipeline/index.ts';
import { appliedOffsets } from './applied-offsets.ts';
import { waitCaughtUp, type Horizons } from './catch-up.ts';
import { collect } from './collect.ts';
import { costBetween, sampleCost, type Cost, type CostProbe, type CostSample } from './cost/cost.ts';
import { watchProcessors, whySaturated } from './cost/saturation.ts';
import { startObserver } from './observer/observer.ts';
import { judgeClaims } from './outcomes/claims.ts';
import type { ComparisonReport } from './report/report.ts';
import { readShapes } from './source/catalogue.ts';
import { requireLedger } from './source/ledger.ts';
import { openSession, type Session } from './source/session.ts';
import { openWindow, writeSentinel } from './source/window.ts';
import { mapStrategies, mapStrategiesAsync, mapStrategiesInTurn, type PerStrategy } from './strategy.ts';

export type ComparisonInput = {
  readonly kafka: Kafka;
  /** Needed where events carry schemas. */
  readonly schemaRegistry?: SchemaRegistryConfig | undefined;
  /** The legacy database as the owner: reads the ledger and writes the heartbeat. */
  readonly legacyDatabase: ClientConfig;
  readonly readDatabase: ClientConfig;
  /** Where each strategy publishes, and the schema of the read model that it feeds. */
  readonly strategies: PerStrategy<{ readonly topicPrefix: string; readonly model: string }>;
  readonly tables: readonly TableId[];
  readonly horizons: Horizons;
  /** The strategies' roles in the legacy database, whose rights are then reported. */
  readonly roles?: PerStrategy<string>;
  /** Where each one's cost can be read; it is then reported. */
  readonly costProbes?: PerStrategy<CostProbe>;
  /** Default cdc.heartbeat. Its columns are `id` and `beat_at`, and the connector captures it. */
  readonly heartbeatTable?: TableId;
  /** Longest wait for a strategy that does not get on, before and after the run. Default 60 s. */
  readonly catchUpTimeoutMs?: number;
  /** What "low latency" means: 95% of the changes in the read model within so many ms. Default 1000. */
  readonly latencyLimitMs?: number;
  /** Events and changes kept in memory, about 0.5 kB each. Default 500,000. */
  readonly maxEvents?: number;
  /** Keys listed of each kind of difference. Default 20. */
  readonly listedKeys?: number;
  readonly signal?: AbortSignal;
  /** One line about what was waited for. */
  readonly progress?: (text: string) => void;
};

/** A comparison that is being observed: what commits from now on counts. */
export type RunningComparison = AsyncDisposable & {
  /** Waits until all strategies and their models have caught up, measures and judges. Once. */
  finish(workload?: WorkloadStatistics | null): Promise<ComparisonReport>;
};

/**
 * Starts to observe all strategies: waits until they have caught up with what is there, then opens the window. Pollers, connector and
 * read models must run; their topics must exist.
 *
 * @throws CdcError LEDGER_MISSING, COMPARISON_IMPOSSIBLE, COMPARISON_NOT_CAUGHT_UP, TOPIC_MISSING, and those of connections
 */
export async function startComparison(input: ComparisonInput): Promise<RunningComparison> {
  const { kafka, strategies, latencyLimitMs = 1000, maxEvents = 500_000, listedKeys = 20 } = input;
  const heartbeatTable = input.heartbeatTable ?? standardHeartbeat;
  const topicPrefixes = mapStrategies(strategies, ({ topicPrefix }) => topicPrefix);
  await using opened = new AsyncDisposableStack();
  const source = opened.use(await openSession(named(input.legacyDatabase), 'LEGACY_DB_UNREACHABLE'));
  const contenders = await mapStrategiesAsync(strategies, async ({ topicPrefix, model }) => ({
    topicPrefix,
    schema: model,
    model: opened.use(await openSession(named(input.readDatabase), 'READ_DB_UNREACHABLE')),
    source: opened.use(await openSession(named(input.legacyDatabase), 'LEGACY_DB_UNREACHABLE')),
  }));
  const shapes = await readShapes(source, input.tables);
  await requireLedger(source, shapes);
  const admin = opened.use(await kafka.admin());
  const observer = opened.use(
    await startObserver({
      kafka,
      decoder: eventDecoder(input.schemaRegistry),
      topicPrefixes,
      tables: shapes,
      heartbeatTable,
      appliedOffsets: await mapStrategiesAsync(contenders, ({ model, schema }) => appliedOffsets(model, schema)),
      maxEvents,
    }),
  );
  const catchUp = {
    observer,
    admin,
    readDatabase: contenders.log.model,
    shapes,
    topicPrefixes,
    models: mapStrategies(contenders, ({ schema }) => schema),
    horizons: input.horizons,
    timeoutMs: input.catchUpTimeoutMs ?? 60_000,
    signal: input.signal ?? new AbortController().signal,
    progress: input.progress ?? (() => undefined),
  };
  const opening = await writeSentinel(source, heartbeatTable);
  await waitCaughtUp(opening.txId, catchUp);
  const start = await openWindow(source, opening);
  const probes = input.costProbes ?? null;
  const before = probes === null ? null : await mapStrategiesInTurn(probes, (probe) => sampleCost(source, probe));
  const startedAt = new Date().toISOString();
  const processors = opened.use(watchProcessors());
  const resources = opened.move();

  return {
    async finish(workload = null) {
      const costs = probes === null || before === null ? null : await costsSince(source, probes, before);
      const sentinel = await writeSentinel(source, heartbeatTable);
      await waitCaughtUp(sentinel.txId, catchUp);
      const caughtUpAt = new Date().toISOString();
      const saturated = whySaturated(processors.soFar());
      const window = { ...start, end: sentinel.snapshot };
      const { reports, sourceMoved, notes } = await collect({
        observer,
        source,
        contenders,
        shapes,
        window,
        heartbeatTable,
        roles: input.roles ?? null,
        costs,
        maxEvents,
        listedKeys,
      });
      return {
        format: 2,
        startedAt,
        caughtUpAt,
        tables: shapes.map(({ id }) => id),
        workload,
        strategies: reports,
        claims: judgeClaims(reports, { latencyLimitMs, sourceMoved, saturated }),
        notes: saturated === null ? notes : [...notes, `The times of this run are those of a busy machine: ${saturated}.`],
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A whole comparison: observes, runs the workload, waits until all have caught up, measures and judges. */
export async function runComparison(input: ComparisonInput, workload: () => Promise<WorkloadStatistics | null>): Promise<ComparisonReport> {
  await using running = await startComparison(input);
  return await running.finish(await workload());
}

function costsSince(source: Session, probes: PerStrategy<CostProbe>, before: PerStrategy<CostSample>): Promise<PerStrategy<Cost>> {
  return mapStrategiesInTurn(probes, async (probe, strategy) => {
    const after = await sampleCost(source, probe);
    return costBetween(source, probe, before[strategy] ?? after, after);
  });
}

function named(config: ClientConfig): ClientConfig {
  return { ...config, application_name: 'cdc compare' };
}
