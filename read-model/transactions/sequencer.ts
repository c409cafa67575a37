import type { ConsumedMessage } from '#kafka/index.ts';
import type { TransactionEnd } from './boundary.ts';

/** One partition's events that were read and not taken yet, in order. */
type Lane = { readonly collection: string; readonly events: Buffered[]; readTo: bigint };
type Buffered = { readonly message: ConsumedMessage; readonly transaction: string | null; readonly bytes: number };

/** What may become visible at once now: whole source transactions, in commit order, and events that belong to none. By lane. */
export type Taken = {
  readonly messages: ReadonlyMap<string, readonly ConsumedMessage[]>;
  /** Transactions that are not whole: some of their events came before, come later, or are lost. */
  readonly torn: readonly string[];
};

export type Sequencer = {
  addLane(lane: string, collection: string, readTo: bigint): void;
  /** Events of a lane, and how far it is read with them. Also without events. */
  add(lane: string, messages: readonly ConsumedMessage[], readTo: bigint): void;
  addEnd(end: TransactionEnd): void;
  /** Takes whatever is complete, about up to `most` events. Null when nothing is. */
  take(most: number): Taken | null;
  /** Takes what there is of the first transaction of each lane, though it is not complete: memory is short. */
  takeTorn(): Taken;
  /** Gives up waiting for events of these collections that transactions up to the end at offset `through` lack. */
  giveUp(collections: ReadonlySet<string>, through: bigint): Taken;
  /** How far a lane is taken: the offset of its first event that is still here, or the next one to be read. */
  takenTo(lane: string): bigint;
  readTo(lane: string): bigint;
  /** The first end that is not taken; null when none is known. */
  firstEnd(): TransactionEnd | null;
  /** Collections of which the first transaction whose end is known lacks events; null when no end is known. */
  lacking(): ReadonlySet<string> | null;
  /** Offset of the last end that is known; null when none is. */
  lastEnd(): bigint | null;
  /** Bytes of the events that wait. */
  readonly bytes: () => number;
};

/**
 * Puts the events of many partitions together again as the transactions that they were. The ends come in commit order, and every
 * partition has its events in commit order too, so the first end that is known says which events are next. `transactionOf` reads an event's.
 */
export function createSequencer(mirrored: ReadonlySet<string>, transactionOf: (value: Buffer | null) => string | null): Sequencer {
  const lanes = new Map<string, Lane>();
  const ends: TransactionEnd[] = [];
  /** Events of a transaction that were taken before it was complete, by collection. */
  const early = new Map<string, Map<string, number>>();
  let bytes = 0;

  const laneOf = (name: string): Lane => {
    const lane = lanes.get(name);
    if (lane === undefined) throw new TypeError(`unknown lane ${name}`);
    return lane;
  };

  const takeFrom = (name: string, count: number, into: Map<string, ConsumedMessage[]>): number => {
    if (count === 0) return 0;
    const taken = laneOf(name).events.splice(0, count);
    for (const event of taken) bytes -= event.bytes;
    const messages = into.get(name) ?? [];
    messages.push(...taken.map(({ message }) => message));
    into.set(name, messages);
    return count;
  };

  /** Events at the head of a lane that belong to no transaction. */
  const freeRun = ({ events }: Lane): number => {
    const first = events.findIndex(({ transaction }) => transaction !== null);
    return first < 0 ? events.length : first;
  };

  /** Events at the head of a lane up to the last of `transaction`, what has no transaction in between (tombstones) and right after included. */
  const runOf = ({ events }: Lane, transaction: string): { readonly length: number; readonly own: number } => {
    let own = 0;
    let length = 0;
    for (const event of events) {
      if (event.transaction === transaction) own += 1;
      else if (event.transaction !== null) break;
      length += 1;
    }
    return own === 0 ? { length: 0, own: 0 } : { length, own };
  };

  /** How many events each collection still lacks of a transaction whose end is known. */
  const lackingOf = ({ transaction, counts }: TransactionEnd): Map<string, number> => {
    const lacks = new Map<string, number>();
    for (const [collection, count] of counts) {
      if (!mirrored.has(collection)) continue;
      let have = early.get(transaction)?.get(collection) ?? 0;
      for (const lane of lanes.values()) if (lane.collection === collection) have += runOf(lane, transaction).own;
      if (have < count) lacks.set(collection, count - have);
    }
    return lacks;
  };

  /**
   * Events whose transaction has no end any more come before events of a known one: the end is gone (retention, or taken: a repetition).
   */
  const strayRun = ({ events }: Lane, known: ReadonlySet<string>): number => {
    const firstKnown = events.findIndex(({ transaction }) => transaction !== null && known.has(transaction));
    return Math.max(firstKnown, 0);
  };

  const takeEnd = (end: TransactionEnd, into: Map<string, ConsumedMessage[]>): number => {
    let count = 0;
    for (const [name, lane] of lanes) count += takeFrom(name, runOf(lane, end.transaction).length, into);
    early.delete(end.transaction);
    ends.shift();
    return count;
  };

  const takeFree = (into: Map<string, ConsumedMessage[]>): number => {
    let count = 0;
    for (const [name, lane] of lanes) count += takeFrom(name, freeRun(lane), into);
    return count;
  };

  return {
    addLane: (name, collection, readTo) => void lanes.set(name, { collection, events: [], readTo }),
    add(name, messages, readTo) {
      const lane = laneOf(name);
      for (const message of messages) {
        const size = (message.key?.length ?? 0) + (message.value?.length ?? 0) + 100;
        lane.events.push({ message, transaction: transactionOf(message.value), bytes: size });
        bytes += size;
      }
      lane.readTo = readTo;
    },
    addEnd: (end) => void ends.push(end),
    take(most) {
      const messages = new Map<string, ConsumedMessage[]>();
      const torn: string[] = [];
      let count = takeFree(messages);
      let moved = count > 0;
      while (count < most) {
        const [end] = ends;
        if (end === undefined) break;
        if (lackingOf(end).size > 0) {
          const known = new Set(ends.map(({ transaction }) => transaction));
          let strays = 0;
          for (const [name, lane] of lanes) {
            const run = strayRun(lane, known);
            for (const { transaction } of lane.events.slice(0, run)) if (transaction !== null) torn.push(transaction);
            strays += takeFrom(name, run, messages);
          }
          count += strays + takeFree(messages);
          moved ||= strays > 0;
          if (strays === 0) break;
          continue;
        }
        if (early.has(end.transaction)) torn.push(end.transaction);
        count += takeEnd(end, messages) + takeFree(messages);
        moved = true;
      }
      return moved ? { messages, torn: [...new Set(torn)] } : null;
    },
    takeTorn() {
      const messages = new Map<string, ConsumedMessage[]>();
      const torn = new Set<string>();
      for (const [name, lane] of lanes) {
        const transaction = lane.events[0]?.transaction;
        if (transaction === undefined || transaction === null) continue;
        const { length, own } = runOf(lane, transaction);
        takeFrom(name, length, messages);
        torn.add(transaction);
        const counts = early.get(transaction) ?? new Map<string, number>();
        counts.set(lane.collection, (counts.get(lane.collection) ?? 0) + own);
        early.set(transaction, counts);
      }
      return { messages, torn: [...torn] };
    },
    giveUp(collections, through) {
      const messages = new Map<string, ConsumedMessage[]>();
      const torn: string[] = [];
      for (let [end] = ends; end !== undefined && end.offset <= through; [end] = ends) {
        const lacks = lackingOf(end);
        if ([...lacks.keys()].some((collection) => !collections.has(collection))) break;
        const taken = takeEnd(end, messages);
        // With none of its events here it was applied before its end was asked for.
        if (lacks.size > 0 && taken > 0) torn.push(end.transaction);
        takeFree(messages);
      }
      return { messages, torn };
    },
    takenTo: (name) => laneOf(name).events[0]?.message.offset ?? laneOf(name).readTo,
    readTo: (name) => laneOf(name).readTo,
    firstEnd: () => ends[0] ?? null,
    lacking() {
      const [end] = ends;
      return end === undefined ? null : new Set(lackingOf(end).keys());
    },
    lastEnd: () => ends.at(-1)?.offset ?? null,
    bytes: () => bytes,
  };
}
