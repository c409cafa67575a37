import { CdcError } from '../errors.ts';
import type { PipelineConfig } from './schema.ts';

/**
 * The configuration of the comparison's third contender: the poller's tables under another name and prefix, with the key sweep on.
 *
 * @throws CdcError CONFIG_INVALID when the configuration has no poller or no comparison.sweep
 */
export function sweepPollerConfig(config: PipelineConfig): PipelineConfig {
  const { poller, comparison } = config;
  const { sweep: contender } = comparison ?? {};
  if (poller === undefined || contender === undefined)
    throw new CdcError('CONFIG_INVALID', `pipeline.yaml has no ${poller === undefined ? 'poller' : 'comparison.sweep'} section`);
  const { http: _shared, ...settings } = poller;
  const { name, topicPrefix, sweep, http } = contender;
  return {
    ...config,
    poller: {
      ...settings,
      name,
      topicPrefix,
      // A topic by name would be the other poller's too.
      tables: poller.tables.map(({ topic: _named, ...table }) => ({ ...table, sweep })),
      ...(http === undefined ? {} : { http }),
    },
  };
}
