import { gzipSync, zstdCompressSync } from 'node:zlib';
import { crc32c } from '@platformatic/wasm-utils';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { RecordWriter, roomFor } from '#kafka/write/record-writer.ts';

/** How the clients of Kafka pack records; snappy as Java writes it, and bare as others do. */
export const packers: Readonly<Record<string, { readonly codec: number; readonly pack: (bytes: Buffer) => Buffer }>> = {
  none: { codec: 0, pack: (bytes) => bytes },
  gzip: { codec: 1, pack: (bytes) => gzipSync(bytes) },
  'snappy (bare)': { codec: 2, pack: (bytes) => snappy.compressSync(bytes) },
  'snappy (stream)': { codec: 2, pack: (bytes) => snappyStream(bytes, 32 * 1024) },
  lz4: { codec: 3, pack: (bytes) => lz4.compressFrameSync(bytes) },
  'lz4 (with checksums)': { codec: 3, pack: (bytes) => lz4.compressFrameSync(bytes, { contentChecksum: true, blockChecksums: true }) },
  'lz4 (several frames)': { codec: 3, pack: (bytes) => Buffer.concat(pieces(bytes, 1000).map((piece) => lz4.compressFrameSync(piece))) },
  zstd: { codec: 4, pack: (bytes) => zstdCompressSync(bytes) },
};

export type BatchRecord = {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: Readonly<Record<string, string>>;
};

export type BatchOptions = {
  readonly firstOffset?: bigint;
  /** A name of {@link packers}. */
  readonly packer?: string;
  readonly producerId?: bigint;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** The number of the codec, whatever has packed the records. */
  readonly codec?: number;
  /** In place of the records. */
  readonly packed?: Buffer;
  readonly timestamp?: bigint;
  /** When the broker gives the time: the same for all. */
  readonly appendTime?: bigint;
};

const transactionalFlag = 16;
const controlFlag = 32;
const appendTimeFlag = 8;
const headerBytes = 61;

/** A batch of records as a client sends it, and a broker keeps it. */
export function recordBatch(records: readonly BatchRecord[], options: BatchOptions = {}): Buffer {
  const {
    firstOffset = 0n,
    packer = 'none',
    producerId = -1n,
    transactional = false,
    control = false,
    // Kafka deletes what is older than a topic keeps, every five minutes.
    timestamp = BigInt(Date.now()),
    appendTime,
  } = options;
  const chosen = packers[packer];
  if (chosen === undefined) throw new TypeError(`nothing packs as ${packer}`);
  const writer = new RecordWriter(records.reduce((room, record) => room + roomFor(record), 0));
  for (const [index, record] of records.entries()) writer.record(record, index);
  const packed = options.packed ?? chosen.pack(writer.written());
  const batch = Buffer.alloc(headerBytes + packed.length);
  batch.writeBigInt64BE(firstOffset, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  const flags = (transactional ? transactionalFlag : 0) | (control ? controlFlag : 0) | (appendTime === undefined ? 0 : appendTimeFlag);
  batch.writeInt16BE((options.codec ?? chosen.codec) | flags, 21);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(appendTime ?? timestamp, 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(records.length, 57);
  packed.copy(batch, headerBytes);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** As xerial's SnappyOutputStream writes it. */
function snappyStream(bytes: Buffer, blockBytes: number): Buffer {
  const parts: Buffer[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (const piece of pieces(bytes, blockBytes)) {
    const block = snappy.compressSync(piece);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function pieces(bytes: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}
