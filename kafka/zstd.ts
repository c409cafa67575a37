import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Level 1: half of the default's CPU at nearly its ratio on JSON events. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** On Node's thread pool. */
export function compressZstd(bytes: Buffer): Promise<Buffer> {
  return compress(bytes, { params, chunkSize: chunkFor(bytes.length / 4) });
}

/** On Node's thread pool, into at most `limit` bytes. @throws Error with code ERR_BUFFER_TOO_LARGE */
export function decompressZstd(bytes: Buffer, limit: number): Promise<Buffer> {
  return decompress(bytes, { chunkSize: chunkFor(bytes.length * 10), maxOutputLength: limit });
}

/** On this thread. */
export function decompressZstdSync(bytes: Buffer, limit: number): Buffer {
  return zstdDecompressSync(bytes, { chunkSize: chunkFor(bytes.length * 10), maxOutputLength: limit });
}

/** zlib hands its output over in chunks, each with a turn through the thread pool: a few large ones cost half of many small ones. */
function chunkFor(expected: number): number {
  return Math.min(Math.max(Math.ceil(expected), 16 * 1024), 1024 * 1024);
}
