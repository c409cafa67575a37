import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Level 1: half of the default's CPU at nearly its ratio on JSON events. */
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/**
 * Teaches kafkajs zstd with Node's own zlib, which works on its thread pool. kafkajs keeps codecs in a process-wide table; its
 * CompressionCodecs are only reachable from the CommonJS default export.
 */
export function registerZstd(): void {
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) => compress(encoder.buffer, options),
    decompress: (buffer: Buffer) => decompress(buffer, { chunkSize: outputChunk(buffer.length) }),
  });
}

/** zlib hands its output over in chunks, each with a turn through the thread pool: a few large ones cost half of many small ones. */
function outputChunk(compressed: number): number {
  return Math.min(Math.max(compressed * 10, 16 * 1024), 1024 * 1024);
}
