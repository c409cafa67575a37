import type { EncodedRecords } from '../port.ts';
import { partitionOfBytes } from './murmur2.ts';
import { RecordBuffers } from './record-buffers.ts';
import { RecordWriter } from './record-writer.ts';
import { maxBytesPerBatch, recordOverhead } from './request-plan.ts';

/** Writes records of keys and values that are bytes already, one behind the other, into a buffer for each partition. */
export type RecordBuilder = {
  /** The partition of the key that these bytes are. */
  partitionOf(bytes: Buffer, end: number): number;
  /** The first `keyEnd` bytes of `key` and `valueEnd` of `value`; they are copied. */
  add(partition: number, key: Buffer, keyEnd: number, value: Buffer, valueEnd: number): void;
  /** What was added since the last call, each partition's in order, as batches of bounded size. */
  take(): readonly EncodedRecords[];
};

type Open = { writer: RecordWriter; count: number };

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
  const close = (partition: number, { writer, count }: Open): void => {
    full.push({ partition, records: writer.written(), count });
    open[partition] = null;
  };
  return {
    partitionOf: (bytes, end) => partitionOfBytes(bytes, end, partitions),
    add(partition, key, keyEnd, value, valueEnd) {
      let batch = open[partition];
      if (batch === undefined) throw new RangeError(`partition ${partition} of ${partitions}`);
      if (batch !== null && batch.writer.size + keyEnd + valueEnd + recordOverhead > bound) {
        close(partition, batch);
        batch = null;
      }
      if (batch === null) {
        batch = { writer: new RecordWriter(buffers.take(keyEnd + valueEnd + 2 * recordOverhead)), count: 0 };
        open[partition] = batch;
      }
      batch.writer.encoded(key, keyEnd, value, valueEnd, batch.count);
      batch.count += 1;
    },
    take() {
      for (const [partition, batch] of open.entries()) if (batch !== null) close(partition, batch);
      const batches = full;
      full = [];
      return batches;
    },
  };
}
