import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { frameOf, stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { avroDecoder, avroEnvelope, avroField, encodeAvro } from '../support/avro-events.ts';

const place = { topic: 'log.public.t', partition: 3, offset: '42' };
const at = 'at topic log.public.t, partition 3, offset 42, schema id 7';

/** Columns of every kind that Debezium's connector and the poller write, with a value's form for Avro and the one for JSON. */
const columns = [
  column('small', { type: 'int', 'connect.type': 'int16' }, fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 })),
  column('whole', 'int', fc.integer()),
  column(
    'big',
    'long',
    fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.constantFrom(2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 0n, 63n, -64n, 64n, 2n ** 48n, -(2n ** 49n)),
    ),
    narrow,
  ),
  column(
    'single',
    'float',
    fc.float().filter((value) => hasPoint(shortestFloat(value))),
    (value) => finite(value, shortestFloat(value)),
  ),
  column('double', 'double', fc.double().filter(hasPoint), (value) => finite(value, value)),
  column('flag', 'boolean', fc.boolean()),
  column('text', 'string', fc.string({ unit: 'binary' })),
  column(
    'at',
    { type: 'string', 'connect.name': 'io.debezium.time.IsoTimestamp' },
    fc.constantFrom('2026-11-23T09:30:00.123456Z', 'infinity'),
  ),
  column(
    'bytes',
    'bytes',
    fc.uint8Array(),
    (value) => Buffer.from(value).toString('base64'),
    (value) => Buffer.from(value),
  ),
  column(
    'list',
    { type: 'array', items: ['null', 'long'] },
    fc.array(fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))),
    (list) => list.map((one) => (one === null ? null : narrow(one))),
  ),
  column('pairs', { type: 'map', values: 'string' }, fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true })),
  column('choice', { type: 'enum', name: 'Choice', symbols: ['one', 'two'] }, fc.constantFrom('one', 'two')),
];

function narrow(value: bigint): JsonValue {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function finite(value: number, otherwise: number): JsonValue {
  return Number.isFinite(value) ? otherwise : String(value);
}

/** The shortest text that is this float again: found by trying, from one digit on. */
function shortestFloat(value: number): number {
  if (value === 0) return value;
  for (let digits = 1; digits < 9; digits += 1)
    if (Math.fround(Number(value.toPrecision(digits))) === value) return Number(value.toPrecision(digits));
  return Number(value.toPrecision(9));
}

/** Whether JSON text of it is a float's: both writers write a point or an exponent past 2^53, and stringifyLossless does not. */
function hasPoint(value: number): boolean {
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(String(value));
}

type Column = {
  readonly name: string;
  readonly type: object | string;
  readonly values: fc.Arbitrary<{ readonly avro: unknown; readonly json: JsonValue }>;
};

function column<T>(
  name: string,
  type: object | string,
  values: fc.Arbitrary<T>,
  toJson: (value: T) => JsonValue = plain,
  toAvro: (value: T) => unknown = (value) => value,
): Column {
  return { name, type, values: values.map((value) => ({ avro: toAvro(value), json: toJson(value) })) };
}

function plain(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value));
}

/** A row in both forms; each column is null now and then. */
const row = fc.tuple(...columns.map(({ values }) => fc.option(values))).map((cells) => ({
  avro: Object.fromEntries(columns.map(({ name }, index) => [name, cells[index]?.avro ?? null])),
  json: Object.fromEntries(columns.map(({ name }, index) => [name, cells[index]?.json ?? null])),
}));

const envelope = avroEnvelope(columns.map(({ name, type }) => avroField(name, type)));

const events = fc.record({
  op: fc.constantFrom('c', 'u', 'd', 'r', 't'),
  before: fc.option(row),
  after: fc.option(row),
  lsn: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
  transaction: fc.option(fc.constant({ id: '918273:27489872', total_order: 1n, data_collection_order: 1n })),
});

test('an event in Avro is the event that JSON would have given: every kind of value, nulls, wide numbers', async () => {
  const decoder = await avroDecoder(envelope);
  const type = encodeAvro(envelope);
  fc.assert(
    fc.property(events, ({ op, before, after, lsn, transaction }) => {
      const source = {
        version: '3.6.1.Final',
        connector: 'postgresql',
        name: 'log',
        db: 'legacy',
        schema: 'public',
        table: 't',
        ts_ms: 1_795_426_200_123n,
        txId: 7n,
        lsn,
      };
      const rest = { op, ts_ms: 1_795_426_200_188n, ts_ns: 1_795_426_200_188_456_000n };
      const avro = Buffer.concat([
        frameOf(7),
        type({ before: before?.avro ?? null, after: after?.avro ?? null, source, transaction, ...rest }),
      ]);
      const json = Buffer.from(
        stringifyLossless({ before: before?.json ?? null, after: after?.json ?? null, source, transaction, ...rest }),
      );

      assert.deepEqual(decoder.decodeChangeEvent(avro, place), decoder.decodeChangeEvent(json, place));
      const [fast, meant] = [decoder.decodeRowChange(avro, place), decoder.decodeRowChange(json, place)];
      assert.deepEqual([fast?.op, fast?.after, fast?.lsn, fast?.before()], [meant?.op, meant?.after, meant?.lsn, meant?.before()]);
      assert.equal(decoder.text(avro), json.toString());
      assert.equal(decoder.transactionId(avro), decoder.transactionId(json));
    }),
    { numRuns: 500 },
  );
});

test('an operation that is called as every object has members is as unknown in Avro as in JSON', async () => {
  const decoder = await avroDecoder(envelope);
  const type = encodeAvro(envelope);
  const source = {
    version: '3',
    connector: 'postgresql',
    name: 'log',
    db: 'legacy',
    schema: 'public',
    table: 't',
    ts_ms: 1n,
    txId: 7n,
    lsn: 1n,
  };
  for (const op of ['x', 'constructor', '__proto__']) {
    const event = { before: null, after: null, source, transaction: null, op, ts_ms: 1n, ts_ns: 1n };
    for (const bytes of [Buffer.concat([frameOf(7), type(event)]), Buffer.from(stringifyLossless(event))])
      assert.throws(() => decoder.decodeRowChange(bytes, place), { code: 'EVENT_UNDECODABLE' }, op);
  }
});

test('bytes that were cut short, go on after their end or were changed are refused by name, or are another event: never a crash', async () => {
  const decoder = await avroDecoder(envelope);
  const cells = {
    small: 1,
    whole: 2,
    big: 3n,
    single: 1.5,
    double: 2.5,
    flag: true,
    text: 'text',
    at: 'x',
    bytes: Buffer.from('b'),
    list: [1n, null],
    pairs: { a: 'b' },
    choice: 'two',
  };
  const source = { version: '1', connector: 'c', name: 'n', ts_ms: 1n, db: 'd', schema: 's', table: 't', txId: 1n, lsn: 1n };
  const good = Buffer.concat([
    frameOf(7),
    encodeAvro(envelope)({ before: cells, after: cells, source, transaction: null, op: 'u', ts_ms: 1n, ts_ns: 1n }),
  ]);
  const after = decoder.decodeRowChange(good, place)?.after;
  assert.equal(after?.values[after.names.indexOf('text')], 'text');
  const refused = { code: 'EVENT_UNDECODABLE', message: new RegExp(`${at}$`) };
  for (let length = 5; length < good.length; length += 1) {
    assert.throws(() => decoder.decodeRowChange(good.subarray(0, length), place), refused, String(length));
    assert.throws(() => decoder.decodeChangeEvent(good.subarray(0, length), place), refused, String(length));
  }
  assert.throws(() => decoder.decodeRowChange(Buffer.concat([good, Buffer.from([0])]), place), refused);
  assert.throws(() => decoder.decodeRowChange(good.subarray(0, 4), place), { code: 'EVENT_UNDECODABLE', message: /ends before its id/ });
  fc.assert(
    fc.property(fc.nat(good.length - 6), fc.nat(255), (position, byte) => {
      const bytes = Buffer.from(good);
      bytes[5 + position] = byte;
      for (const decode of [() => decoder.decodeRowChange(bytes, place)?.before(), () => decoder.decodeChangeEvent(bytes, place)]) {
        try {
          decode();
        } catch (error) {
          assert.match(String(error), new RegExp(at));
        }
      }
      decoder.transactionId(bytes);
    }),
    { numRuns: 3000 },
  );
});

test('a text in Avro that is not UTF-8 is refused; the character that replaces such bytes elsewhere is a character', async () => {
  const schema = { type: 'record', name: 'R', fields: [{ name: 'text', type: 'string' }] };
  const decoder = await avroDecoder(schema);
  const good = Buffer.concat([frameOf(7), encodeAvro(schema)({ text: 'a\ufffdb' })]);
  assert.deepEqual(decoder.decodeKey(good, place), { text: 'a\ufffdb' });
  const bad = Buffer.from(good);
  bad[bad.length - 1] = 0xff;
  assert.throws(() => decoder.decodeKey(bad, place), { code: 'EVENT_UNDECODABLE', message: /not UTF-8/ });
});

function connect(type: object | string, name: string): object {
  return { ...(typeof type === 'string' ? { type } : type), 'connect.name': name };
}

function logical(type: string, logicalType: string, more: object = {}): object {
  return { type, logicalType, ...more };
}

test('what other settings and other writers put in for times, decimals and lengths becomes the contract’s text', async () => {
  const decimal = { scale: 4, precision: 20 };
  const variable = {
    type: 'record',
    name: 'VariableScaleDecimal',
    fields: [
      { name: 'scale', type: 'int' },
      { name: 'value', type: 'bytes' },
    ],
  };
  const cases: readonly (readonly [type: object | string, value: unknown, text: JsonValue])[] = [
    [connect('int', 'io.debezium.time.Date'), 20_512, '2026-02-28Z'],
    [connect('int', 'io.debezium.time.Date'), -141_427, '1582-10-15Z'],
    [connect('int', 'io.debezium.time.Date'), -719_529, '-0001-12-31Z'],
    [connect('int', 'io.debezium.time.Date'), 2_932_897, '+10000-01-01Z'],
    [connect('int', 'io.debezium.time.Time'), 86_399_500, '23:59:59.5Z'],
    [connect('long', 'io.debezium.time.MicroTime'), 86_400_000_000n, '24:00:00Z'],
    [connect('long', 'io.debezium.time.NanoTime'), 1n, '00:00:00.000000001Z'],
    [connect('long', 'io.debezium.time.Timestamp'), 1_795_426_200_120n, '2026-11-23T09:30:00.12Z'],
    [connect('long', 'io.debezium.time.MicroTimestamp'), 1_795_426_200_123_456n, '2026-11-23T09:30:00.123456Z'],
    [connect('long', 'io.debezium.time.MicroTimestamp'), -1n, '1969-12-31T23:59:59.999999Z'],
    // Debezium's stand-in for an infinite timestamp, which mirrors know.
    [connect('long', 'io.debezium.time.MicroTimestamp'), 9_223_372_036_825_200_000n, '+294247-01-10T04:00:25.2Z'],
    [connect('long', 'io.debezium.time.NanoTimestamp'), -1n, '1969-12-31T23:59:59.999999999Z'],
    [connect('long', 'io.debezium.time.MicroDuration'), 14_706_789_000n, 'P0Y0M0DT4H5M6.789S'],
    [connect('long', 'io.debezium.time.MicroDuration'), -1_500_000n, 'P0Y0M0DT0H0M-1.5S'],
    [connect('string', 'io.debezium.time.ZonedTimestamp'), '2026-11-22T15:00:00Z', '2026-11-22T15:00:00Z'],
    [connect('string', 'io.debezium.data.Json'), '{"a": 1}', '{"a": 1}'],
    [connect('int', 'org.apache.kafka.connect.data.Date'), 0, '1970-01-01Z'],
    [connect('int', 'org.apache.kafka.connect.data.Time'), 0, '00:00:00Z'],
    [connect('long', 'org.apache.kafka.connect.data.Timestamp'), 0n, '1970-01-01T00:00:00Z'],
    [connect('int', 'io.debezium.time.Year'), 2026, 2026],
    [connect('string', 'com.example.Unknown'), 'as it is', 'as it is'],
    // As every object has members.
    [connect('string', 'constructor'), 'as it is', 'as it is'],
    [logical('string', 'toString'), 'as it is', 'as it is'],
    [logical('int', 'date'), 20_512, '2026-02-28Z'],
    [logical('int', 'time-millis'), 500, '00:00:00.5Z'],
    [logical('long', 'time-micros'), 1n, '00:00:00.000001Z'],
    [logical('long', 'timestamp-millis'), -1n, '1969-12-31T23:59:59.999Z'],
    [logical('long', 'timestamp-micros'), 1n, '1970-01-01T00:00:00.000001Z'],
    [logical('long', 'local-timestamp-micros'), 1n, '1970-01-01T00:00:00.000001Z'],
    [logical('string', 'uuid'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    [logical('bytes', 'decimal', decimal), Buffer.from('3a98', 'hex'), '1.5000'],
    [logical('bytes', 'decimal', decimal), Buffer.from('ff', 'hex'), '-0.0001'],
    [logical('bytes', 'decimal', decimal), Buffer.from('fa9438a1d29cf00001', 'hex'), '-9999999999999999.9999'],
    [logical('bytes', 'decimal', decimal), Buffer.alloc(0), '0.0000'],
    [logical('bytes', 'decimal', { precision: 5 }), Buffer.from('0100', 'hex'), '256'],
    [{ type: 'fixed', size: 3, name: 'Fixed', logicalType: 'decimal', precision: 6, scale: 2 }, Buffer.from('ffff9c', 'hex'), '-1.00'],
    [{ type: 'fixed', size: 2, name: 'Plain' }, Buffer.from('ff00', 'hex'), '/wA='],
    [connect(variable, 'io.debezium.data.VariableScaleDecimal'), { scale: 3, value: Buffer.from('04d2', 'hex') }, '1.234'],
    [connect(variable, 'io.debezium.data.VariableScaleDecimal'), { scale: -2, value: Buffer.from('05', 'hex') }, '500'],
  ];
  for (const [type, value, text] of cases) {
    const schema = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'plain', type },
        { name: 'maybe', type: ['null', typeof type === 'object' && 'name' in type ? type.name : type] },
      ],
    };
    const decoder = await avroDecoder(schema);
    const bytes = Buffer.concat([frameOf(7), encodeAvro(schema)({ plain: value, maybe: value })]);
    assert.deepEqual(decoder.decodeKey(bytes, place), { plain: text, maybe: text }, JSON.stringify(type));
  }
});
