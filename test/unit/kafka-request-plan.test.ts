import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { murmur2, partitionForKey } from '#kafka/write/murmur2.ts';
import { planRequests } from '#kafka/write/request-plan.ts';

/** The vectors of Kafka's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2). */
test('keys hash as in the Java client', () => {
  const vectors: Readonly<Record<string, number>> = {
    '21': -973_932_308,
    foobar: -790_332_482,
    'a-little-bit-long-string': -985_981_536,
    'a-little-bit-longer-string': -1_486_304_829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58_897_971,
    abc: 479_470_107,
  };
  for (const [key, hash] of Object.entries(vectors)) {
    assert.equal(murmur2(Buffer.from(key)), hash, key);
    for (const form of [key, Buffer.from(key)]) assert.equal(partitionForKey(form, 7), (hash & 0x7f_ff_ff_ff) % 7, key);
  }
  // Longer than the space that short keys share.
  const long = 'é'.repeat(2000);
  assert.equal(partitionForKey(long, 7), partitionForKey(Buffer.from(long), 7));
});

const message = fc.record({ key: fc.option(fc.string({ maxLength: 5 })), value: fc.option(fc.string({ maxLength: 60 })) });

test('requests keep every message and the order of each partition, within the bounds', () => {
  const bound = 200;
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (messages, partitions) => {
      const numbered = messages.map(({ key, value }, index) => ({ key, value, headers: { index: String(index) } }));
      const requests = planRequests(numbered, partitions, bound);
      const placed = requests.flat().flatMap((batch) => batch.messages.map((one) => ({ ...one, partition: batch.partition })));
      assert.equal(placed.length, messages.length);
      for (const ofPartition of Map.groupBy(placed, ({ partition }) => partition).values()) {
        const indexes = ofPartition.map(({ headers }) => Number(headers?.['index']));
        assert.deepEqual(
          indexes,
          indexes.toSorted((a, b) => a - b),
        );
      }
      for (const request of requests) {
        assert.equal(new Set(request.map(({ partition }) => partition)).size, request.length, 'one batch a partition');
        for (const { messages: batch } of request) {
          assert.ok(batch.length > 0);
          const bytes = batch.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + Buffer.byteLength(value ?? '') + 32, 0);
          assert.ok(batch.length === 1 || bytes <= bound, `${bytes} bytes`);
        }
      }
      for (const { key, partition } of placed) if (key !== null) assert.equal(partition, partitionForKey(key, partitions));
    }),
  );
});
