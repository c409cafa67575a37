import { promisify } from 'node:util';
import { constants, createZstdCompress, zstdDecompress, zstdDecompressSync, type ZstdCompress } from 'node:zlib';

const decompress = promisify(zstdDecompress);

/** Level 1: half of the default's CPU at nearly its ratio on JSON events. A frame for each write. */
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, flush: constants.ZSTD_e_end, chunkSize: 256 * 1024 };

/**
 * Compressors that nobody uses now. A new one costs more than the compression of a batch: its tables are a megabyte of fresh memory, which V8 counts, and collects
 * its heap for.
 */
const idle: ZstdCompress[] = [];
/** As many as a request has partitions, mostly. */
const mostIdle = 4;

/** One frame, on Node's thread pool. `bytes` must stay as they are until then. */
export async function compressZstd(bytes: Buffer): Promise<Buffer> {
  const compressor = idle.pop() ?? createZstdCompress(options);
  const pieces: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (piece: Buffer): void => {
    pieces.push(piece);
  };
  compressor.on('data', onData).on('error', reject);
  compressor.write(bytes, (error) => {
    // Pieces come before this; `read` hands over what should still be held back.
    if (!error) while (compressor.read() !== null);
    if (error) reject(error);
    else resolve();
  });
  try {
    await promise;
  } catch (error) {
    compressor.destroy();
    throw error;
  }
  compressor.off('data', onData).off('error', reject);
  if (idle.length < mostIdle) idle.push(compressor);
  else compressor.destroy();
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
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
