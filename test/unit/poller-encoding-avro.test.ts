import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { avroReader } from '#change-events/framed/avro/reader.ts';
import { decodeChangeEvent, decodeKey, frameOf, type ChangeEvent, type Row } from '#change-events/index.ts';
import { createAvroEncoder } from '#cdc-poller/encoding/avro-encoder.ts';
import { AvroWriter } from '#cdc-poller/encoding/avro-writer.ts';
import {
  createEventEncoder,
  type EncodeColumn,
  type KeyText,
  type EventColumn,
  type EventEncoder,
  type EventShape,
  type RawRow,
} from '#cdc-poller/encoding/event-encoder.ts';
import { createFramedJsonEncoder } from '#cdc-poller/encoding/framed-json-encoder.ts';
import { avroKeySchema, avroValueSchema } from '#cdc-poller/schemas/avro-schema.ts';
import type { ColumnDetail } from '#cdc-poller/schemas/field-type.ts';
import { tableFields, type FieldTypes } from '#cdc-poller/schemas/table-fields.ts';
import { deleteMessages, isDeletion, valueOfWireKey } from '#cdc-poller/sweep/delete-event.ts';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import { columnTypeOf } from '#cdc-poller/mariadb/values/types.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { encodeAvro } from '#test/support/avro-events.ts';

const place = { topic: 't', partition: 0, offset: '0' };
const ids = { key: 7, value: 0x01_02_03_04 };
const facts = { op: 'u', txId: '4294967295', publishedAt: 1_795_410_000_000 } as const;

type Coded = {
  readonly json: EventEncoder;
  readonly avro: EventEncoder;
  readonly framed: EventEncoder;
  readonly schemas: { readonly key: string; readonly value: string };
  /** The event that the Avro bytes are read as, and the key. */
  readonly read: (row: RawRow) => { readonly event: unknown; readonly key: unknown };
};

type Dialect = { readonly fieldTypes: FieldTypes; readonly encodeColumn: EncodeColumn; readonly keyText: KeyText };

function coded(
  columns: readonly EventColumn[],
  more: Partial<EventShape> & { readonly details?: ReadonlyMap<string, ColumnDetail>; readonly dialect?: Dialect } = {},
): Coded {
  const { details = new Map(), dialect = postgres, ...rest } = more;
  const shape: EventShape = {
    database: 'legacy',
    table: { schema: 'public', table: 'orders' },
    prefix: 'query',
    columns,
    published: columns.map((_, column) => ({ column, mask: null })),
    key: [0],
    timestamps: [],
    clock: null,
    encodeColumn: dialect.encodeColumn,
    keyText: dialect.keyText,
    ...rest,
  };
  const fields = tableFields(shape, details, dialect.fieldTypes, dialect.encodeColumn);
  const schemas = {
    key: avroKeySchema(
      't',
      fields.key.map(({ field }) => field),
    ),
    value: avroValueSchema(
      't',
      fields.row.map(({ field }) => field),
    ),
  };
  const json = createEventEncoder(shape);
  const avro = createAvroEncoder(shape, fields, dialect.fieldTypes, ids);
  const [keyReader, valueReader] = [schemas.key, schemas.value].map((schema) => avroReader({ schemaType: 'AVRO', schema, references: [] }));
  return {
    json,
    avro,
    framed: createFramedJsonEncoder(shape, ids),
    schemas,
    read: (row) => ({
      event: valueReader?.value(bytesOf(avro.value(row, facts)), place),
      key: keyReader?.value(bytesOf(avro.wireKey(row, avro.key(row))), place),
    }),
  };
}

function bytesOf(content: string | Buffer): Buffer {
  assert.ok(Buffer.isBuffer(content));
  return content;
}

const column = (
  name: string,
  type: string,
  more: { readonly isArray?: boolean; readonly modifier?: number; readonly notNull?: boolean } = {},
): EventColumn => ({
  name,
  type: { name: type, isArray: more.isArray ?? false, modifier: more.modifier ?? -1 },
  notNull: more.notNull ?? false,
});

/** Reads the row from Avro and from JSON: it must be the same. */
function assertSame(columns: readonly EventColumn[], row: RawRow, more?: Parameters<typeof coded>[1]): void {
  const { json, read } = coded(columns, more);
  const value = json.value(row, facts);
  const found = read(row);
  assert.ok(typeof value === 'string');
  const expected: ChangeEvent | null = decodeChangeEvent(Buffer.from(value), place);
  assert.deepEqual(found.event, expected);
  const key: Row | null = decodeKey(Buffer.from(json.key(row)), place);
  assert.deepEqual(found.key, key);
}

/** Texts as Postgres gives them under the poller's session settings. */
const postgresTexts: readonly (readonly [type: string, texts: readonly string[], modifier?: number])[] = [
  ['int2', ['-32768', '0', '32767']],
  ['int4', ['-2147483648', '-64', '63', '64', '2147483647']],
  ['int8', ['-9223372036854775808', '-9007199254740993', '-4503599627370497', '-1', '0', '4503599627370496', '999999999999999', '1000000000000000', '9007199254740993', '9223372036854775807']],
  ['oid', ['4294967295']],
  ['numeric', ['12345678901234567890.123456789', '-0.000000000000000000001', 'NaN', 'Infinity', '-Infinity', '0', '100']],
  ['float4', ['1.1', 'NaN', 'Infinity', '-Infinity', '1e+10', '1e-05', '3.4028235e+38', '0', '-0', '1.6777216e+07', '1234567.9', '1e-45']],
  ['float8', ['1.1', 'NaN', 'Infinity', '-Infinity', '1e+10', '9999999', '0.00099', '-0', '1.7976931348623157e+308', '5e-324']],
  ['bool', ['t', 'f']],
  ['text', ['', 'plain', 'quote " back \\ slash \u0007 \u007f', 'emoji 😀 é ü 漢字 \u2028', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(33), 'x'.repeat(63), 'x'.repeat(64), 'é'.repeat(63), `${'x'.repeat(60)}é`, 'é'.repeat(5000), 'x'.repeat(200_000)]],
  ['bpchar', ['ab   ']],
  ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ['timestamptz', ['2026-11-22 15:00:00.123456+00', '2026-11-22 15:00:00+00', '0001-01-01 00:00:00+00', '0044-03-15 00:00:00+00 BC', '12026-01-01 00:00:00+00', 'infinity', '-infinity']],
  ['timestamptz', ['2026-11-22 15:00:00.5+00', '2026-11-22 15:00:00+00'], 3],
  ['timestamptz', ['2026-11-22 15:00:00+00'], 0],
  ['timestamp', ['2026-11-23 00:00:00.123456', '0044-03-15 00:00:00 BC', 'infinity', '-infinity']],
  ['date', ['2026-02-28', '0044-03-15 BC', '12026-01-01', 'infinity', '-infinity']],
  ['time', ['23:59:59.999999', '24:00:00']],
  ['timetz', ['05:00:00.5+02', '12:00:00+05:30']],
  ['interval', ['P1Y2M3DT4H5M6.789S', 'PT0S', 'P-1D', 'PT-1.5S']],
  ['json', ['{"b": 1,  "a": [1.50, null]}', '9007199254740993']],
  ['jsonb', ['"text"']],
  ['bytea', ['\\x', '\\x00ff10']],
  ['bit', ['10101', '00101', '00000'], 5],
  ['bit', ['1', '0'], 1],
  ['varbit', ['101010101010', '1', '']],
  ['money', ['$1,234.56', '-$0.50']],
  ['inet', ['192.168.0.1/24', '::1']],
  ['mood', ['so so']],
  ['tsvector', ["'a':1"]],
]; // prettier-ignore

const arrayTexts: readonly (readonly [type: string, text: string, dimensions?: number, modifier?: number])[] = [
  ['int4', '{1,NULL,3}'], ['int4', '{}'], ['int8', '{9223372036854775807}'], ['text', '{"a,b","quote \\" x",NULL,"NULL",""}'], ['numeric', '{1.50,NULL,NaN}'], ['bool', '{t,f}'],
  ['uuid', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'], ['timestamptz', '{"2026-11-22 15:00:00.5+00"}'], ['bytea', '{"\\\\x00ff"}'], ['float8', '{NaN,1.5}'], ['bit', '{101}', 1, 3],
  ['int4', '{{1,2},{3,NULL}}', 2], ['int4', '{1}', 2], ['text', '{{{a},{b}},{{c},{d}}}', 3], ['int4', '[0:1]={1,2}'],
]; // prettier-ignore

test('a row that is read from Avro is the row that is read from JSON: every type of Postgres and its edges', () => {
  for (const [type, texts, modifier = -1] of postgresTexts) {
    for (const text of texts) {
      for (const notNull of [true, false]) assertSame([column('c', type, { modifier, notNull })], [text]);
    }
    assertSame([column('id', 'int4'), column('c', type, { modifier })], ['1', null]);
  }
  for (const [type, text, dimensions = 1, modifier = -1] of arrayTexts) {
    const details = new Map([['a', { declared: '', dimensions, allowed: null, default: null, castName: '' }]]);
    assertSame([column('id', 'int4'), column('a', type, { isArray: true, modifier })], ['1', text], { details });
  }
});

/** As Postgres writes it. */
function shortestFloat(value: number): string {
  if (Object.is(value, -0)) return '-0';
  for (let digits = 1; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

test('the same for values as they come', () => {
  const texts: Readonly<Record<string, fc.Arbitrary<string>>> = {
    int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    text: fc.string({ unit: 'grapheme', maxLength: 80 }),
    float8: fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value))),
    float4: fc.float().map(shortestFloat),
    bytea: fc.uint8Array({ maxLength: 50 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
    varbit: fc.stringMatching(/^[01]{0,30}$/),
  };
  const names = Object.keys(texts);
  const row = fc.tuple(...names.map((name) => fc.option(texts[name] ?? fc.constant(''))));
  const columns = [column('id', 'int8', { notNull: true }), ...names.map((name) => column(name, name))];
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), row, (id, values) => assertSame(columns, [id.toString(), ...values])));
});

test('MariaDB: zero dates are null or the epoch, unsigned numbers keep their digits', () => {
  const cases: readonly (readonly [columnType: string, text: string, notNull?: boolean])[] = [
    ['date', '0000-00-00'], ['date', '0000-00-00', true], ['timestamp(3)', '2026-11-22 15:00:00.100'], ['datetime(6)', '2026-11-23 05:11:24.978120'], ['time(6)', '-838:59:58.999990'],
    ['int(6) unsigned zerofill', '000042'], ['year(4)', '0000'], ['bigint(20)', '-9223372036854775808'], ['float', '1.10000002384185791'], ['float', '16777216'], ['float(7,3)', '1234.5670166015625'], ['double', '1.7976931348623157e308'],
    ['bit(1)', '01'], ['bit(20)', '080001'], ['decimal(20,4)', '1.5000'], ['longblob', '00FF10'], ['varchar(50)', 'emoji 😀'], ["enum('a','b')", 'a'], ['json', '{"b": 1}'],
  ]; // prettier-ignore
  for (const [columnType, text, notNull = false] of cases) {
    const [dataType = ''] = /^\w+/.exec(columnType) ?? [];
    const id = { name: 'id', type: columnTypeOf({ dataType: 'bigint', columnType: 'bigint(20)' }), notNull: true };
    const value = { name: 'c', type: columnTypeOf({ dataType, columnType }), notNull };
    const details = new Map([['c', { declared: columnType, dimensions: 0, allowed: null, default: null, castName: dataType }]]);
    assertSame([id, value], ['1', text], { details, dialect: mariadb });
  }
  // No long holds it: digits in a string, where JSON has a number.
  const wide = { name: 'c', type: columnTypeOf({ dataType: 'bigint', columnType: 'bigint(20) unsigned' }), notNull: true };
  const details = new Map([['c', { declared: 'bigint(20) unsigned', dimensions: 0, allowed: null, default: null, castName: 'bigint' }]]);
  assert.deepEqual(coded([wide], { details, dialect: mariadb }).read(['18446744073709551615']).key, { c: '18446744073709551615' });
});

test('masks: what is there is what JSON has', () => {
  const columns = ['id', 'hash', 'nothing', 'text', 'number', 'big', 'half', 'flag', 'none'].map((name) =>
    column(name, name === 'id' ? 'int8' : 'text'),
  );
  const masks = [
    null,
    { kind: 'hash', salt: 's' } as const,
    { kind: 'hash', salt: 's' } as const,
    ...['***', 7, 4_503_599_627_370_497, 0.5, true, null].map((value) => ({ kind: 'fixed', value }) as const),
  ];
  const published = masks.map((mask, index) => ({ column: index, mask }));
  assertSame(columns, ['1', 'a', null, 'b', null, 'c', 'd', null, 'e'], { published });
});

test('a default that is first in its union changes what is written, not what is read', () => {
  const details = new Map([['n', { declared: 'int4', dimensions: 0, allowed: null, default: '7', castName: 'integer' }]]);
  for (const value of ['5', null]) assertSame([column('id', 'int4'), column('n', 'int4')], ['1', value], { details });
});

test('an array of more dimensions than declared is refused by name, and so is a null that the catalogue rules out', () => {
  const { avro } = coded([column('id', 'int4'), column('deep', 'int4', { isArray: true })]);
  assert.throws(() => avro.value(['1', '{{1}}'], facts), {
    code: 'SCHEMA_INVALID',
    message: /"deep" of table public\.orders holds an array of more than 1 dimension/,
  });
  // What was begun before it is not seen in what comes next.
  assert.equal(bytesOf(avro.wireKey(['1', null], '')).toString('hex'), '00000000070202');
  const strict = coded([column('id', 'int4', { notNull: true })]);
  assert.throws(() => strict.avro.value([null], facts), /"id" is null/);
});

/** When it breaks, the wire format has changed: consumers outside this repository see it. */
test('the bytes on the wire are pinned, in Avro and in JSON Schema', () => {
  const { avro, framed, json } = coded(
    [column('id', 'int8', { notNull: true }), column('note', 'text'), column('updated_at', 'timestamptz', { notNull: true })],
    { timestamps: [2] },
  );
  const row = ['300', null, '2026-11-23 05:00:00.5+00'];
  assert.equal(bytesOf(avro.wireKey(row, '')).toString('hex'), '0000000007d804');
  assert.equal(
    bytesOf(avro.value(row, facts)).toString('latin1'),
    // The header; no before; after: 300, null and the time; source; no transaction; the op; when it was published.
    '\0\x01\x02\x03\x04' +
      '\0' +
      '\x02\xd8\x04\0\x362026-11-23T05:00:00.500000Z' +
      '\x021\x14cdc-poller\x0aquery\x02\xe8\xe9\xb3\xec\xc0\x68\x0afalse\x0clegacy\x0cpublic\x0corders\x02\xfe\xff\xff\xff\x1f\0' +
      '\0\x02u\x02\x80\xe2\xb3\xec\xc0\x68',
  );
  assert.equal(bytesOf(framed.wireKey(row, json.key(row))).toString('latin1'), '\0\0\0\0\x07{"id":300}');
  assert.equal(bytesOf(framed.value(row, facts)).toString('latin1'), `\0\x01\x02\x03\x04${String(json.value(row, facts))}`);
});

test("the bytes are those of the registry client's Avro library for the same event", () => {
  const { avro, schemas, json } = coded(
    [
      column('id', 'int8', { notNull: true }),
      column('n', 'int4'),
      column('ratio', 'float8'),
      column('tags', 'text', { isArray: true }),
      column('raw', 'bytea'),
      column('flag', 'bool'),
      column('note', 'text'),
    ],
    { key: [0, 1] },
  );
  const encode = encodeAvro(JSON.parse(schemas.value));
  const rows: readonly (readonly [RawRow, unknown])[] = [
    [
      ['9223372036854775807', '-5', '0.1', '{a,NULL}', '\\x00ff', 't', 'é'.repeat(70)],
      { id: 9223372036854775807n, n: -5, ratio: 0.1, tags: ['a', null], raw: Buffer.from([0, 255]), flag: true, note: 'é'.repeat(70) },
    ],
    [
      ['-1', null, null, '{}', null, null, null],
      { id: -1n, n: null, ratio: null, tags: [], raw: null, flag: null, note: null },
    ],
  ]; // prettier-ignore
  for (const [row, after] of rows) {
    const source = {
      version: '1',
      connector: 'cdc-poller',
      name: 'query',
      ts_ms: null,
      snapshot: 'true',
      db: 'legacy',
      schema: 'public',
      table: 'orders',
      txId: 5n,
      lsn: null,
    };
    const theirs = encode({ before: null, after, source, transaction: null, op: 'r', ts_ms: 1_795_410_000_000n });
    const ours = bytesOf(avro.value(row, { op: 'r', txId: '5', publishedAt: 1_795_410_000_000 }));
    assert.equal(ours.subarray(5).toString('hex'), theirs.toString('hex'), json.key(row));
  }
});

test('records share slabs and leave one another alone, also one that outgrows its slab', () => {
  const writer = new AvroWriter();
  const written = Array.from({ length: 3000 }, (_, index) => {
    writer.begin();
    writer.raw(frameOf(index));
    const text = `${index}-`.repeat(index % 50 === 0 ? 20_000 : 10);
    writer.string(text);
    return { text, index, bytes: writer.end() };
  });
  for (const { text, index, bytes } of written) {
    assert.equal(bytes.readUInt32BE(1), index);
    const size = Buffer.byteLength(text);
    assert.equal(bytes.subarray(bytes.length - size).toString(), text);
  }
});

test('a sweep reads keys and deletes back from what was written, whatever the format', () => {
  for (const [type, values] of [
    ['int8', ['7', '-62', '0', '9223372036854775807', '-9223372036854775808']],
    ['int2', ['123', '-62']],
    ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ] as const) {
    const { json, avro, framed, schemas } = coded([column('note', 'text'), column('id', type, { notNull: true })], { key: [1] });
    const reader = avroReader({ schemaType: 'AVRO', schema: schemas.value, references: [] });
    for (const encoder of [json, avro, framed]) {
      for (const value of values) {
        const [gone, tombstone] = deleteMessages({ encoder, keyIndex: 1 }, value, 1_795_410_000_000);
        assert.ok(gone !== undefined && tombstone !== undefined);
        assert.equal(gone.partitionKey, json.key([null, value]));
        assert.deepEqual(tombstone, { ...gone, value: null });
        assert.equal(valueOfWireKey(Buffer.from(gone.key ?? '')), value);
        assert.ok(isDeletion(Buffer.from(gone.value ?? '')) && isDeletion(null));
        assert.ok(!isDeletion(Buffer.from(encoder.value([null, value], facts))));
        assert.ok(!isDeletion(Buffer.from(encoder.value(['"op":"d"', value], facts))));
      }
    }
    const read = reader.value(bytesOf(avro.deletion(5)), place);
    assert.deepEqual(read, decodeChangeEvent(Buffer.from(String(json.deletion(5))), place));
  }
});

test('a key has one text for each value, in Avro as in JSON; arrays of arrays keep their depth', () => {
  const numeric = { name: 'id', type: { name: 'numeric', isArray: false, modifier: -1 }, notNull: true };
  const lists = { name: 'l', type: { name: 'int4', isArray: true, modifier: -1, delimiters: [',', ','] } };
  const vector = { name: 'v', type: { name: 'oid', isArray: true, modifier: -1, delimiters: [' '] } };
  const { avro, json } = coded([numeric, lists, vector]);
  const rows = ['1.00', '1.0', '1'].map((id): RawRow => [id, '{"{1,2}",NULL}', '3 4']);
  assert.deepEqual([...new Set(rows.map((row) => json.key(row)))], ['{"id":"1"}']);
  assert.equal(new Set(rows.map((row) => avro.wireKey(row, json.key(row)).toString('hex'))).size, 1);
  assert.equal(json.after(rows[0] ?? []), '{"id":"1.00","l":[[1,2],null],"v":[3,4]}');
});
