import type { PipelineConfig } from '#pipeline/index.ts';
import type { Logger } from '#pipeline/index.ts';
import { openPool, qualified, queryText, type Database } from '../database.ts';
import { parseHeard } from './heard.ts';
import type { PassedOver } from './heartbeats.ts';
import { requireMigrated } from '../migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from '../model-config.ts';

/** How old a model's answers may be. `unknown` is not well: capture has never said how far it is. */
export type Freshness = {
  readonly model: string;
  readonly state: 'fresh' | 'stale' | 'unknown';
  /** Everything that was committed in the source before is in the model; as Postgres prints it. */
  readonly asOf: string | null;
  readonly staleSeconds: number | null;
  /** Messages among the heartbeats that proved nothing. */
  readonly passedOver: PassedOver;
};

/** @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED */
export async function readFreshness(
  config: PipelineConfig,
  models: readonly string[] | undefined,
  logger: Logger,
): Promise<readonly Freshness[]> {
  const readModel = requireReadModel(config);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    const found: Freshness[] = [];
    for (const model of selectModels(readModel, models)) {
      await requireMigrated(pool, model);
      found.push(await freshnessOf(pool, model, requireModel(readModel, model).staleAfterMs));
    }
    return found;
  } finally {
    await pool.end();
  }
}

/** Of a model that is migrated. */
export async function freshnessOf(database: Database, model: string, staleAfterMs: number): Promise<Freshness> {
  const [row] = await queryText(
    database,
    `SELECT as_of, round(extract(epoch FROM clock_timestamp() - as_of), 3), heard FROM ${qualified(model, 'freshness')}`,
  );
  const [asOf = null, seconds = null, heard = null] = row ?? [];
  const { passedOver } = parseHeard(heard);
  const staleSeconds = seconds === null ? null : Number(seconds);
  return { model, asOf, staleSeconds, passedOver, state: stateOf(staleSeconds, staleAfterMs) };
}

function stateOf(staleSeconds: number | null, staleAfterMs: number): Freshness['state'] {
  if (staleSeconds === null) return 'unknown';
  return staleSeconds * 1000 > staleAfterMs ? 'stale' : 'fresh';
}

/** For people: one line, and one more when heartbeats were ignored. */
export function describeFreshness(freshness: Freshness): string {
  return [describeState(freshness), ...describePassedOver(freshness)].join('\n');
}

function describePassedOver({ model, passedOver: { unreadable, ahead, aheadMs } }: Freshness): readonly string[] {
  const reasons = [
    ...(unreadable > 0 ? [`${unreadable} no heartbeat`] : []),
    ...(ahead > 0 ? [`${ahead} with a time in the future (the last by ${(aheadMs / 1000).toFixed(1)} s: correct the source's clock)`] : []),
  ];
  return reasons.length === 0 ? [] : [`${model}: ignored messages of heartbeat topics: ${reasons.join(', ')}`];
}

function describeState({ model, state, asOf, staleSeconds }: Freshness): string {
  switch (state) {
    case 'unknown':
      return `${model}: freshness unknown, no heartbeat has come yet (is capture running, and does it capture cdc.heartbeat?)`;
    case 'stale':
      return `${model}: STALE, complete up to ${asOf} only (${staleSeconds} s ago): the source, its capture, Kafka or the read model has stopped or is behind`;
    case 'fresh':
      return `${model}: complete up to ${asOf} (${staleSeconds} s ago)`;
  }
}
