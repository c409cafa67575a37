import * as z from 'zod';
import type { EventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';

/** The end of a source transaction, from the transaction topic: how many events of each collection (`schema.table`) it has. */
export type TransactionEnd = {
  /** The xid. Debezium's ids also hold a log position, but BEGIN, END and the events each have another one. */
  readonly transaction: string;
  readonly offset: bigint;
  readonly counts: ReadonlyMap<string, number>;
};

const endSchema = z.looseObject({
  status: z.literal('END'),
  id: z.string(),
  data_collections: z.array(z.looseObject({ data_collection: z.string(), event_count: z.number() })).nullish(),
});

/** The topic that the connector's `provide.transaction.metadata` fills. */
export function boundaryTopic(topicPrefix: string): string {
  return `${topicPrefix}.transaction`;
}

/** Reads a message of the transaction topic; null for a BEGIN, and for what is neither. */
export function readEnd(decoder: EventDecoder, { value, offset }: ConsumedMessage): TransactionEnd | null {
  const parsed = endSchema.safeParse(readValue(decoder, value));
  if (!parsed.success) return null;
  const { id, data_collections: collections } = parsed.data;
  const counts = new Map((collections ?? []).map(({ data_collection: name, event_count: count }) => [name, count]));
  return { transaction: xid(id), offset, counts };
}

/**
 * The transaction that an event names, null for a snapshot's events, tombstones and what is no event. Of JSON, an event that cannot be decoded
 * still counts for its transaction.
 */
export function transactionOf(decoder: EventDecoder, value: Buffer | null): string | null {
  const id = value === null ? null : decoder.transactionId(value);
  return id === null ? null : xid(id);
}

function xid(id: string): string {
  const colon = id.indexOf(':');
  return colon < 0 ? id : id.slice(0, colon);
}

function readValue(decoder: EventDecoder, value: Buffer | null): unknown {
  try {
    return decoder.decodeValue(value, { topic: '', partition: 0, offset: '' });
  } catch {
    return null;
  }
}
