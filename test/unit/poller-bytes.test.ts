import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import { escapeLiteral } from 'pg';
import * as fc from 'fast-check';
import { createAvroEncoder } from '#cdc-poller/encoding/avro-encoder.ts';
import { createAvroByteEncoder } from '#cdc-poller/encoding/bytes/avro-byte-encoder.ts';
import { createByteEncoder } from '#cdc-poller/encoding/bytes/byte-encoder.ts';
import type { ByteEncoder } from '#cdc-poller/encoding/bytes/byte-events.ts';
import type { ByteValue } from '#cdc-poller/encoding/bytes/byte-value.ts';
import {
  createEventEncoder,
  type EventColumn,
  type EventEncoder,
  type EventShape,
  type RawRow,
} from '#cdc-poller/encoding/event-encoder.ts';
import { createFramedJsonEncoder } from '#cdc-poller/encoding/framed-json-encoder.ts';
import { avroByteValueOf } from '#cdc-poller/postgres/values/avro-byte-values.ts';
import { tableFields } from '#cdc-poller/schemas/table-fields.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { byteValueOf } from '#cdc-poller/postgres/values/byte-values.ts';
import { CopyRows } from '#cdc-poller/source/copy-rows.ts';
import { ByteWriter, createRecordBuilder } from '#kafka/index.ts';
import { partitionForKey } from '#kafka/write/murmur2.ts';
import { writeRecords } from '#kafka/write/record-batch.ts';

/** As the server's CopyAttributeOutText. */
function copied(text: string | null): string {
  if (text === null) return String.raw`\N`;
  const escapes: Readonly<Record<string, string>> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\t': '\\t',
    '\n': '\\n',
    '\v': '\\v',
    '\f': '\\f',
    '\r': '\\r',
  };
  return text.replaceAll(/[\\\b\t\n\v\f\r]/g, (sign) => escapes[sign] ?? sign);
}

/** No NUL and no half of a pair: Postgres holds neither. */
const anyText = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ maxLength: 30 }),
    fc.string({ unit: fc.constantFrom('\\', 'N', 'n', '"', '\t', '\n', '\v', '\b', '\f', '\r', '\u0001', '\u001f', '\u007f', 'é', '€', '\uffff', '😀', '\u{10ffff}'), maxLength: 12 }),
    fc.constantFrom('', String.raw`\N`, 'null', 'x'.repeat(8192), '"'.repeat(8192), '\u0001'.repeat(9000), '😀'.repeat(2049)),
  )
  .map((text) => text.replaceAll('\0', '').toWellFormed()); // prettier-ignore

const digits = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), minLength: 1, maxLength: max });
const two = fc.nat({ max: 59 }).map((number) => String(number).padStart(2, '0'));
const year = fc.oneof(
  fc.constantFrom('0001', '0044', '0099', '1969', '1970', '2026', '9999', '10000', '294276'),
  fc.integer({ min: 1, max: 9999 }).map((one) => String(one).padStart(4, '0')),
);
const day = fc
  .tuple(year, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map(([y, m, d]) => `${y}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}`);
const era = fc.constantFrom('', '', '', ' BC');
/** Postgres leaves zeros at the end of a fraction out. */
const fraction = fc.oneof(
  fc.constant(''),
  digits(6)
    .map((text) => text.replace(/0+$/, ''))
    .map((text) => (text === '' ? '' : `.${text}`)),
);
const clock = fc.tuple(fc.nat({ max: 23 }), two, two, fraction).map(([h, m, s, f]) => `${String(h).padStart(2, '0')}:${m}:${s}${f}`);
const infinity = fc.constantFrom('infinity', '-infinity');
const real = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }).map((number) => String(number).replace('e', 'e').replace(/e([+-])(\d)$/, 'e$10$2')),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0', '0.001', '0.00099', '9999999', '10000000', '1234567.5', '-12', '100', '1e+10', '1.5e-05'),
); // prettier-ignore
const decimal = fc.oneof(
  fc
    .tuple(fc.constantFrom('', '-'), digits(60), fc.option(digits(20)))
    .map(([sign, whole, part]) => `${sign}${whole}${part === null ? '' : `.${part}`}`),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '1'.repeat(63), '1'.repeat(64)),
);
const integer = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger()).map(String);
const stamp = fc.oneof({ weight: 8, arbitrary: fc.tuple(day, clock, era).map(([d, c, e]) => [d, c, e] as const) });

const plain = (name: string, modifier = -1): EventColumn['type'] => ({ name, isArray: false, modifier });
/** Every kind of type, with texts that Postgres gives for it. */
const types: readonly (readonly [EventColumn['type'], fc.Arbitrary<string>])[] = [
  ...['int2', 'int4', 'int8', 'oid'].map((name) => [plain(name), integer] as const),
  ...['numeric', 'money'].map((name) => [plain(name), decimal] as const),
  [plain('numeric', 655_366), decimal],
  [plain('float4'), real],
  [plain('float8'), real],
  [plain('bool'), fc.constantFrom('t', 'f')],
  ...['text', 'varchar', 'bpchar', 'json', 'jsonb', 'xml', 'app."mood"', 'public.citext'].map((name) => [plain(name), anyText] as const),
  [plain('uuid'), fc.uuid()],
  [plain('inet'), fc.ipV4()],
  [plain('date'), fc.oneof(fc.tuple(day, era).map((parts) => parts.join('')), infinity)],
  [plain('time'), fc.oneof(clock, fc.constant('24:00:00'))],
  [plain('timetz'), fc.tuple(clock, fc.constantFrom('+00', '-03:30', '+05:45')).map((parts) => parts.join(''))],
  [plain('timestamp'), fc.oneof(stamp.map(([d, c, e]) => `${d} ${c}${e}`), infinity)],
  ...[-1, 0, 3, 6].map((modifier) => [plain('timestamptz', modifier), fc.oneof(stamp.map(([d, c, e]) => `${d} ${c.slice(0, modifier < 0 ? 15 : modifier === 0 ? 8 : 9 + modifier)}+00${e}`), infinity)] as const),
  [plain('interval'), fc.constantFrom('PT0S', 'P1Y2M3DT4H5M6.789S', 'infinity')],
  [plain('bytea'), fc.uint8Array({ maxLength: 9 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)],
  [plain('bit', 1), fc.constantFrom('0', '1')],
  [plain('varbit'), fc.string({ unit: fc.constantFrom('0', '1'), maxLength: 20 })],
  [{ name: 'text', isArray: true, modifier: -1 }, fc.constantFrom('{}', '{a,NULL,"b\\"c"}', '{"\\\\"}')],
]; // prettier-ignore

const columns = types.map(([type], index): EventColumn => ({ name: `c"${index}é`, type }));
const timestampAt = types.findIndex(([{ name }]) => name === 'timestamptz');
const values = fc.tuple(...types.map(([, texts]) => fc.option(texts, { freq: 6 })));
const keyed = fc.record({
  row: values,
  /** Not null in a key. */
  key: fc.tuple(integer, anyText, decimal, real),
  xid: fc.integer({ min: 3, max: 2 ** 32 - 1 }).map(String),
});

const keyColumns: readonly EventColumn[] = [plain('int8'), plain('text'), plain('numeric'), plain('float8')].map((type, index) => ({
  name: `k${index}`,
  type,
}));
const all = [...keyColumns, ...columns];

function shapeWith(key: readonly number[], masked: boolean): EventShape {
  return {
    database: 'leg"acy',
    table: { schema: 'püblic', table: 'o' },
    prefix: 'query',
    columns: all,
    published: all.map((_, column) => ({ column, mask: masked && column % 5 === 1 ? { kind: 'hash', salt: 's' } : masked && column % 5 === 2 ? { kind: 'fixed', value: 'é' } : null })),
    key,
    timestamps: [keyColumns.length + timestampAt, keyColumns.length + timestampAt + 1],
    clock: null,
    encodeColumn: postgres.encodeColumn,
    keyText: postgres.keyText,
  };
} // prettier-ignore

const ids = { key: 7, value: 0x01_02_03_04 };

const valueOf = ({ type }: EventColumn): ByteValue | null => byteValueOf(type);

function encodersOf(format: 'json' | 'json-schema' | 'avro', shape: EventShape): { readonly texts: EventEncoder; readonly bytes: ByteEncoder } {
  if (format === 'json') return { texts: createEventEncoder(shape), bytes: createByteEncoder(shape, 2, valueOf) };
  if (format === 'json-schema') return { texts: createFramedJsonEncoder(shape, ids), bytes: createByteEncoder(shape, 2, valueOf, ids) };
  const { fieldTypes } = postgres;
  const read = tableFields(shape, new Map(), fieldTypes, postgres.encodeColumn);
  // With a default, a union's branches are the other way round.
  const fields = { ...read, row: read.row.map((one, index) => (index % 2 === 0 ? one : { ...one, field: { ...one.field, default: 'x' } })) };
  return {
    texts: createAvroEncoder(shape, fields, fieldTypes, ids),
    bytes: createAvroByteEncoder(createByteEncoder(shape, 2, valueOf), shape, fields, fieldTypes, ids, 2, ({ type }, field) => avroByteValueOf(type, field)),
  };
} // prettier-ignore

test('rows as bytes give the keys, values and partitions that the same rows give as texts', () => {
  const page = fc.array(keyed, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(
      page,
      fc.constantFrom([0], [1], [0, 1, 2, 3]),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('json', 'json-schema', 'avro'),
      (rows, key, masked, partitions, format) => {
        const shape = shapeWith(key, masked);
        const { texts, bytes } = encodersOf(format, shape);
        const raw = rows.map(({ row, key: keyTexts, xid }) => [xid, '9/state', ...keyTexts, ...row]);
        const sent = Buffer.from(raw.map((row) => `${row.map(copied).join('\t')}\n`).join(''));
        assert.ok(isUtf8(sent));
        const read = new CopyRows(sent, all.length + 2);
        const facts = { op: 'r', publishedAt: 1_764_547_200_000 } as const;
        const [keyTo, wireKeyTo, valueTo] = [new ByteWriter(), new ByteWriter(), new ByteWriter()];
        const encoder = bytes.page(facts);
        for (const expected of raw) {
          assert.ok(read.next());
          assert.deepEqual(read.texts(0), expected);
          const row: RawRow = expected.slice(2);
          keyTo.at = 0;
          bytes.key(read, keyTo, true);
          const wanted = texts.key(row);
          assert.equal(keyTo.bytes.toString('utf8', 0, keyTo.at), wanted);
          const message = { key: texts.wireKey(row, wanted), value: texts.value(row, { ...facts, txId: expected[0] ?? null }) };
          wireKeyTo.at = 0;
          if (bytes.wireKey === null) wireKeyTo.raw(Buffer.from(wanted));
          else bytes.wireKey(read, keyTo, wireKeyTo, true);
          assert.deepEqual(wireKeyTo.bytes.subarray(0, wireKeyTo.at), Buffer.from(message.key));
          valueTo.at = 0;
          encoder.value(read, valueTo, true);
          assert.deepEqual(valueTo.bytes.subarray(0, valueTo.at), Buffer.from(message.value));
          const builder = createRecordBuilder(partitions);
          const partition = builder.partitionOf(keyTo.bytes, keyTo.at);
          assert.equal(partition, partitionForKey(wanted, partitions));
          encoder.value(read, builder.begin(partition, wireKeyTo.bytes, wireKeyTo.at), true);
          assert.equal(builder.end(), valueTo.at);
          assert.deepEqual(builder.take(), [{ partition, ...writeRecords([message]) }]);
        }
        assert.equal(read.next(), false);
      },
    ),
    { numRuns: 300 },
  );
});

test('the common types take the quick way in their usual form', () => {
  const usual: Readonly<Record<string, string>> = {
    int2: '-7', int4: '0', int8: '9223372036854775807', oid: '1', numeric: '-12.50', float4: '1.5', float8: '100', bool: 't', text: 'a"é', varchar: '', uuid: '9f1c', jsonb: '{"a": 1}',
    date: '2026-11-23', time: '01:02:03.5', timestamp: '2026-11-23 05:00:00.1', timestamptz: '2026-11-23 05:00:00+00',
  }; // prettier-ignore
  for (const [name, text] of Object.entries(usual)) {
    const bytes = Buffer.from(text);
    assert.equal(byteValueOf(plain(name))?.(bytes, 0, bytes.length, new ByteWriter()), true, name);
    // Longer integers go beyond what a number holds.
    const asAvro = avroByteValueOf(plain(name), postgres.fieldTypes.typeOf(plain(name), undefined));
    assert.equal(asAvro?.(bytes, 0, bytes.length, new ByteWriter()), bytes.length < 16 || name !== 'int8', name);
  }
});

test('bytes that are no UTF-8 are read as they are as texts', () => {
  const shape = {
    ...shapeWith([1], false),
    columns: keyColumns,
    published: [1, 2].map((column) => ({ column, mask: null })),
    timestamps: [],
  };
  const sent = Buffer.concat([Buffer.from('7\t9/s\t1\ta'), Buffer.from([0xff, 0xe9]), Buffer.from('z\t1\t1\n')]);
  const rows = new CopyRows(sent, 6);
  assert.ok(rows.next());
  const row = ['1', 'a\ufffd\ufffdz', '1', '1'];
  const [key, wireKey] = [new ByteWriter(), new ByteWriter()];
  const { texts, bytes } = encodersOf('avro', shape);
  bytes.key(rows, key, isUtf8(sent));
  assert.equal(key.bytes.toString('utf8', 0, key.at), texts.key(row));
  bytes.wireKey?.(rows, key, wireKey, isUtf8(sent));
  assert.deepEqual(wireKey.bytes.subarray(0, wireKey.at), texts.wireKey(row, texts.key(row)));
});

test('bytes that are no rows of the page are refused', () => {
  for (const text of ['1\t2\n', '1\t2\t3\t4\n', '1\t2\t3', '\n'])
    assert.throws(() => new CopyRows(Buffer.from(text), 3).next(), /a row of \d columns in place of 3/, JSON.stringify(text));
});

test('values of a cursor are literals that end nowhere before their end', () => {
  // As the server reads one: quotes are doubled, and a backslash is one where an E stands before it.
  const literal = /^(?:'(?:[^'\\]|'')*'| E'(?:[^'\\]|''|\\\\)*')$/u;
  const odd = fc.oneof(anyText, fc.constantFrom("'; DROP TABLE t; --", "\\'; --", "\\\\'", "''", '$1', '⟦0⟧', '?', "E'\\"));
  fc.assert(fc.property(odd, (text) => assert.match(escapeLiteral(text), literal)));
});
