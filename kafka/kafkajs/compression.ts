import kafkajs from 'kafkajs';
import { compressZstd, decompressZstd } from '../zstd.ts';

/**
 * Teaches kafkajs zstd with Node's own zlib. kafkajs keeps codecs in a process-wide table; its CompressionCodecs are only reachable from the
 * CommonJS default export.
 */
export function registerZstd(): void {
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) => compressZstd(encoder.buffer),
    decompress: (buffer: Buffer) => decompressZstd(buffer),
  });
}
