import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createRecordEncoder, groupMessages, type KafkaJsRecord } from '#kafka/kafkajs/patches/faster-internals.ts';
import { ownOf } from '#test/support/kafkajs-modules.ts';

type Encode = (record: KafkaJsRecord) => { readonly buf: Buffer; readonly buffer: Buffer };

function isEncode(value: unknown): value is Encode {
  return typeof value === 'function';
}

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('x'.repeat(9000)));
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const record = fc.record({
  key: fc.oneof(fc.constant(null), text, bytes),
  value: fc.oneof(fc.constant(null), text, bytes),
  offsetDelta: fc.nat({ max: 2 ** 20 }),
  timestampDelta: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -5, max: 2 ** 40 }) }),
});

test('records have the bytes that kafkajs itself writes, whatever was written before them', () => {
  const own = ownOf('kafkajs/src/protocol/recordBatch/record/v0');
  assert.ok(isEncode(own));
  const faster = createRecordEncoder(own);
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 30 }),
      fc.dictionary(fc.string({ maxLength: 5 }), text, { maxKeys: 2, noNullPrototype: true }),
      (records, headers) => {
        const all = [...records, { key: 'with headers', value: 'v', headers, offsetDelta: 3, timestampDelta: 0 }];
        // All are written before any is looked at: a later one must not touch an earlier one's bytes.
        const written = all.map((each) => faster(each));
        for (const [index, each] of all.entries())
          assert.deepEqual(Buffer.from(written[index]?.buffer ?? []), Buffer.from(own(each).buffer));
      },
    ),
  );
});

test('a value whose bytes were counted by its maker is written whole', () => {
  const own = ownOf('kafkajs/src/protocol/recordBatch/record/v0');
  assert.ok(isEncode(own));
  const value = 'naïve €uro 😀'.repeat(20);
  const counted = { key: 'ü', value, valueBytes: Buffer.byteLength(value), offsetDelta: 7, timestampDelta: 0 };
  assert.deepEqual(Buffer.from(createRecordEncoder(own)(counted).buffer), Buffer.from(own(counted).buffer));
});

function parity({ message }: { readonly message: { readonly n: number } }): number {
  return message.n % 2;
}

test('messages are grouped by partition in their order, and not at all without metadata', () => {
  const messages = [0, 1, 2, 3, 4, 5].map((n) => ({ n }));
  assert.deepEqual(groupMessages({ topic: 't', partitionMetadata: [{}], messages, partitioner: parity }), {
    0: [{ n: 0 }, { n: 2 }, { n: 4 }],
    1: [{ n: 1 }, { n: 3 }, { n: 5 }],
  });
  assert.deepEqual(groupMessages({ topic: 't', partitionMetadata: [], messages, partitioner: parity }), {});
});
