import { setTimeout as delay } from 'node:timers/promises';
import { formatTableId } from '#change-events/index.ts';
import type { KafkaAdmin, PartitionOffsets } from '#kafka/index.ts';
import { nameOf } from '../apply/positions.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { Session } from './session.ts';

/** Where the partitions of each topic ended. */
type Ends = ReadonlyMap<string, readonly PartitionOffsets[]>;

/** A look at a transaction that lacks events: its end's offset and the last known one's, and where the topics ended after that. */
type Look = { readonly first: bigint; readonly through: bigint; readonly ends: Ends };

const betweenLooksMs = 2000;

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
  let look: Look | undefined;
  for (;;) {
    await delay(betweenLooksMs, undefined, { signal });
    if (!(await isCurrent())) return;
    const first = sequencer.firstEnd()?.offset;
    const lacking = sequencer.lacking();
    if (first === undefined || lacking === null || lacking.size === 0) {
      look = undefined;
    } else if (look?.first === first) {
      const exhausted = exhaustedOf(session, mirrors, look.ends);
      if ([...lacking].every((collection) => exhausted.has(collection))) await giveUp(exhausted, look.through);
    } else {
      const through = sequencer.lastEnd() ?? first;
      const ends = await Promise.all(mirrors.topics.map(async (topic) => [topic, await endsOf(session, admin, topic)] as const));
      look = { first, through, ends: new Map(ends) };
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
