import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';
import { decompressZstd, decompressZstdSync } from '../zstd.ts';
import { unpackLz4 } from './lz4.ts';
import { unpackSnappy } from './snappy.ts';
import { TooLargeError } from './too-large.ts';

/** Kafka's codecs, as a batch's attributes number them. */
export const codecs = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** A turn through the thread pool costs more than so many bytes do here. */
const pooledFrom = 8 * 1024;

const gunzipPooled = promisify(gunzip);

/**
 * Unpacks what one of Kafka's codecs has packed, in at most `limit` bytes.
 *
 * @throws TooLargeError; another Error when it is not what the codec writes, or the codec is none
 */
export async function unpack(codec: number, bytes: Buffer, limit: number): Promise<Buffer> {
  switch (codec) {
    case codecs.gzip:
      return await bounded(() => (bytes.length < pooledFrom ? gunzipSync(bytes, bound(limit)) : gunzipPooled(bytes, bound(limit))));
    case codecs.snappy:
      return unpackSnappy(bytes, limit);
    case codecs.lz4:
      return unpackLz4(bytes, limit);
    case codecs.zstd:
      return await bounded(() => (bytes.length < pooledFrom ? decompressZstdSync(bytes, limit) : decompressZstd(bytes, limit)));
    default:
      throw new Error(`no codec has the number ${codec}`);
  }
}

function bound(limit: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: limit };
}

/** zlib says by a code that its output would be too long. */
async function bounded(work: () => Buffer | Promise<Buffer>): Promise<Buffer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw new TooLargeError();
    throw error;
  }
}
