import { createRequire } from 'node:module';
import type lz4 from 'lz4-napi';
import { TooLargeError } from './too-large.ts';

const require = createRequire(import.meta.url);

const frameMagic = 0x18_4d_22_04;
/** Frames that carry no data: sixteen magics in a row. */
const skippableMagic = 0x18_4d_2a_50;
const hasDictionaryId = 1;
const hasContentChecksum = 4;
const hasContentSize = 8;
const hasBlockChecksums = 16;
const storedAsIs = 0x80_00_00_00;
/** No byte of a compressed block unpacks to more bytes than this. */
const mostPerByte = 255;

type Frame = { readonly bytes: Buffer; /** Never fewer than it unpacks to. */ readonly most: number };

/**
 * Unpacks LZ4 frames, one behind the other. What they unpack to at most is reckoned from their blocks first: the library has no limit of its own.
 *
 * @throws TooLargeError; Error when it is no LZ4
 */
export function unpackLz4(bytes: Buffer, limit: number): Buffer {
  const parts: Buffer[] = [];
  let total = 0;
  for (const frame of framesOf(bytes)) {
    if (total + frame.most > limit) throw new TooLargeError();
    // Loaded with the first frame: most topics have none, and native code takes its time at every start.
    const { decompressFrameSync }: Pick<typeof lz4, 'decompressFrameSync'> = require('lz4-napi');
    const part = decompressFrameSync(frame.bytes);
    total += part.length;
    parts.push(part);
  }
  const [only, ...more] = parts;
  return only !== undefined && more.length === 0 ? only : Buffer.concat(parts);
}

function* framesOf(bytes: Buffer): Generator<Frame> {
  for (let start = 0; start < bytes.length;) {
    const magic = bytes.readUInt32LE(start);
    const end =
      magic >= skippableMagic && magic < skippableMagic + 16 ? start + 8 + bytes.readUInt32LE(start + 4) : yield* frameAt(bytes, start);
    start = end;
  }
}

/** Gives the frame that begins at `start`, and returns where it ends. */
function* frameAt(bytes: Buffer, start: number): Generator<Frame, number> {
  if (bytes.readUInt32LE(start) !== frameMagic) throw new Error('no LZ4 frame begins where one should');
  const flags = bytes.readUInt8(start + 4);
  // 4 to 7 mean 64 KiB to 4 MiB.
  const blockMost = 2 ** (8 + 2 * ((bytes.readUInt8(start + 5) >> 4) & 7));
  let at = start + 7 + ((flags & hasContentSize) === 0 ? 0 : 8) + ((flags & hasDictionaryId) === 0 ? 0 : 4);
  let most = 0;
  for (;;) {
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const size = word & ~storedAsIs;
    most += word >= storedAsIs ? size : Math.min(blockMost, size * mostPerByte);
    at += size + ((flags & hasBlockChecksums) === 0 ? 0 : 4);
  }
  at += (flags & hasContentChecksum) === 0 ? 0 : 4;
  if (at > bytes.length) throw new Error('an LZ4 frame is cut short');
  yield { bytes: bytes.subarray(start, at), most };
  return at;
}
