import { fetchFigures, httpUrlOf, readHorizonsSwept } from '#cdc-poller/index.ts';
import { parseTableId } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import {
  CdcError,
  postgresClientConfig,
  sweepPollerConfig,
  type Logger,
  type PipelineConfig,
  type PollerConfig,
  type ReadModelConfig,
} from '#pipeline/index.ts';
import type { CostProbe, LoadCounters } from './cost/cost.ts';
import type { ComparisonInput } from './run.ts';

/**
 * The comparison that a pipeline.yaml describes: the poller's tables, the prefixes of pollers and connector, and for each the read model
 * that follows it. The third contender is there when comparison.sweep is.
 *
 * @throws CdcError COMPARISON_IMPOSSIBLE, LEGACY_ROLE_NOT_CONFIGURED
 */
export function comparisonFromConfig(config: PipelineConfig, logger: Logger): ComparisonInput {
  const { legacyDb, poller, connect, readModel } = config;
  if (poller === undefined || connect === undefined || readModel === undefined) {
    const missing = Object.entries({ poller, connect, readModel }).filter(([, section]) => section === undefined);
    throw new CdcError('COMPARISON_IMPOSSIBLE', `the configuration has no section ${missing.map(([name]) => name).join(', ')}`);
  }
  const { owner, replicator } = legacyDb.roles;
  if (owner === undefined)
    throw new CdcError(
      'LEGACY_ROLE_NOT_CONFIGURED',
      'a comparison reads the ledger as legacyDb.roles.owner, which pipeline.yaml does not name',
    );
  const kafka = connectKafka(config.kafka, logger);
  const sweep = config.comparison?.sweep === undefined ? null : (sweepPollerConfig(config).poller ?? null);
  const contender = (topicPrefix: string): { readonly topicPrefix: string; readonly model: string } => ({
    topicPrefix,
    model: modelFor(readModel, topicPrefix),
  });
  const horizons = (of: PollerConfig) => () => readHorizonsSwept(kafka, of);
  return {
    kafka,
    schemaRegistry: config.schemaRegistry,
    legacyDatabase: postgresClientConfig(legacyDb, owner, 'cdc compare'),
    readDatabase: postgresClientConfig(readModel, readModel, 'cdc compare'),
    strategies: {
      log: contender(connect.topicPrefix),
      query: contender(poller.topicPrefix),
      sweep: sweep === null ? null : contender(sweep.topicPrefix),
    },
    tables: poller.tables.map(({ table }) => parseTableId(table)),
    horizons: { query: horizons(poller), sweep: sweep === null ? null : horizons(sweep) },
    ...(replicator === undefined
      ? {}
      : {
          roles: { log: replicator.user, query: legacyDb.roles.poller.user, sweep: sweep === null ? null : legacyDb.roles.poller.user },
          costProbes: {
            log: { sessions: { role: replicator.user }, counters: 'it reads the log, not the tables', hasSlot: true },
            query: pollerProbe(poller),
            sweep: sweep === null ? null : pollerProbe(sweep),
          },
        }),
  };
}

function pollerProbe(poller: PollerConfig): CostProbe {
  const url = httpUrlOf(poller);
  return {
    sessions: { application: `cdc-poller ${poller.name} ` },
    counters: url === null ? 'its figures are served at no known port (http.port)' : () => countersOf(url, poller.name),
    hasSlot: false,
  };
}

/** A machine that the strategies keep busy may take long to answer, and a figure that is missing spoils the run. */
const figuresMs = 60_000;

async function countersOf(url: string, name: string): Promise<LoadCounters | null> {
  const figures = await fetchFigures(url, name, figuresMs);
  if (figures === null) return null;
  const { tables } = figures;
  const sum = (read: (table: (typeof tables)[number]) => number): number => tables.reduce((total, table) => total + read(table), 0);
  return { queries: sum(({ queries }) => queries), rowsRead: sum(({ rowsRead }) => rowsRead) };
}

function modelFor(readModel: ReadModelConfig, topicPrefix: string): string {
  const [found] = Object.entries(readModel.models).find(([, model]) => model.topicPrefix === topicPrefix) ?? [];
  if (found === undefined) throw new CdcError('COMPARISON_IMPOSSIBLE', `readModel.models has none for the topic prefix ${topicPrefix}`);
  return found;
}
