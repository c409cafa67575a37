import * as z from 'zod';
import type { ConsumedMessage } from '#kafka/index.ts';

/** The end of a source transaction, as the transaction topic tells it: how many events of each collection (`schema.table`) it has. */
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
export function readEnd({ value, offset }: ConsumedMessage): TransactionEnd | null {
  const parsed = endSchema.safeParse(parseJson(value));
  if (!parsed.success) return null;
  const { id, data_collections: collections } = parsed.data;
  const counts = new Map((collections ?? []).map(({ data_collection: name, event_count: count }) => [name, count]));
  return { transaction: xid(id), offset, counts };
}

const marker = Buffer.from('"transaction":{"id":"');
const quote = 34;

/**
 * The transaction that an event names, null for a snapshot's events, tombstones and what is no event. Only looks for the bytes, so that an
 * event that cannot be decoded still counts for its transaction. (Within a value the quotes would be escaped.)
 */
export function transactionOf(value: Buffer | null): string | null {
  const at = value === null ? -1 : value.lastIndexOf(marker);
  if (value === null || at < 0) return null;
  const start = at + marker.length;
  const end = value.indexOf(quote, start);
  return end < 0 ? null : xid(value.toString('latin1', start, end));
}

function xid(id: string): string {
  const colon = id.indexOf(':');
  return colon < 0 ? id : id.slice(0, colon);
}

function parseJson(value: Buffer | null): unknown {
  try {
    return value === null ? null : JSON.parse(value.toString('utf8'));
  } catch {
    return null;
  }
}
