import { formatTableId, sharingTopics, topicName } from '#change-events/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { inTransaction } from '../database.ts';
import { lockWait } from '../locks.ts';
import { loadMirrors } from './mirror-catalogue.ts';
import type { Mirror } from './mirror.ts';
import { retrying } from '../retry.ts';
import type { ColumnDemand } from './column-demand.ts';
import { DemandRefusedError, followSource } from './follow-source.ts';
import { createRefusals } from './refusals.ts';

/** The mirrors of one model as this process knows them, by the topics that feed them. They change when a source table does. */
export type Mirrors = {
  readonly topics: readonly string[];
  /** @throws TypeError for a topic that feeds no mirror */
  of(topic: string): Mirror;
  reload(): Promise<void>;
  /**
   * Gives `mirror` the columns that events ask for, unless it has changed since. What it cannot be given is among its refusals then, and
   * the events are to be decoded again in either case.
   *
   * @throws CdcError READ_MODEL_LOCKED when others use the table, and what else passes: to be tried again later
   */
  follow(mirror: Mirror, demands: readonly ColumnDemand[]): Promise<void>;
};

/** @param ignoreColumns as `schema.table.column` */
export function openMirrors(
  pool: Pool,
  topicPrefix: string,
  loaded: readonly Mirror[],
  logger: Logger,
  signal: AbortSignal,
  ignoreColumns: readonly string[] = [],
): Mirrors {
  const schema = loaded[0]?.schema ?? '';
  const refusals = createRefusals();
  const locked = new Map<string, { readonly until: number; readonly error: CdcError }>();
  const withRules = (mirror: Mirror): Mirror => ({
    ...mirror,
    ignored: ignoredOf(mirror, ignoreColumns),
    refusals: refusals.of(mirror),
  });
  const byTopic = (mirrors: readonly Mirror[]): ReadonlyMap<string, Mirror> => {
    requireOwnTopics(topicPrefix, mirrors);
    return new Map(mirrors.map((mirror) => [topicName(topicPrefix, mirror.source), withRules(mirror)]));
  };
  let known = byTopic(loaded);
  const current = (topic: string): Mirror => {
    const mirror = known.get(topic);
    if (mirror === undefined) throw new TypeError(`topic ${topic} has no mirror`);
    return mirror;
  };
  // One at a time: partitions of one topic meet a new column at the same moment.
  let last: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    topics: [...known.keys()],
    of: current,
    reload: () =>
      inTurn(async () => {
        const mirrors = await retrying(`reading the mirrors of ${schema}`, logger, signal, () =>
          inTransaction(pool, schema, (client) => loadMirrors(client, schema)),
        );
        known = byTopic(mirrors);
      }),
    follow: (mirror, demands) =>
      inTurn(async () => {
        if (current(topicName(topicPrefix, mirror.source)) !== mirror) return;
        const waits = locked.get(mirror.table);
        if (waits !== undefined && Date.now() < waits.until) throw waits.error;
        locked.delete(mirror.table);
        try {
          known = byTopic(await followSource(pool, mirror, demands, logger));
        } catch (error) {
          if (error instanceof CdcError) locked.set(mirror.table, { until: Date.now() + lockWait.pauseMs, error });
          if (!(error instanceof DemandRefusedError)) throw error;
          refusals.add(mirror, error);
          known = byTopic([...known.values()]);
        }
      }),
  };
}

/** The topic does not say which of two tables an event belongs to. */
function requireOwnTopics(topicPrefix: string, mirrors: readonly Mirror[]): void {
  const [shared] = sharingTopics(mirrors, ({ source }) => topicName(topicPrefix, source));
  const [first] = shared ?? [];
  if (shared === undefined || first === undefined) return;
  const sources = shared.map(({ table, source }) => `${table} (of ${formatTableId(source)})`).join(' and ');
  throw new CdcError('READ_MODEL_MIRROR_INVALID', `mirrors ${sources} would be fed by one topic, ${topicName(topicPrefix, first.source)}`, {
    remedy: `Delete all but one of them from ${first.schema}.mirrored_tables.`,
  });
}

function ignoredOf(mirror: Mirror, ignoreColumns: readonly string[]): ReadonlySet<string> {
  const table = `${formatTableId(mirror.source)}.`;
  return new Set(ignoreColumns.filter((name) => name.startsWith(table)).map((name) => name.slice(table.length)));
}
