import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { compressZstd } from '#kafka/zstd.ts';

/** Of all sizes, that become smaller and that do not: one piece of output and many. */
const contents = [0, 1, 100, 16_384, 262_144, 800_000, 3_000_000].flatMap((size) => [
  Buffer.alloc(size, 'a row like the one before it, '),
  randomBytes(size),
]);

test('a compressor that is used again gives whole frames, of these bytes alone', async () => {
  for (const bytes of [...contents, ...contents.toReversed()]) {
    const frame = await compressZstd(bytes);
    assert.ok(zstdDecompressSync(frame).equals(bytes), `${bytes.length} bytes`);
  }
});

test('many at once do not get mixed up', async () => {
  const frames = await Promise.all(contents.map((bytes) => compressZstd(bytes)));
  for (const [index, frame] of frames.entries()) assert.ok(zstdDecompressSync(frame).equals(contents[index] ?? Buffer.alloc(0)));
  assert.deepEqual(await compressZstd(Buffer.from('again')), await compressZstd(Buffer.from('again')));
});
