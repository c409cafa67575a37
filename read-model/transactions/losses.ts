import { setTimeout as delay } from 'node:timers/promises';
import { formatTableId } from '#change-events/index.ts';
import type { KafkaAdmin, PartitionOffsets } from '#kafka/index.ts';
import { nameOf } from '../apply/positions.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { Session } from './session.ts';

/** Where the partitions of each topic ended. */
type Ends = ReadonlyMap<string, readonly PartitionOffsets[]>;

/** What was known when a transaction lacked events: the offsets of its end and of the last known end, and where the topics ended then. */
type Observation = { readonly first: bigint; readonly through: bigint; readonly ends: Ends };

const observeEveryMs = 2000;

export type LossContext = {
  readonly admin: KafkaAdmin;
  readonly mirrors: Mirrors;
  readonly signal: AbortSignal;
  /** Whether the session is the one that is read. */
  readonly isCurrent: () => Promise<boolean>;
  /** Gives up the events of these collections that transactions up to the end at offset `through` lack. */
  readonly giveUp: (collections: ReadonlySet<string>, through: bigint) => Promise<void>;
};

/**
 * A transaction whose end is known but whose events are not in their topics (deleted, or applied before this mode was switched on) is
 * waited for in vain: then all is read that was in those topics when its end was known. Returns when the session is over.
 */
export async function watchForLosses(session: Session, { admin, mirrors, signal, isCurrent, giveUp }: LossContext): Promise<void> {
  const { sequencer } = session;
  let last: Observation | undefined;
  for (;;) {
    await delay(observeEveryMs, undefined, { signal });
    if (!(await isCurrent())) return;
    const first = sequencer.firstEnd()?.offset;
    const lacking = sequencer.lacking();
    if (first === undefined || lacking === null || lacking.size === 0) {
      last = undefined;
    } else if (last?.first === first) {
      const exhausted = exhaustedOf(session, mirrors, last.ends);
      if ([...lacking].every((collection) => exhausted.has(collection))) await giveUp(exhausted, last.through);
    } else {
      const through = sequencer.lastEnd() ?? first;
      const ends = await Promise.all(mirrors.topics.map(async (topic) => [topic, await endsOf(session, admin, topic)] as const));
      last = { first, through, ends: new Map(ends) };
    }
  }
}

async function endsOf({ holdings }: Session, admin: KafkaAdmin, topic: string): Promise<readonly PartitionOffsets[]> {
  const isHeld = [...holdings.values()].some((holding) => holding.topic === topic);
  return isHeld ? admin.offsetsOf(topic) : [];
}

/** The collections of the topics that are read to these ends. */
function exhaustedOf({ sequencer, holdings }: Session, mirrors: Mirrors, ends: Ends): ReadonlySet<string> {
  const exhausted = mirrors.topics.filter((topic) => {
    const places = [...holdings.values()].filter((holding) => holding.topic === topic);
    const end = (partition: number): bigint => ends.get(topic)?.find((one) => one.partition === partition)?.high ?? 0n;
    return places.length > 0 && places.every((place) => sequencer.readTo(nameOf(place)) >= end(place.partition));
  });
  return new Set(exhausted.map((topic) => formatTableId(mirrors.of(topic).source)));
}
