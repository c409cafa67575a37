import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventDecoder, MessagePlace } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { changeReader, inapplicable } from './change-reader.ts';
import type { Change } from './change.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { toPoison, type Poison } from '../parking/poison.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { demandName, type ColumnDemand } from '../mirrors/column-demand.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** Messages of one partition, and what they ask of their mirror. */
export type DecodedEvents = {
  readonly mirror: Mirror;
  readonly messages: readonly ConsumedMessage[];
  /** In the order of `messages`, without those that are poisoned. */
  readonly changes: readonly Change[];
  /** By offset: the messages that are no event, or that fit no mirror. */
  readonly poisoned: ReadonlyMap<bigint, Poison>;
};

export type Decoded = {
  readonly events: DecodedEvents;
  /** These must be met, and the messages decoded again, before anything is applied. */
  readonly demands: readonly ColumnDemand[];
  /** Where `events` end, before the end of the messages. */
  readonly mismatch: Mismatch | null;
};

/** Codes of events that show another table than their mirror's. */
const ofTable: ReadonlySet<string> = new Set(['READ_MODEL_SCHEMA_CHANGED', 'READ_MODEL_COLUMN_UNFIT']);

const blindTruncate =
  'a TRUNCATE without a position of the log (a binlog gives none) does not say which rows of other partitions it removed. ' +
  'When what came before it is applied: cdc read-model parked retry empties the table, then cdc connectors snapshot reads it again';

/**
 * Decodes messages, up to the first whose values are not of their columns' types, or that has a column which the mirror cannot get; with `mismatches: 'park'` these are poisoned like others.
 * `blindTruncates`: those without a position of the log. A binlog has none, and without it nothing says which rows of other partitions are
 * older, so that only a person can say when the table is to be emptied.
 */
export function decodeEvents(
  decoder: EventDecoder,
  mirror: Mirror,
  { topic, partition }: TopicPartition,
  messages: readonly ConsumedMessage[],
  mismatches: 'halt' | 'park' = 'park',
  blindTruncates: 'apply' | 'park' = 'apply',
): Decoded {
  const demands = new Map<string, ColumnDemand>();
  const read = changeReader(decoder, mirror, (demand) => {
    if (!demands.has(demandName(demand))) demands.set(demandName(demand), demand);
  });
  const changes: Change[] = [];
  const poisoned = new Map<bigint, Poison>();
  let at = 0n;
  // Only an error reads the offset.
  const place: MessagePlace = {
    topic,
    partition,
    get offset() {
      return String(at);
    },
  };
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index];
    if (message === undefined) continue;
    at = message.offset;
    try {
      const change = read(message, place);
      if (change.kind === 'truncate' && change.lsn === null && blindTruncates === 'park') throw inapplicable(place, null, blindTruncate);
      changes.push(change);
    } catch (error) {
      if (mismatches === 'halt' && error instanceof CdcError && ofTable.has(error.code)) {
        const events = { mirror, messages: messages.slice(0, index), changes, poisoned };
        return { events, demands: [...demands.values()], mismatch: { topic, partition, offset: message.offset, error } };
      }
      poisoned.set(message.offset, toPoison(error));
    }
  }
  return { events: { mirror, messages, changes, poisoned }, demands: [...demands.values()], mismatch: null };
}

/** Some milliseconds of decoding. */
const messagesPerTurn = 500;

/** {@link decodeEvents}, with blind truncates parked, that lets others go on in between: a transaction that is under way needs this thread for each of its statements. */
export async function decodeInTurns(
  decoder: EventDecoder,
  mirror: Mirror,
  place: TopicPartition,
  messages: readonly ConsumedMessage[],
  mismatches: 'halt' | 'park',
): Promise<Decoded> {
  const changes: Change[] = [];
  const poisoned = new Map<bigint, Poison>();
  const demands = new Map<string, ColumnDemand>();
  for (let at = 0; at < messages.length; at += messagesPerTurn) {
    if (at > 0) await nextTurn();
    const decoded = decodeEvents(decoder, mirror, place, messages.slice(at, at + messagesPerTurn), mismatches, 'park');
    for (const change of decoded.events.changes) changes.push(change);
    for (const [offset, poison] of decoded.events.poisoned) poisoned.set(offset, poison);
    for (const demand of decoded.demands) if (!demands.has(demandName(demand))) demands.set(demandName(demand), demand);
    // All is decoded again when they are met: what others would ask for beside them is to be seen with them.
    if (demands.size > 0 && decoded.mismatch === null) break;
    if (decoded.mismatch !== null) {
      const { offset } = decoded.mismatch;
      const events = { mirror, messages: messages.filter((message) => message.offset < offset), changes, poisoned };
      return { events, demands: [...demands.values()], mismatch: decoded.mismatch };
    }
  }
  return { events: { mirror, messages, changes, poisoned }, demands: [...demands.values()], mismatch: null };
}

/** A run of a batch's messages that is decoded and applied as one. */
export type Slice = {
  readonly messages: readonly ConsumedMessage[];
  /** Of keys and values as they were consumed; decoded they take a small multiple. */
  readonly bytes: number;
  /** Where the partition goes on after it. */
  readonly nextOffset: bigint;
};

/** A slice is closed before it would pass one of these. */
export type SliceBounds = { readonly bytes: number; readonly messages: number };

/** Short enough that decoding and applying overlap, long enough to pay for its transaction. */
const mirrorSlices: SliceBounds = { bytes: 4 * 2 ** 20, messages: 8000 };

/** Cuts messages into slices bounded by bytes and by number; a message that is larger alone makes a slice. `end` is the offset after all of them. */
export function sliceBatch(messages: readonly ConsumedMessage[], end: bigint, bounds: SliceBounds = mirrorSlices): readonly Slice[] {
  const slices: Slice[] = [];
  let from = 0;
  let bytes = 0;
  for (const [at, { key, value, offset }] of messages.entries()) {
    const size = (key?.length ?? 0) + (value?.length ?? 0);
    if (at > from && (bytes + size > bounds.bytes || at - from >= bounds.messages)) {
      slices.push({ messages: messages.slice(from, at), bytes, nextOffset: offset });
      from = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (messages.length > from) slices.push({ messages: messages.slice(from), bytes, nextOffset: end });
  return slices;
}
