import type { EncodedRecords, OutgoingMessage } from '../port.ts';
import { partitionForKey } from './murmur2.ts';

/** Messages of one partition, in order: they become one record batch. */
export type PartitionMessages = { readonly partition: number; readonly messages: readonly OutgoingMessage[] };

/** What one request carries: at most one batch for each partition. */
export type PlannedRequest = readonly PartitionMessages[];

/** Most bytes of a record batch before compression: it may not pass the topic's max.message.bytes (1 MiB by default). */
export const maxBytesPerBatch = 768 * 1024;

/** Framing of a record in a batch, in bytes, rounded up. */
export const recordOverhead = 32;

type OpenBatch = { request: number; bytes: number; messages: OutgoingMessage[] };

/**
 * Cuts messages into requests. Within a partition their order is kept, across requests too; a request holds at most `bound` bytes for
 * each partition, save that a single message larger than the bound goes alone (the broker decides whether it takes it).
 * Messages without key and partition are spread round-robin, beginning with `spreadFrom`.
 */
export function planRequests(
  messages: readonly OutgoingMessage[],
  partitions: number,
  bound: number = maxBytesPerBatch,
  spreadFrom = 0,
): readonly PlannedRequest[] {
  const requests: PartitionMessages[][] = [];
  const open: OpenBatch[] = Array.from({ length: partitions }, () => ({ request: -1, bytes: 0, messages: [] }));
  let spread = spreadFrom;
  for (const message of messages) {
    const hashed = message.partitionKey ?? message.key;
    const partition = message.partition ?? (hashed === null ? spread++ % partitions : partitionForKey(hashed, partitions));
    const batch = open[partition];
    if (batch === undefined) throw new RangeError(`partition ${partition} of ${partitions}`);
    const bytes = sizeOf(message);
    const isFull = batch.bytes + bytes > bound;
    if (batch.request < 0 || (isFull && batch.messages.length > 0)) {
      batch.request += 1;
      batch.bytes = 0;
      batch.messages = [];
      (requests[batch.request] ??= []).push({ partition, messages: batch.messages });
    }
    batch.bytes += bytes;
    batch.messages.push(message);
  }
  return requests;
}

function sizeOf({ key, value, valueBytes }: OutgoingMessage): number {
  return (key?.length ?? 0) + (valueBytes ?? bytesOf(value)) + recordOverhead;
}

function bytesOf(value: OutgoingMessage['value']): number {
  if (value === null) return 0;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

/** Batches in their order, as requests that have at most one of each partition. */
export function requestsOf(batches: readonly EncodedRecords[]): readonly (readonly EncodedRecords[])[] {
  const requests: EncodedRecords[][] = [];
  const next = new Map<number, number>();
  for (const batch of batches) {
    const request = next.get(batch.partition) ?? 0;
    next.set(batch.partition, request + 1);
    (requests[request] ??= []).push(batch);
  }
  return requests;
}

/** Names the one message that is too large for its company, or how many there were. */
export function describeRequest(request: PlannedRequest): string {
  const messages = request.flatMap((batch) => batch.messages);
  const [only] = messages;
  return messages.length === 1 && only !== undefined
    ? `the event of key ${only.partitionKey ?? String(only.key)}`
    : `${messages.length} events`;
}

export function countRecords(batches: readonly EncodedRecords[]): number {
  return batches.reduce((sum, { count }) => sum + count, 0);
}
