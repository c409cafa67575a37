import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { murmur2, partitionForKey } from '#kafka/murmur2.ts';
import { planRequests } from '#kafka/request-plan.ts';

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
  for (const [key, hash] of Object.entries(vectors)) assert.equal(murmur2(Buffer.from(key)), hash, key);
  assert.equal(partitionForKey('foobar', 3), (-790_332_482 & 0x7f_ff_ff_ff) % 3);
});

const message = fc.record({ key: fc.option(fc.string({ maxLength: 5 })), value: fc.option(fc.string({ maxLength: 60 })) });

test('requests keep every message and the order of each partition, within the bounds', () => {
  const bounds = { maxBytesPerPartition: 200, maxMessagesPerPartition: 3 };
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (messages, partitions) => {
      const numbered = messages.map(({ key, value }, index) => ({ key, value, headers: { index: String(index) } }));
      const requests = planRequests(numbered, partitions, bounds);
      const byPartition = Map.groupBy(requests.flat(), ({ partition }) => partition);
      assert.equal(requests.flat().length, messages.length);
      for (const placed of byPartition.values()) {
        const indexes = placed.map(({ headers }) => Number(headers?.['index']));
        assert.deepEqual(
          indexes,
          indexes.toSorted((a, b) => a - b),
        );
      }
      for (const request of requests) {
        for (const placed of Map.groupBy(request, ({ partition }) => partition).values()) {
          assert.ok(placed.length <= bounds.maxMessagesPerPartition);
          const bytes = placed.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + Buffer.byteLength(value ?? '') + 32, 0);
          assert.ok(placed.length === 1 || bytes <= bounds.maxBytesPerPartition, `${bytes} bytes`);
        }
      }
      for (const { key, partition } of requests.flat()) if (key !== null) assert.equal(partition, partitionForKey(key, partitions));
    }),
  );
});
