import type { Match } from '../events/match-key.ts';
import { measured, notMeasured, type Measured } from '../measured.ts';
import type { CommitTimes } from '../source/commit-times.ts';
import { lowXid } from '../source/xid.ts';
import { appliedAt, placeOf, type ApplyLog } from './apply-log.ts';
import { distribution, type Distribution } from './percentiles.ts';

/** How long changes were on their way, in ms, for those that arrived. */
export type Latencies = {
  /** Inserts and updates, from the commit in the legacy database to a read_committed consumer on this host. */
  readonly toKafka: Measured<Distribution>;
  /** The same to their visibility in the read model. */
  readonly toReadModel: Measured<Distribution>;
  /** Deletes, which a sweep sees later than the rest. */
  readonly deletesToKafka: Measured<Distribution>;
  readonly deletesToReadModel: Measured<Distribution>;
  /** Events that arrived and are in neither figure, because their commit is no longer known; in `toReadModel` only, because no batch holds them. */
  readonly withoutCommitTime: number;
  readonly withoutBatch: number;
};

export type TimedMatch = Match & { readonly topic: string };

/**
 * The clocks of the databases are brought to this host's: `sourceAheadMs` and `readAheadMs` say how far they are ahead of it (0 where the
 * difference is below what can be measured).
 */
export function latencies(matches: readonly TimedMatch[], commitTimes: CommitTimes, applyLog: ApplyLog, clocks: Clocks): Latencies {
  const [deletes, others] = [matches.filter(({ change }) => change.op === 'd'), matches.filter(({ change }) => change.op !== 'd')];
  const states = timesOf(others, commitTimes, applyLog, clocks);
  const gone = timesOf(deletes, commitTimes, applyLog, clocks);
  const unknown = 'the database no longer knows when these transactions committed';
  const unapplied = "none of these events is in the read model's apply_log";
  const orWhy = (times: readonly number[], of: readonly TimedMatch[], why: string): Measured<Distribution> => {
    const none = commitTimes.unavailable ?? (of.length === 0 ? 'no event of this run arrived' : why);
    const value = commitTimes.unavailable === null ? distribution(times) : null;
    return value === null ? notMeasured(none) : measured(value);
  };
  const timed = states.toKafka.length + gone.toKafka.length;
  return {
    toKafka: orWhy(states.toKafka, others, unknown),
    toReadModel: orWhy(states.toReadModel, others, unapplied),
    deletesToKafka: orWhy(gone.toKafka, deletes, unknown),
    deletesToReadModel: orWhy(gone.toReadModel, deletes, unapplied),
    withoutCommitTime: matches.length - timed,
    withoutBatch: timed - states.toReadModel.length - gone.toReadModel.length,
  };
}

type Clocks = { readonly sourceAheadMs: number; readonly readAheadMs: number };

function timesOf(
  matches: readonly TimedMatch[],
  { times }: CommitTimes,
  applyLog: ApplyLog,
  { sourceAheadMs, readAheadMs }: Clocks,
): { readonly toKafka: readonly number[]; readonly toReadModel: readonly number[] } {
  const toKafka: number[] = [];
  const toReadModel: number[] = [];
  for (const { event, change, topic } of matches) {
    // The change's own transaction; the event's may be a sub-transaction, which committed with it.
    const committed = times.get(lowXid(change.txId));
    if (committed === undefined) continue;
    const committedAt = committed - sourceAheadMs;
    toKafka.push(event.receivedAt - committedAt);
    const applied = appliedAt(applyLog.get(placeOf(topic, event.partition)), event.offset);
    if (applied !== null) toReadModel.push(applied - readAheadMs - committedAt);
  }
  return { toKafka, toReadModel };
}
