import type { EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { changeReader, inapplicable, type Change } from './change.ts';
import type { Mirror } from './mirror.ts';
import { toPoison, type Poison } from './parking/poison.ts';
import type { TopicPartition } from './positions.ts';
import type { ColumnDemand } from './schema/column-demand.ts';
import type { Mismatch } from './schema/mismatch.ts';

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

const blindTruncate =
  'a TRUNCATE without a position of the log (a binlog gives none) does not tell which rows of other partitions it removed. ' +
  'When what came before it is applied: cdc read-model parked retry empties the table, then cdc connectors snapshot reads it anew';

/**
 * Decodes messages, up to the first whose values are not of their columns' types; with `mismatches: 'park'` these are poisoned like others.
 * `blindTruncates`: those without a position of the log. A binlog has none, and without it nothing tells which rows of other partitions are
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
    const name = `${demand.kind} ${demand.column}`;
    if (!demands.has(name)) demands.set(name, demand);
  });
  const changes: Change[] = [];
  const poisoned = new Map<bigint, Poison>();
  for (const [index, message] of messages.entries()) {
    try {
      const place = { topic, partition, offset: String(message.offset) };
      const change = read(message, place);
      if (change.kind === 'truncate' && change.lsn === null && blindTruncates === 'park') throw inapplicable(place, null, blindTruncate);
      changes.push(change);
    } catch (error) {
      if (mismatches === 'halt' && error instanceof CdcError && error.code === 'READ_MODEL_SCHEMA_CHANGED') {
        const events = { mirror, messages: messages.slice(0, index), changes, poisoned };
        return { events, demands: [...demands.values()], mismatch: { topic, partition, offset: message.offset, error } };
      }
      poisoned.set(message.offset, toPoison(error));
    }
  }
  return { events: { mirror, messages, changes, poisoned }, demands: [...demands.values()], mismatch: null };
}
