import type { EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { tableOf, type TopicSettings } from '../settings.ts';
import type { Change } from './change.ts';
import { readOutboxEvent, type OutboxEvent } from './outbox-event.ts';
import { readChange } from './read-change.ts';

/** What a handler may get: of a table's topic, or of an outbox's. */
export type Delivered = Change | OutboxEvent;

/** Reads one message, by what its topic was said to hold. @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset */
export type MessageReader = (place: TopicPartition, message: ConsumedMessage) => Delivered;

/** A reader for these topics. What is parked of a topic that is followed no more is read as a table's. */
export function messageReader(decoder: EventDecoder, topics: readonly TopicSettings[]): MessageReader {
  const outboxes = new Set(topics.flatMap(({ topic, value }) => (value === 'outbox' ? [topic] : [])));
  const tables = new Map(topics.map(({ topic }) => [topic, tableOf(topic)]));
  return (place, message) =>
    outboxes.has(place.topic)
      ? readOutboxEvent(decoder, place, message)
      : readChange(decoder, place, message, tables.get(place.topic) ?? tableOf(place.topic));
}
