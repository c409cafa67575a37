import { readHorizons } from '#cdc-poller/index.ts';
import { parseTableId } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, postgresClientConfig, type Logger, type PipelineConfig, type ReadModelConfig } from '#pipeline/index.ts';
import type { ComparisonInput } from './run.ts';

/**
 * The comparison that a pipeline.yaml describes: the poller's tables, the prefixes of poller and connector, and for each the read model
 * that follows it.
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
  return {
    kafka,
    legacyDatabase: postgresClientConfig(legacyDb, owner, 'cdc compare'),
    readDatabase: postgresClientConfig(readModel, readModel, 'cdc compare'),
    strategies: {
      log: { topicPrefix: connect.topicPrefix, model: modelFor(readModel, connect.topicPrefix) },
      query: { topicPrefix: poller.topicPrefix, model: modelFor(readModel, poller.topicPrefix) },
    },
    tables: poller.tables.map(({ table }) => parseTableId(table)),
    queryHorizons: () => readHorizons(kafka, poller.name),
    ...(replicator === undefined ? {} : { roles: { log: replicator.user, query: legacyDb.roles.poller.user } }),
  };
}

function modelFor(readModel: ReadModelConfig, topicPrefix: string): string {
  const [found] = Object.entries(readModel.models).find(([, model]) => model.topicPrefix === topicPrefix) ?? [];
  if (found === undefined) throw new CdcError('COMPARISON_IMPOSSIBLE', `readModel.models has none for the topic prefix ${topicPrefix}`);
  return found;
}
