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

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
);
const whole = fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String);
const usual = fc.nat({ max: 2 ** 31 }).map(String);

test('a record is read as kafkajs itself reads it, with and without headers, to the last digit', () => {
  let plain = 0;
  const faster = createRecordDecoder((decoder, context) => {
    plain -= 1;
    return own(decoder, context);
  });
  fc.assert(
    fc.property(
      fc.record({
        offsetDelta: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 2 ** 30 })),
        timestampDelta: fc.oneof(fc.integer({ min: -70, max: 70 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
        key: bytes,
        value: bytes,
        headers: fc.oneof(
          fc.constant({}),
          fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 9 }), { maxKeys: 2, noNullPrototype: true }),
        ),
      }),
      fc.record({
        firstOffset: fc.oneof(usual, whole),
        firstTimestamp: fc.oneof(usual, whole, fc.constant('-1')),
        maxTimestamp: usual,
        timestampType: fc.constantFrom(0, 1),
        isControlBatch: fc.boolean(),
        magicByte: fc.constant(2),
      }),
      (record, context: RecordContext) => {
        const read = recordBytes(record);
        plain += 1;
        assert.deepEqual(faster(decoderOf(read), context), own(decoderOf(read), context));
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(plain > 50, `only ${plain} records were read without kafkajs`);
});
