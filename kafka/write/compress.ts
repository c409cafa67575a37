import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { KafkaConfig } from '#pipeline/index.ts';
import { compressZstd } from '../zstd.ts';

/** How batches are written. Every reader of the project takes each of them. */
export type Compression = KafkaConfig['compression'];

/** As a batch's attributes name them. */
export const compressionCodes = { none: 0, gzip: 1, zstd: 4 } as const satisfies Record<Compression, number>;

const gzipped = promisify(gzip);

/** On Node's thread pool. */
export async function compressRecords(records: Buffer, compression: Compression): Promise<Buffer> {
  if (compression === 'none') return records;
  return compression === 'gzip' ? await gzipped(records) : await compressZstd(records);
}
