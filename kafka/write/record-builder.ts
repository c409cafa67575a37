import type { EncodedRecords } from '../port.ts';
import { ByteWriter } from './byte-writer.ts';
import { partitionOfBytes } from './murmur2.ts';
import { RecordBuffers } from './record-buffers.ts';
import { maxBytesPerBatch, recordOverhead } from './request-plan.ts';
import { putVarint, varintSize } from './varint.ts';

/** Writes records whose keys and values are bytes, one behind the other, into a buffer for each partition. A value is written where it will lie. */
export type RecordBuilder = {
  /** The partition of the key that these bytes are. */
  partitionOf(bytes: Buffer, end: number): number;
  /** Begins a record with the first `keyEnd` bytes of `key`, which are copied. Its value is written to what this gives, from where that is. */
  begin(partition: number, key: Buffer, keyEnd: number): ByteWriter;
  /** Ends the record that was begun. Gives the bytes of its value. */
  end(): number;
  /** What was added since the last call, each partition's in order, as batches of bounded size. */
  take(): readonly EncodedRecords[];
};

/** A batch that is being written. `sizeWidth` and `valueWidth`: bytes of its last record's sizes, and so most likely of the next one's. */
type Open = { readonly partition: number; readonly to: ByteWriter; count: number; sizeWidth: number; valueWidth: number };

/**
 * @param buffers where batches get their memory
 * @param bound most bytes of a batch; a larger record has one of its own
 */
export function createRecordBuilder(
  partitions: number,
  buffers: RecordBuffers = new RecordBuffers(),
  bound: number = maxBytesPerBatch,
): RecordBuilder {
  const open = Array.from({ length: partitions }, (): Open | null => null);
  let full: EncodedRecords[] = [];
  const close = (partition: number, { to, count }: Open, end: number): void => {
    full.push({ partition, records: to.bytes.subarray(0, end), count });
    open[partition] = null;
  };
  const batchOf = (partition: number): Open => {
    let batch = open[partition];
    if (batch === undefined) throw new RangeError(`partition ${partition} of ${partitions}`);
    if (batch === null) {
      batch = { partition, to: new ByteWriter(buffers.take()), count: 0, sizeWidth: 2, valueWidth: 2 };
      open[partition] = batch;
    }
    return batch;
  };
  // Of the record that was begun: its batch, where it, its attributes and its value begin, and its key.
  let batch: Open | null = null;
  let start = 0;
  let valueAt = 0;
  let key: Buffer = Buffer.alloc(0);
  let keyEnd = 0;

  /** A record: its size, attributes, two differences to the batch, key, value, number of headers. Sizes are written when they are known. */
  const begin = (partition: number, ofKey: Buffer, ofKeyEnd: number): ByteWriter => {
    batch = batchOf(partition);
    key = ofKey;
    keyEnd = ofKeyEnd;
    const { to, count, sizeWidth, valueWidth } = batch;
    to.reserve(keyEnd + recordOverhead);
    const { bytes } = to;
    start = to.at;
    let at = start + sizeWidth;
    bytes[at] = 0;
    bytes[at + 1] = 0;
    at = putVarint(bytes, putVarint(bytes, at + 2, count), keyEnd);
    for (let index = 0; index < keyEnd; index += 1) bytes[at + index] = key[index] ?? 0;
    valueAt = at + keyEnd + valueWidth;
    to.at = valueAt;
    return to;
  };

  const end = (): number => {
    if (batch === null) throw new RangeError('no record was begun');
    const { to, count, partition } = batch;
    const valueSize = to.at - valueAt;
    if (count > 0 && to.at + recordOverhead > bound) {
      // One too many: it is the first of the next batch.
      const value = to.bytes.subarray(valueAt, to.at);
      close(partition, batch, start);
      begin(partition, key, keyEnd).raw(value);
      return end();
    }
    to.reserve(recordOverhead);
    const { bytes } = to;
    const attributesAt = start + batch.sizeWidth;
    const attributes = valueAt - batch.valueWidth - attributesAt;
    const valueWidth = varintSize(valueSize);
    const size = attributes + valueWidth + valueSize + 1;
    const sizeWidth = varintSize(size);
    const newValueAt = start + sizeWidth + attributes + valueWidth;
    if (sizeWidth !== batch.sizeWidth || valueWidth !== batch.valueWidth) {
      // What moves to the right goes first with its end, or it would write over what is still to move.
      if (newValueAt > valueAt) bytes.copyWithin(newValueAt, valueAt, to.at);
      bytes.copyWithin(start + sizeWidth, attributesAt, attributesAt + attributes);
      if (newValueAt < valueAt) bytes.copyWithin(newValueAt, valueAt, to.at);
      batch.sizeWidth = sizeWidth;
      batch.valueWidth = valueWidth;
    }
    putVarint(bytes, start, size);
    putVarint(bytes, newValueAt - valueWidth, valueSize);
    bytes[newValueAt + valueSize] = 0;
    to.at = newValueAt + valueSize + 1;
    batch.count = count + 1;
    batch = null;
    return valueSize;
  };

  return {
    partitionOf: (bytes, until) => partitionOfBytes(bytes, until, partitions),
    begin,
    end,
    take() {
      for (const [partition, one] of open.entries()) if (one !== null && one.count > 0) close(partition, one, one.to.at);
      const batches = full;
      full = [];
      return batches;
    },
  };
}
