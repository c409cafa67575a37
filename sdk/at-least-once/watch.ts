import { CdcError, pause } from '#pipeline/index.ts';
import { hasReached, nameOf, parseWanted } from '#read-model/engine/index.ts';
import type { Troubles } from '../apply/troubles.ts';
import type { Membership } from '../membership.ts';
import type { AtLeastOnceConsumer, AtLeastOncePartition } from './options.ts';
import type { Places } from './places.ts';

const lookEveryMs = 100;
const defaultWaitMs = 10_000;

type Watched = { readonly run: Membership; readonly places: Places; readonly troubles: Troubles };

/** What can be asked of a running consumer without a database. Kafka answers, for all instances of the group. */
export function watchAtLeastOnce(watched: Watched): Pick<AtLeastOnceConsumer, 'status' | 'waitFor' | 'skip'> {
  const { run, places } = watched;
  const { group } = run.settings;
  const requireRunning = (): void => {
    if (run.state === 'ended') throw new CdcError('CONSUMER_ENDED', `the consumer of group ${group} has ended`);
  };
  return {
    status: async () => ({ group, state: run.state, partitions: run.state === 'ended' ? [] : await partitionsOf(watched) }),
    async waitFor(position, { timeoutMs = defaultWaitMs, signal } = {}) {
      const wanted = parseWanted(position);
      if (wanted?.kind !== 'offsets')
        throw new CdcError('CONSUMER_INVALID', `${position} is no position (topic:partition=offset); a time needs a database`);
      const until = signal === undefined ? run.lifetime.signal : AbortSignal.any([run.lifetime.signal, signal]);
      for (const deadline = performance.now() + timeoutMs; ; await pause(lookEveryMs, until)) {
        signal?.throwIfAborted();
        requireRunning();
        const offsets = new Map((await partitionsOf(watched)).map((one) => [nameOf(one), one.nextOffset]));
        if (hasReached({ offsets, asOf: null }, wanted)) return;
        if (performance.now() >= deadline)
          throw new CdcError('CONSUMER_NOT_REACHED', `group ${group} has not reached ${position} within ${timeoutMs} ms`);
      }
    },
    async skip(range) {
      requireRunning();
      await places.skip(range);
    },
  };
}

async function partitionsOf({ run: { settings, admin }, places, troubles }: Watched): Promise<readonly AtLeastOncePartition[]> {
  const existing = new Set(await admin.listTopics());
  const partitions: AtLeastOncePartition[] = [];
  for (const topic of Object.values(settings.topics)
    .map((one) => one.topic)
    .filter((one) => existing.has(one))) {
    const committed = await admin.committedOffsets(settings.group, topic);
    for (const { partition, low, high } of await admin.offsetsOf(topic)) {
      const place = { topic, partition };
      const nextOffset = committed.get(partition) ?? low;
      const halt = places.known(place)?.halt ?? null;
      partitions.push({
        ...place,
        nextOffset,
        endOffset: high,
        lag: high > nextOffset ? high - nextOffset : 0n,
        halted: halt === null ? null : { offset: halt.offset, code: halt.error.code, cause: halt.error.message, remedy: halt.error.remedy },
        trouble: troubles.of(place),
      });
    }
  }
  return partitions;
}
