import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mock, test } from 'node:test';
import * as fc from 'fast-check';
import { groupMessages } from '#kafka/kafkajs/patches/faster-internals.ts';
import { patchProduce, placeholders } from '#kafka/kafkajs/patches/packed-produce.ts';
import { packRecords, writeRecords } from '#kafka/write/record-batch.ts';
import { RecordBuffers, type EncodedRecords } from '#kafka/index.ts';
import { createRecordBuilder } from '#kafka/write/record-builder.ts';
import { partitionForKey } from '#kafka/write/murmur2.ts';
import { maxBytesPerBatch } from '#kafka/write/request-plan.ts';

type Encoded = { readonly buffer: Buffer };
type Ask = (question: object) => { readonly request: { readonly encode: () => Promise<Encoded> } };
type Produce = { protocol(version: { readonly version: number }): Ask };

function isProduce(value: unknown): value is Produce {
  return typeof value === 'object' && value !== null && 'protocol' in value && typeof value.protocol === 'function';
}

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('x'.repeat(9000)));
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const anyMessage = fc.record(
  {
    key: fc.oneof(fc.constant(null), text, bytes),
    value: fc.oneof(fc.constant(null), text, bytes),
    headers: fc.dictionary(fc.string({ maxLength: 5 }), text, { maxKeys: 2, noNullPrototype: true }),
  },
  { requiredKeys: ['key', 'value'] },
);
const ids = fc.record({
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  producerEpoch: fc.nat({ max: 2 ** 15 - 1 }),
  firstSequence: fc.nat({ max: 2 ** 31 - 1 }),
  transactionalId: fc.string({ minLength: 1, maxLength: 20 }),
  topic: fc.string({ minLength: 1, maxLength: 20 }),
});

test('a request with records that are written already has the bytes that kafkajs gives the same messages', async () => {
  const now = 1_764_547_200_000;
  mock.timers.enable({ apis: ['Date'], now });
  const require = createRequire(import.meta.url);
  const produce: unknown = require('kafkajs/src/protocol/requests/produce');
  const long: { readonly fromValue: (value: string) => unknown } = require('kafkajs/src/utils/long');
  assert.ok(isProduce(produce));
  const own = [3, 4, 5, 6, 7].map((version) => ({ version, ask: produce.protocol({ version }) }));
  patchProduce();
  for (const { version, ask } of own) {
    const patched = produce.protocol({ version });
    await fc.assert(
      fc.asyncProperty(fc.array(anyMessage, { minLength: 1, maxLength: 10 }), ids, async (messages, { topic, producerId, ...rest }) => {
        const { firstSequence, ...origin } = rest;
        const question = (of: readonly unknown[]): object => ({
          ...origin,
          producerId: long.fromValue(producerId.toString()),
          acks: -1,
          timeout: 1000,
          topicData: [{ topic, partitions: [{ partition: 2, firstSequence, messages: of }] }],
        });
        const body = await packRecords(writeRecords(messages), now, 'none');
        const ours = await patched(question(placeholders(2, body))).request.encode();
        const theirs = await ask(question(messages)).request.encode();
        const expected = Buffer.from(theirs.buffer);
        // The leader's epoch, which the broker writes: kafkajs says 0 where Java clients and we say that it is not known.
        const epochAt = 38 + Buffer.byteLength(origin.transactionalId) + Buffer.byteLength(topic);
        assert.equal(expected.readInt32BE(epochAt), 0);
        expected.writeInt32BE(-1, epochAt);
        assert.deepEqual(Buffer.from(ours.buffer), expected);
        // What is not written already stays kafkajs's own.
        const plain = await patched(question(messages)).request.encode();
        assert.deepEqual(Buffer.from(plain.buffer), Buffer.from(theirs.buffer));
      }),
      { numRuns: 30 },
    );
  }
});

test('a value whose bytes were counted by its maker is written whole', () => {
  const value = 'naïve €uro 😀'.repeat(20);
  const counted = writeRecords([{ key: 'ü', value, valueBytes: Buffer.byteLength(value) }]);
  assert.deepEqual(counted, writeRecords([{ key: Buffer.from('ü'), value: Buffer.from(value) }]));
});

test('keys and values that are bytes give the records of the same messages, in the partition that the key chooses', () => {
  // Sizes whose varints have one byte to three, one behind the other.
  const size = fc.constantFrom(0, 1, 50, 63, 64, 8150, 8191, 8192, 300_000);
  const pair = fc.record({
    key: fc.oneof(
      text,
      size.map((length) => 'k'.repeat(length)),
    ),
    value: fc.oneof(
      text,
      size.map((length) => 'y'.repeat(length)),
    ),
  });
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), (pairs, partitions) => {
      const builder = createRecordBuilder(partitions);
      for (const one of pairs) {
        const [key, value] = [Buffer.from(`${one.key}rest`), Buffer.from(`${one.value}rest`)];
        const [keyEnd, valueEnd] = [key.length - 4, value.length - 4];
        builder.begin(builder.partitionOf(key, keyEnd), key, keyEnd).raw(value.subarray(0, valueEnd));
        assert.equal(builder.end(), valueEnd);
      }
      const batches = builder.take();
      assert.deepEqual(builder.take(), []);
      for (const [partition, own] of Map.groupBy(pairs, ({ key }) => partitionForKey(key, partitions))) {
        let at = 0;
        for (const { records, count } of batches.filter((batch) => batch.partition === partition)) {
          assert.ok(count === 1 || records.length <= maxBytesPerBatch);
          assert.deepEqual(records, writeRecords(own.slice(at, at + count)).records);
          at += count;
        }
        assert.equal(at, own.length);
      }
      const sent = batches.reduce((sum, { count }) => sum + count, 0);
      assert.equal(sent, pairs.length);
    }),
  );
});

function parity({ message }: { readonly message: { readonly n: number } }): number {
  return message.n % 2;
}

function recordsOf(one: string): Buffer {
  return writeRecords([{ key: one, value: one }]).records;
}

test('the memory of batches is used again once they are sent, not before, and not after a failure', async () => {
  const buffers = new RecordBuffers();
  const page = (one: string): readonly EncodedRecords[] => {
    const builder = createRecordBuilder(1, buffers);
    builder.begin(0, Buffer.from(one), one.length).raw(Buffer.from(one));
    builder.end();
    return builder.take();
  };
  const refused = page('refused');
  await assert.rejects(
    buffers.whileSent(refused, () => Promise.reject(new Error('refused'))),
    /refused/,
  );
  const first = page('first');
  const sent = Promise.withResolvers<void>();
  const sending = buffers.whileSent(first, () => sent.promise);
  const second = page('second');
  assert.deepEqual(refused[0]?.records, recordsOf('refused'));
  assert.deepEqual(first[0]?.records, recordsOf('first'));
  sent.resolve();
  await sending;
  const third = page('third');
  assert.equal(third[0]?.records.buffer, first[0]?.records.buffer);
  assert.deepEqual(second[0]?.records, recordsOf('second'));
  assert.deepEqual(third[0]?.records, recordsOf('third'));
});

test('messages are grouped by partition in their order, and not at all without metadata', () => {
  const messages = [0, 1, 2, 3, 4, 5].map((n) => ({ n }));
  assert.deepEqual(groupMessages({ topic: 't', partitionMetadata: [{}], messages, partitioner: parity }), {
    0: [{ n: 0 }, { n: 2 }, { n: 4 }],
    1: [{ n: 1 }, { n: 3 }, { n: 5 }],
  });
  assert.deepEqual(groupMessages({ topic: 't', partitionMetadata: [], messages, partitioner: parity }), {});
});
