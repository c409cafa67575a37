import { topicName } from '#change-events/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { inTransaction } from './database.ts';
import { loadMirrors } from './mirror-catalogue.ts';
import type { Mirror } from './mirror.ts';
import { retrying } from './retry.ts';
import type { ColumnDemand } from './schema/column-demand.ts';
import { followSource } from './schema/follow-source.ts';

/** The mirrors of one model as this process knows them, by the topics that feed them. They change when a source table does. */
export type Mirrors = {
  readonly topics: readonly string[];
  /** @throws TypeError for a topic that feeds no mirror */
  of(topic: string): Mirror;
  reload(): Promise<void>;
  /** Gives `mirror` the columns that events ask for, unless it has changed since. */
  follow(mirror: Mirror, demands: readonly ColumnDemand[]): Promise<void>;
};

export function openMirrors(pool: Pool, topicPrefix: string, loaded: readonly Mirror[], logger: Logger, signal: AbortSignal): Mirrors {
  const schema = loaded[0]?.schema ?? '';
  const byTopic = (mirrors: readonly Mirror[]): ReadonlyMap<string, Mirror> =>
    new Map(mirrors.map((mirror) => [topicName(topicPrefix, mirror.source), mirror]));
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
        const mirrors = await retrying(`following the source of ${mirror.table}`, logger, signal, () =>
          followSource(pool, mirror, demands, logger),
        );
        known = byTopic(mirrors);
      }),
  };
}
