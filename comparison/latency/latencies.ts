import type { Match } from '../events/match-key.ts';
import { measured, notMeasured, type Measured } from '../measured.ts';
import type { CommitTimes } from '../source/commit-times.ts';
import { lowXid } from '../source/xid.ts';
import { appliedAt, placeOf, type ApplyLog } from './apply-log.ts';
import { distribution, type Distribution } from './percentiles.ts';

/** How long changes were on their way, in ms, for those that arrived. */
export type Latencies = {
  /** From the commit in the legacy database to a read_committed consumer on this host. */
  readonly toKafka: Measured<Distribution>;
  /** From the commit to its visibility in the read model. */
  readonly toReadModel: Measured<Distribution>;
  /** Events that arrived and are in neither figure, because their commit is no longer known; in `toReadModel` only, because no batch holds them. */
  readonly withoutCommitTime: number;
  readonly withoutBatch: number;
};

export type TimedMatch = Match & { readonly topic: string };

/**
 * The clocks of the databases are brought to this host's: `sourceAheadMs` and `readAheadMs` say how far they are ahead of it (0 where the
 * difference is below what can be measured).
 */
export function latencies(
  matches: readonly TimedMatch[],
  commitTimes: CommitTimes,
  applyLog: ApplyLog,
  clocks: { readonly sourceAheadMs: number; readonly readAheadMs: number },
): Latencies {
  const why = commitTimes.unavailable ?? (matches.length === 0 ? 'no event of this run arrived' : null);
  if (why !== null) return { toKafka: notMeasured(why), toReadModel: notMeasured(why), withoutCommitTime: matches.length, withoutBatch: 0 };
  const toKafka: number[] = [];
  const toReadModel: number[] = [];
  for (const { event, change, topic } of matches) {
    // The change's own transaction; the event's may be a sub-transaction, which committed with it.
    const committed = commitTimes.times.get(lowXid(change.txId));
    if (committed === undefined) continue;
    const committedAt = committed - clocks.sourceAheadMs;
    toKafka.push(event.receivedAt - committedAt);
    const applied = appliedAt(applyLog.get(placeOf(topic, event.partition)), event.offset);
    if (applied !== null) toReadModel.push(applied - clocks.readAheadMs - committedAt);
  }
  return {
    toKafka: orWhy(distribution(toKafka), 'the database no longer knows when these transactions committed'),
    toReadModel: orWhy(distribution(toReadModel), "none of these events is in the read model's apply_log"),
    withoutCommitTime: matches.length - toKafka.length,
    withoutBatch: toKafka.length - toReadModel.length,
  };
}

function orWhy(value: Distribution | null, why: string): Measured<Distribution> {
  return value === null ? notMeasured(why) : measured(value);
}
