import { CdcError, pause } from '#pipeline/index.ts';
import {
  appliedOffsets,
  freshnessOf,
  hasReached,
  laterBy,
  nameOf,
  parseWanted,
  partitionProgress,
  qualified,
  queryText,
  skipRange,
  type Wanted,
} from '#read-model/engine/index.ts';
import type { Consumer } from './consumer.ts';
import type { Run } from './run.ts';
import { consumerWording } from './wording.ts';

const lookEveryMs = 50;
const defaultWaitMs = 10_000;

/** What can be asked of a running consumer. The database answers, for all instances of the group. */
export function watchConsumer(run: Run): Pick<Consumer, 'status' | 'freshness' | 'waitFor' | 'skip'> {
  const { settings, pool, admin, troubles, lifetime } = run;
  const { schema, group, staleAfterMs } = settings;
  const topics = new Set(Object.values(settings.topics).map(({ topic }) => topic));
  const requireRunning = (): void => {
    if (run.state === 'ended') throw new CdcError('CONSUMER_ENDED', `the consumer of group ${group} has ended`);
  };
  return {
    async status() {
      if (run.state === 'ended') return { group, state: run.state, partitions: [] };
      const partitions = await partitionProgress(pool, admin, schema);
      return {
        group,
        state: run.state,
        partitions: partitions
          .filter(({ topic }) => topics.has(topic))
          .map(({ topic, partition, appliedOffset: nextOffset, endOffset, lag, parked, halted }) => ({
            topic,
            partition,
            nextOffset,
            endOffset,
            lag,
            parked,
            halted: halted === null ? null : { offset: halted.offset, code: halted.code, cause: halted.cause, remedy: halted.remedy },
            trouble: troubles.of({ topic, partition }),
          })),
      };
    },
    async freshness() {
      requireRunning();
      const { state, asOf, staleSeconds } = await freshnessOf(pool, schema, staleAfterMs);
      return { state, asOf, staleSeconds };
    },
    async waitFor(position, { timeoutMs = defaultWaitMs, signal } = {}) {
      const wanted = parseWanted(position);
      if (wanted === null)
        throw new CdcError('CONSUMER_INVALID', `${position} is neither a position (topic:partition=offset) nor a time with a zone`);
      const until = signal === undefined ? lifetime.signal : AbortSignal.any([lifetime.signal, signal]);
      for (const deadline = performance.now() + timeoutMs; ; await pause(lookEveryMs, until)) {
        signal?.throwIfAborted();
        requireRunning();
        if (await isReached(run, wanted)) return;
        if (performance.now() >= deadline)
          throw new CdcError('CONSUMER_NOT_REACHED', `group ${group} has not reached ${position} within ${timeoutMs} ms`);
      }
    },
    async skip(range) {
      requireRunning();
      await skipRange(pool, schema, range, consumerWording);
    },
  };
}

async function isReached({ settings: { schema, clockAheadMs }, pool }: Run, wanted: Wanted): Promise<boolean> {
  if (wanted.kind === 'offsets') {
    const offsets = new Map((await appliedOffsets(pool, schema)).map((one) => [nameOf(one), one.nextOffset]));
    return hasReached({ offsets, asOf: null }, wanted);
  }
  const [row] = await queryText(pool, `SELECT floor(extract(epoch FROM as_of) * 1000000)::bigint FROM ${qualified(schema, 'freshness')}`);
  const asOf = row?.[0] ?? null;
  return hasReached({ offsets: new Map(), asOf: asOf === null ? null : BigInt(asOf) }, laterBy(clockAheadMs, wanted));
}
