import kafkajs from 'kafkajs';
import { compressZstd } from '../../zstd.ts';

/**
 * Teaches kafkajs to write zstd with Node's own zlib; what comes is unpacked before kafkajs sees it (fetch-answer.ts). kafkajs keeps codecs in a process-wide
 * table; its CompressionCodecs are only reachable from the CommonJS default export.
 */
export function registerZstd(): void {
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) => compressZstd(encoder.buffer),
    decompress: () => Promise.reject(new TypeError('kafkajs is not to unpack records here')),
  });
}
