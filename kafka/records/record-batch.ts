import { crc32c } from '@platformatic/wasm-utils';

/** A batch of records as it is in the log, its records still packed. */
export type RecordBatch = {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly magic: number;
  readonly attributes: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: bigint;
  readonly count: number;
  readonly packed: Buffer;
  /** From the attributes on, with the checksum that was reckoned of it when it was written. */
  readonly checked: Buffer;
  readonly checksum: number;
};

/** The one format since Kafka 0.11. */
export const currentMagic = 2;

const lengthEnd = 12;
const attributesAt = 21;
const headerBytes = 61;

/** The batches in the bytes of a fetch, but not the last one when it is cut short. */
export function* batchesOf(bytes: Buffer): Generator<RecordBatch> {
  for (let at = 0; bytes.length - at >= lengthEnd;) {
    const end = at + lengthEnd + bytes.readInt32BE(at + 8);
    if (end > bytes.length) return;
    // Its own length cannot be right: what follows it is not to be found.
    if (end < at + lengthEnd + 5) return yield { ...unsound, firstOffset: bytes.readBigInt64BE(at), lastOffset: bytes.readBigInt64BE(at) };
    yield batchAt(bytes.subarray(at, end));
    at = end;
  }
}

function batchAt(bytes: Buffer): RecordBatch {
  const firstOffset = bytes.readBigInt64BE(0);
  const magic = bytes.readInt8(16);
  // Of an older format nothing more is known here than that the offset is its last record's.
  if (magic !== currentMagic || bytes.length < headerBytes) return { ...unsound, firstOffset, lastOffset: firstOffset, magic };
  return {
    firstOffset,
    lastOffset: firstOffset + BigInt(bytes.readInt32BE(23)),
    magic,
    attributes: bytes.readInt16BE(attributesAt),
    firstTimestamp: Number(bytes.readBigInt64BE(27)),
    maxTimestamp: Number(bytes.readBigInt64BE(35)),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    packed: bytes.subarray(headerBytes),
    checked: bytes.subarray(attributesAt),
    checksum: bytes.readUInt32BE(17),
  };
}

const unsound = {
  magic: currentMagic,
  attributes: 0,
  firstTimestamp: 0,
  maxTimestamp: 0,
  producerId: -1n,
  count: 0,
  packed: Buffer.alloc(0),
  checked: Buffer.alloc(0),
  checksum: 1,
};

/** Whether the batch is as it was written. */
export function isSound({ checked, checksum }: RecordBatch): boolean {
  return crc32c(checked) === checksum;
}
