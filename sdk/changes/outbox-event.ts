import type { EventDecoder, JsonValue, MessagePlace } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { CdcError } from '#pipeline/index.ts';
import { formatPosition } from '#read-model/engine/index.ts';
import type { ChangePlace, ChangeValue } from './change.ts';

/**
 * An event that another service wrote to its outbox table, as Debezium's outbox event router publishes it. `Type` and `Payload` are what the topic's
 * service has promised: a union of several makes `type` say which payload there is.
 */
export type OutboxEvent<Type extends string | null = string | null, Payload = ChangeValue> = Omit<ChangePlace, 'table' | 'at'> & {
  readonly op: 'event';
  /** Of the outbox row: whoever publishes it twice gives it the same one. */
  readonly id: string;
  /** The column `type`, of the header `eventType` or `type`; null where the router is not set to send it. */
  readonly type: Type;
  /** The column `aggregateid`. Events of equal keys come in their order. */
  readonly key: string | null;
  /** The column `payload`; null where that is empty. Numbers keep every digit: an integer beyond 2^53 is a bigint. */
  readonly payload: Payload;
  /** All headers of the message, as text. */
  readonly headers: Readonly<Record<string, string>>;
  /** Kafka's time of the message, ISO 8601 in UTC: when the connector read the row, unless the router or the topic is set to another one. */
  readonly at: string | null;
};

/** An event of any type and payload. */
export type AnyOutboxEvent = OutboxEvent<string | null, unknown>;

/**
 * Reads one message of the router.
 *
 * @throws CdcError EVENT_UNDECODABLE that names topic, partition and offset
 */
export function readOutboxEvent(decoder: EventDecoder, { topic, partition }: TopicPartition, message: ConsumedMessage): OutboxEvent {
  const { offset, timestamp, headers } = message;
  const place: MessagePlace = { topic, partition, offset: String(offset) };
  const { id } = headers;
  if (id === undefined || id === '')
    throw new CdcError(
      'EVENT_UNDECODABLE',
      `the message at topic ${topic}, partition ${partition}, offset ${offset} has no header "id", so it is not of Debezium's outbox event router`,
      { remedy: "Leave value: 'outbox' out where the topic is a table's. Find out who else writes to the topic." },
    );
  return {
    op: 'event',
    topic,
    partition,
    offset,
    position: formatPosition(new Map([[`${topic}/${partition}`, offset + 1n]])),
    at: timestamp >= 0 ? new Date(timestamp).toISOString() : null,
    id,
    type: headers['eventType'] ?? headers['type'] ?? null,
    key: message.key === null ? null : keyOf(decoder, message.key, place),
    payload: payloadOf(decoder, message.value, place),
    headers,
  };
}

/** Text, which a JSON converter has put in quotes. */
function keyOf(decoder: EventDecoder, key: Buffer, place: MessagePlace): string {
  const text = decoder.text(key) ?? key.toString('utf8');
  if (!text.startsWith('"')) return text;
  const value = decoder.decodeValue(Buffer.from(text), place);
  return typeof value === 'string' ? value : text;
}

/**
 * JSON. The router hands a column of JSON on as text, which a JSON converter writes as a string, unless `table.expand.json.payload` is set: an object or
 * an array is then one level deeper.
 */
function payloadOf(decoder: EventDecoder, value: Buffer | null, place: MessagePlace): JsonValue {
  if (value === null || value.length === 0) return null;
  const payload = decoder.decodeValue(value, place);
  if (typeof payload !== 'string' || !/^\s*[{[]/.test(payload)) return payload;
  try {
    return decoder.decodeValue(Buffer.from(payload), place);
  } catch {
    return payload;
  }
}
