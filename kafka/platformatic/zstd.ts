import { compressionsAlgorithms, compressionsAlgorithmsByBitmask } from '@platformatic/kafka';
import { decompressZstdSync } from '../zstd.ts';

const { zstd } = compressionsAlgorithms;

/**
 * The library reads zstd in pieces of 16 KiB; this reads it in a few large ones, at three quarters of the cost. The table is the library's
 * own, made to be looked up by a batch's attributes, and that of the whole process.
 */
export function registerZstd(): void {
  compressionsAlgorithmsByBitmask[zstd.bitmask] = {
    ...zstd,
    decompressSync: (data) => decompressZstdSync(Buffer.isBuffer(data) ? data : data.buffer),
  };
}
