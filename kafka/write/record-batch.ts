import { crc32c } from '@platformatic/wasm-utils';
import type { EncodedRecords, OutgoingMessage } from '../port.ts';
import { compressionCodes, compressRecords, type Compression } from './compress.ts';
import { RecordWriter, roomFor } from './record-writer.ts';

/** Kafka's record batch (magic 2), written by hand for both clients: their own writers allocate several small buffers for every record. */

/** Records of one partition, compressed, without what only the moment of sending knows. */
export type RecordBody = {
  readonly records: Buffer;
  readonly compression: Compression;
  readonly count: number;
  readonly timestamp: bigint;
};

/** Who sends a batch, and the number of its first record among all that this producer sent to the partition. */
export type BatchOrigin = { readonly producerId: bigint; readonly producerEpoch: number; readonly firstSequence: number };

const transactional = 16;
const headerBytes = 61;

/** Compresses records on the thread pool; all have the one timestamp. */
export async function packRecords(
  { records, count }: Pick<EncodedRecords, 'records' | 'count'>,
  timestamp: number,
  compression: Compression,
): Promise<RecordBody> {
  return { records: await compressRecords(records, compression), compression, count, timestamp: BigInt(timestamp) };
}

/** Messages of a partition as records, in order. */
export function writeRecords(messages: readonly OutgoingMessage[]): Pick<EncodedRecords, 'records' | 'count'> {
  const writer = new RecordWriter(messages.reduce((room, message) => room + roomFor(message), 0));
  for (const [index, message] of messages.entries()) writer.record(message, index);
  return { records: writer.written(), count: messages.length };
}

/** The whole batch of a transactional producer, ready for a produce request. */
export function sealBatch(
  { records, compression, count, timestamp }: RecordBody,
  { producerId, producerEpoch, firstSequence }: BatchOrigin,
): Buffer {
  const batch = Buffer.allocUnsafe(headerBytes + records.length);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(compressionCodes[compression] | transactional, 21);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(timestamp, 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(producerEpoch, 51);
  batch.writeInt32BE(firstSequence, 53);
  batch.writeInt32BE(count, 57);
  records.copy(batch, headerBytes);
  // From the attributes on: what is before them may be changed by a broker.
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}
