import { createRequire } from 'node:module';
import type snappy from 'snappy';
import { TooLargeError } from './too-large.ts';

const require = createRequire(import.meta.url);

/** How Java's snappy writes a stream: a magic and two versions, then blocks with their lengths. Other clients write one bare block. */
const streamMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const streamHeaderBytes = 16;

/**
 * Unpacks snappy in both forms that Kafka's clients write. Every block says first how long it will be.
 *
 * @throws TooLargeError; Error when it is no snappy
 */
export function unpackSnappy(bytes: Buffer, limit: number): Buffer {
  const blocks = bytes.subarray(0, streamMagic.length).equals(streamMagic) ? blocksOf(bytes) : [bytes];
  let total = 0;
  for (const block of blocks) total += unpackedLength(block);
  if (total > limit) throw new TooLargeError();
  const parts = blocks.map((block) => unpackBlock(block));
  const [only, ...more] = parts;
  return only !== undefined && more.length === 0 ? only : Buffer.concat(parts);
}

function blocksOf(bytes: Buffer): readonly Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = streamHeaderBytes; at < bytes.length;) {
    // Streams written one behind the other each have their header.
    if (bytes.subarray(at, at + streamMagic.length).equals(streamMagic)) {
      at += streamHeaderBytes;
      continue;
    }
    const begin = at + 4;
    at = begin + bytes.readUInt32BE(at);
    if (at > bytes.length) throw new Error('a snappy block is cut short');
    blocks.push(bytes.subarray(begin, at));
  }
  return blocks;
}

/** A block begins with its unpacked length, seven bits a byte, the lowest first. */
function unpackedLength(block: Buffer): number {
  let length = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = block.readUInt8(at);
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  throw new Error('a snappy block does not say how long it is');
}

function unpackBlock(block: Buffer): Buffer {
  // Loaded with the first block: most topics have none, and native code takes its time at every start.
  const { uncompressSync }: Pick<typeof snappy, 'uncompressSync'> = require('snappy');
  const unpacked = uncompressSync(block, { asBuffer: true });
  return Buffer.isBuffer(unpacked) ? unpacked : Buffer.from(unpacked);
}
