import type { BatchControl } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import { nameOf } from '#read-model/engine/index.ts';
import type { UnreadableRange } from '../consumer.ts';

/** Why a partition of this process does not go on, and what would be passed over: from `offset` to before `nextOffset`. */
export type Halt = { readonly offset: bigint; readonly nextOffset: bigint; readonly error: CdcError };

/** What this member knows of a partition that it was assigned. */
export type Place = {
  /** Everything before it is handled. Null until Kafka was asked. */
  next: bigint | null;
  /** Whether Kafka was asked since the group was last shared: somebody else may have gone on meanwhile. */
  isChecked: boolean;
  halt: Halt | null;
  /** How often the changes from `next` on have been handed over in vain. */
  failures: number;
  /** By offset: why the handler can never handle a change. */
  readonly poisons: Map<bigint, string>;
  /** The bytes of the key of the last message, when that was a delete: a tombstone of the same key only follows it. */
  lastDeleted: string | null;
  /** What held nothing for us is committed; the next batch waits for it. */
  moving: Promise<void>;
  /** Kafka's id of the topic, when it was asked. */
  topicId: string | null;
  /** Of the last call: moves the partition on. */
  control: Pick<BatchControl, 'commit' | 'seek'> | null;
};

/** The partitions of this member. */
export type Places = {
  /** The group was shared: only these partitions are this member's. */
  assign(assigned: readonly TopicPartition[]): void;
  of(place: TopicPartition): Place;
  known(place: TopicPartition): Place | undefined;
  halt(place: TopicPartition, halt: Halt): void;
  /** Resolves when it is committed that the partition goes on behind the range. @throws CdcError CONSUMER_SKIP_REFUSED */
  skip(range: UnreadableRange): Promise<void>;
  /** Kafka's id of each topic, as it was when it was asked. */
  topicIds(): ReadonlyMap<string, string | null>;
  /** The topic was made again: its partitions are read from the beginning, and Kafka is asked where they go on. */
  recheck(topic: string): void;
};

export function createPlaces(logger: Logger): Places {
  const places = new Map<string, Place>();
  const of = (place: TopicPartition): Place => {
    const known = places.get(nameOf(place)) ?? newPlace();
    places.set(nameOf(place), known);
    return known;
  };
  return {
    assign(assigned) {
      const names = new Set(assigned.map(nameOf));
      for (const name of places.keys()) if (!names.has(name)) places.delete(name);
      for (const place of places.values()) place.isChecked = false;
    },
    of,
    known: (place) => places.get(nameOf(place)),
    halt(place, halt) {
      const known = of(place);
      const isNews = known.halt?.offset !== halt.offset || known.halt.error.code !== halt.error.code;
      known.halt = halt;
      const { code, remedy, message } = halt.error;
      const { topic, partition } = place;
      if (isNews) logger.error({ topic, partition, offset: String(halt.offset), code, remedy }, `${message}; the partition halts`);
    },
    async skip(range) {
      const known = places.get(nameOf(range));
      if (known?.control === null || known?.halt?.offset !== range.offset || known.halt.nextOffset !== range.nextOffset) {
        const { topic, partition, offset, nextOffset } = range;
        const what = `topic ${topic}, partition ${partition}, from offset ${offset} to before ${nextOffset}`;
        throw new CdcError('CONSUMER_SKIP_REFUSED', `this process does not halt at ${what}`);
      }
      await known.control.commit(range.nextOffset);
      logger.warn(
        { ...range, offset: String(range.offset), nextOffset: String(range.nextOffset) },
        'what the partition halted at is passed over',
      );
      known.next = range.nextOffset;
      known.halt = null;
      known.topicId = null;
      known.poisons.clear();
      known.control.seek(range.nextOffset);
    },
    topicIds: () => new Map([...places].map(([name, { topicId }]) => [topicOf(name), topicId])),
    recheck(topic) {
      for (const [name, place] of places) {
        if (topicOf(name) !== topic) continue;
        place.isChecked = false;
        // Nothing may come behind what was read of the old one.
        place.control?.seek(0n);
      }
    },
  };
}

function topicOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

function newPlace(): Place {
  return {
    next: null,
    isChecked: false,
    halt: null,
    failures: 0,
    poisons: new Map(),
    lastDeleted: null,
    moving: Promise.resolve(),
    topicId: null,
    control: null,
  };
}
