import { formatTableId, topicName, type TableId } from '#change-events/index.ts';
import { CdcError, type PipelineConfig } from '#pipeline/index.ts';

export type Strategy = 'query' | 'log';

/** A strategy's topic of a table, and what to do when it is not there. */
export type StrategyTopic = { readonly strategy: Strategy; readonly topic: string; readonly remedy: string };

/**
 * The topics of a table, of the strategies that are configured. Pure.
 *
 * @throws CdcError CONFIG_INVALID when the strategy asked for is not configured, or none is
 */
export function topicsOf(config: PipelineConfig, table: TableId, asked: Strategy | 'both'): readonly StrategyTopic[] {
  const all = [queryTopic(config, table), logTopic(config, table)].filter((topic) => topic !== null);
  const found = all.filter(({ strategy }) => asked === 'both' || strategy === asked);
  if (found.length > 0) return found;
  const sections = { query: 'poller', log: 'connect', both: 'poller or connect' };
  throw new CdcError('CONFIG_INVALID', `pipeline.yaml has no section ${sections[asked]}, so there is no topic of that strategy to read`, {
    remedy: `Add the section ${sections[asked]} to pipeline.yaml${all.length > 0 ? ', or choose the other strategy with --strategy' : ''}.`,
  });
}

function queryTopic({ poller }: PipelineConfig, table: TableId): StrategyTopic | null {
  if (poller === undefined) return null;
  const id = formatTableId(table);
  const named = poller.tables.find((entry) => entry.table === id)?.topic;
  return {
    strategy: 'query',
    topic: named ?? topicName(poller.topicPrefix, table),
    remedy: `Check that poller.tables in pipeline.yaml has ${id}, and start the poller: cdc poller start.`,
  };
}

function logTopic({ connect }: PipelineConfig, table: TableId): StrategyTopic | null {
  if (connect === undefined) return null;
  return {
    strategy: 'log',
    topic: topicName(connect.topicPrefix, table),
    remedy: `Check that table.include.list of the connector file has ${formatTableId(table)}, and apply it: cdc connectors apply. The connector makes the topic with the first event of the table.`,
  };
}
