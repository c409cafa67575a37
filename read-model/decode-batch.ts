import type { ConsumedMessage } from '#kafka/index.ts';
import { changeReader, type Change } from './change.ts';
import type { Mirror } from './mirror.ts';
import { toPoison, type Poison } from './parking/poison.ts';
import type { TopicPartition } from './positions.ts';
import type { ColumnDemand } from './schema/column-demand.ts';

/** Messages of one partition, and what they ask of their mirror. */
export type DecodedEvents = {
  readonly mirror: Mirror;
  readonly messages: readonly ConsumedMessage[];
  /** In the order of `messages`, without those that are poisoned. */
  readonly changes: readonly Change[];
  /** By offset: the messages that are no event, or that fit no mirror. */
  readonly poisoned: ReadonlyMap<bigint, Poison>;
};

/** Decodes messages. With `demands`, these must be met and the messages decoded again before anything is applied. */
export function decodeEvents(
  mirror: Mirror,
  { topic, partition }: TopicPartition,
  messages: readonly ConsumedMessage[],
): { readonly events: DecodedEvents; readonly demands: readonly ColumnDemand[] } {
  const demands = new Map<string, ColumnDemand>();
  const read = changeReader(mirror, (demand) => {
    const name = `${demand.kind} ${demand.column}`;
    if (!demands.has(name)) demands.set(name, demand);
  });
  const changes: Change[] = [];
  const poisoned = new Map<bigint, Poison>();
  for (const message of messages) {
    try {
      changes.push(read(message, { topic, partition, offset: String(message.offset) }));
    } catch (error) {
      poisoned.set(message.offset, toPoison(error));
    }
  }
  return { events: { mirror, messages, changes, poisoned }, demands: [...demands.values()] };
}
