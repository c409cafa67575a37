import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createRecordDecoder, type DecodeRecord, type RecordContext } from '#kafka/kafkajs/faster-records.ts';

const require = createRequire(import.meta.url);

/** A module of kafkajs as it comes: nothing is replaced in this process. */
function callable(id: string): (...args: readonly unknown[]) => unknown {
  const module: unknown = require(id);
  assert.ok(typeof module === 'function');
  return (...args) => Reflect.apply(module, undefined, args);
}

const own: DecodeRecord = callable('kafkajs/src/protocol/recordBatch/record/v0/decoder');
const encode = callable('kafkajs/src/protocol/recordBatch/record/v0');
const Decoder: unknown = require('kafkajs/src/protocol/decoder');

type Decoding = { readonly buffer: Buffer; readonly offset: number };

function decoderOf(bytes: Buffer): Decoding {
  assert.ok(typeof Decoder === 'function');
  const decoder: Decoding = Reflect.construct(Decoder, [bytes]);
  return decoder;
}

/** The bytes of a record, without the length before them. */
function recordBytes(record: object): Buffer {
  const encoded: unknown = encode(record);
  assert.ok(typeof encoded === 'object' && encoded !== null);
  const bytes: unknown = Reflect.get(encoded, 'buffer');
  assert.ok(Buffer.isBuffer(bytes));
  const decoder = decoderOf(bytes);
  const read: unknown = Reflect.get(decoder, 'readVarIntBytes');
  assert.ok(typeof read === 'function');
  const inner: unknown = Reflect.apply(read, decoder, []);
  assert.ok(Buffer.isBuffer(inner));
  return inner;
}

/** Whatever kafkajs's own record has, the other has too. */
function assertSame(actual: unknown, expected: unknown): void {
  assert.ok(typeof actual === 'object' && actual !== null && typeof expected === 'object' && expected !== null);
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(Reflect.get(actual, name), value, name);
}

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
);
const whole = fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String);
const usual = fc.nat({ max: 2 ** 31 }).map(String);
const noHeaders = fc.constant({});
const someHeaders = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 9 }), { maxKeys: 2, noNullPrototype: true });

function records(headers: fc.Arbitrary<Record<string, string>>): fc.Arbitrary<object> {
  return fc.record({
    offsetDelta: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 2 ** 26 })),
    timestampDelta: fc.oneof(...[7, 28, 33, 40].map((bits) => fc.integer({ min: -(2 ** bits), max: 2 ** bits }))),
    key: bytes,
    value: bytes,
    headers,
  });
}

function batches(first: fc.Arbitrary<string>): fc.Arbitrary<RecordContext> {
  return fc.record({
    firstOffset: first,
    firstTimestamp: fc.oneof(first, fc.constant('-1')),
    maxTimestamp: usual,
    timestampType: fc.constantFrom(0, 1),
    isControlBatch: fc.boolean(),
    magicByte: fc.constant(2),
  });
}

test('a record is read as kafkajs itself reads it, with and without headers, to the last digit', () => {
  const faster = createRecordDecoder(own);
  fc.assert(
    fc.property(records(fc.oneof(noHeaders, someHeaders)), batches(fc.oneof(usual, whole)), (record, context) => {
      const read = recordBytes(record);
      assertSame(faster(decoderOf(read), context), own(decoderOf(read), context));
    }),
    { numRuns: 500 },
  );
});

test('a record as events are, without headers and with numbers of four bytes at most, is read without kafkajs', () => {
  const faster = createRecordDecoder(() => assert.fail('left to kafkajs'));
  const usualRecords = records(noHeaders).map((record) => ({ ...record, timestampDelta: 12 }));
  fc.assert(
    fc.property(usualRecords, batches(usual), (record, context) => {
      const read = recordBytes(record);
      assertSame(faster(decoderOf(read), context), own(decoderOf(read), context));
    }),
  );
});
