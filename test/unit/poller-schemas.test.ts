import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless } from '#change-events/index.ts';
import type { EventColumn } from '#cdc-poller/encoding/event-encoder.ts';
import { avroFieldName, avroNamespace } from '#cdc-poller/schemas/avro-name.ts';
import { avroKeySchema, avroValueSchema } from '#cdc-poller/schemas/avro-schema.ts';
import { literalText } from '#cdc-poller/schemas/default-literal.ts';
import { differenceOf } from '#cdc-poller/schemas/difference.ts';
import type { ColumnDetail } from '#cdc-poller/schemas/field-type.ts';
import { jsonKeySchema, jsonValueSchema } from '#cdc-poller/schemas/json-schema.ts';
import { mariadbDeclared, mariadbFieldType } from '#cdc-poller/mariadb/values/schema-fields.ts';
import { requireDistinctNames, tableFields, type FieldsShape } from '#cdc-poller/schemas/table-fields.ts';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import { columnTypeOf } from '#cdc-poller/mariadb/values/types.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';

const column = (name: string, type: string, more: Partial<EventColumn['type']> & { readonly notNull?: boolean } = {}): EventColumn => ({
  name,
  type: { name: type, isArray: more.isArray ?? false, modifier: more.modifier ?? -1 },
  notNull: more.notNull ?? false,
});

const plain = (declared: string, more: Partial<ColumnDetail> = {}): ColumnDetail => ({
  declared,
  dimensions: 0,
  allowed: null,
  default: null,
  castName: declared,
  ...more,
});

function rowOf(
  columns: readonly EventColumn[],
  published?: FieldsShape['published'],
  details: Readonly<Record<string, ColumnDetail>> = {},
) {
  const shape = { columns, key: [0], published: published ?? columns.map((_, index) => ({ column: index, mask: null })) };
  return tableFields(shape, new Map(Object.entries(details)), postgres.fieldTypes, postgres.encodeColumn);
}

const avroRow = (...args: Parameters<typeof rowOf>): string => {
  const schema = avroValueSchema(
    't',
    rowOf(...args).row.map(({ field }) => field),
  );
  return schema.slice(schema.indexOf('"fields":[', schema.indexOf('"name":"Value"')) + 9, schema.indexOf(',"connect.name":"t.Value"'));
};

/**
 * When it breaks, registered schemas change: every table's subject gets a new version at the next start, and equality with Debezium's connector
 * (test/integration/schemas-poller.test.ts) may be lost.
 */
test('a table gives the key and value schemas that are pinned here', () => {
  const { key, row } = rowOf(
    [
      column('id', 'int8', { notNull: true }),
      column('total', 'numeric', { modifier: ((12 << 16) | 2) + 4, notNull: true }),
      column('Größe', 'text'),
    ],
    undefined,
    { total: plain('numeric', { default: '0' }) },
  );
  const [keys, rows] = [key.map(({ field }) => field), row.map(({ field }) => field)];
  assert.equal(
    avroKeySchema('query-1.public.orders', keys),
    '{"type":"record","name":"Key","namespace":"query_1.public.orders","fields":[{"name":"id","type":"long"}],"connect.name":"query_1.public.orders.Key"}',
  );
  const source = '__debezium.source.column';
  assert.equal(
    avroValueSchema('query-1.public.orders', rows),
    '{"type":"record","name":"Envelope","namespace":"query_1.public.orders","fields":[' +
      '{"name":"before","type":["null",{"type":"record","name":"Value","fields":[' +
      `{"name":"id","type":{"type":"long","connect.parameters":{"${source}.type":"INT8","${source}.length":"19","${source}.scale":"0","${source}.name":"id"}}},` +
      `{"name":"total","type":{"type":"string","connect.parameters":{"${source}.type":"NUMERIC","${source}.length":"12","${source}.scale":"2","${source}.name":"total"},"connect.default":"0.00"},"default":"0.00"},` +
      `{"name":"Gr__e","type":["null",{"type":"string","connect.parameters":{"${source}.type":"TEXT","${source}.length":"2147483647","${source}.scale":"0","${source}.name":"Größe"}}],"default":null}` +
      '],"connect.name":"query_1.public.orders.Value"}],"default":null},' +
      '{"name":"after","type":["null","Value"],"default":null},' +
      '{"name":"source","type":{"type":"record","name":"Source","namespace":"cdc_poller","fields":[{"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},' +
      '{"name":"ts_ms","type":["null","long"],"default":null},{"name":"snapshot","type":"string"},{"name":"db","type":"string"},{"name":"schema","type":"string"},{"name":"table","type":"string"},' +
      '{"name":"txId","type":["null","long"],"default":null},{"name":"lsn","type":["null","long"],"default":null}],"connect.name":"cdc_poller.Source"}},' +
      '{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":[{"name":"id","type":"string"},{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}],"connect.version":1,"connect.name":"event.block"}],"default":null},' +
      '{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}],"connect.name":"query_1.public.orders.Envelope"}',
  );
  assert.equal(
    jsonKeySchema('query.public.orders', keys),
    '{"$schema":"http://json-schema.org/draft-07/schema#","title":"query.public.orders.Key","type":"object",' +
      '"properties":{"id":{"type":"integer","connect.type":"int64","connect.index":0}},"required":["id"],"additionalProperties":false}',
  );
  assert.ok(
    jsonValueSchema('query.public.orders', rows).includes(
      '"definitions":{"Value":{"type":"object","properties":{"id":{"type":"integer","connect.type":"int64","connect.index":0},' +
        '"total":{"type":"string","connect.type":"string","default":"0.00","connect.index":1},' +
        '"Größe":{"type":["string","null"],"connect.type":"string","connect.index":2}},"required":["id"],"additionalProperties":false}}',
    ),
  );
});

test('names are adjusted as Debezium adjusts them for Avro', () => {
  const names = {
    'a-b': 'a_b',
    '1st': '_1st',
    größe: 'gr__e',
    名: '_',
    'with space': 'with_space',
    UPPER: 'UPPER',
    $d: '_d',
    '🙂x': '__x',
    '-y': '_y',
  };
  for (const [given, adjusted] of Object.entries(names)) assert.equal(avroFieldName(given), adjusted);
  assert.equal(avroNamespace('8av-x.2s.3t-_'), '_8av_x._2s._3t__');
});

test('two columns that would be one Avro field are refused by name', () => {
  const { row } = rowOf([column('a-b', 'int4'), column('a.b', 'int4')]);
  assert.throws(() => requireDistinctNames('public.t', row), /"a-b" and "a\.b" of table public\.t .*"a_b"/);
});

test('arrays hold nulls, and arrays where several dimensions are declared; enums have their values', () => {
  const numbers = column('n', 'int4', { isArray: true });
  assert.match(avroRow([numbers]), /"items":\["null","int"\],/);
  const nested = avroRow([numbers], undefined, { n: plain('_int4', { dimensions: 2 }) });
  assert.equal(nested.split('"type":"array"').length - 1, 6);
  assert.match(
    avroRow([column('m', 'mood')], undefined, { m: plain('mood', { allowed: 'happy,so so' }) }),
    /\{"type":"string","connect\.version":1,"connect\.parameters":\{"allowed":"happy,so so",.*"connect\.name":"io\.debezium\.data\.Enum"\}/,
  );
});

test('a mask gives the field the type of what is there', () => {
  const columns = ['hash', 'text', 'number', 'flag', 'none'].map((name) => column(name, 'int4', { notNull: true }));
  const masks = [{ kind: 'hash', salt: 's' } as const, ...['x', 7, true, null].map((value) => ({ kind: 'fixed', value }) as const)];
  const row = avroRow(
    columns,
    masks.map((mask, index) => ({ column: index, mask })),
  );
  assert.equal(
    row,
    '[{"name":"hash","type":"string"},{"name":"text","type":"string"},{"name":"number","type":"long"},{"name":"flag","type":"boolean"},{"name":"none","type":["null","int"],"default":null}]',
  );
});

test('a default is taken over when it is a plain constant, to the digit, and never evaluated', () => {
  const cases: readonly (readonly [type: string, castName: string, sql: string, literal: string | undefined])[] = [
    ['int4', 'integer', '0', '0'],
    ['int4', 'integer', "'-5'::integer", '-5'],
    ['int2', 'smallint', "'-32768'::integer", '-32768'],
    ['int8', 'bigint', "'9007199254740993'::bigint", '9007199254740993'],
    ['int4', 'integer', '(1 + 2)', undefined],
    ['int8', 'bigint', "nextval('t_id_seq'::regclass)", undefined],
    ['text', 'text', "'it''s'::text", "it's"],
    ['varchar', 'character varying', "'a'::character varying", 'a'],
    ['text', 'text', "upper('x'::text)", undefined],
    ['bool', 'boolean', 'true', 't'],
    ['text', 'text', 'true', undefined],
    ['timestamptz', 'timestamp with time zone', "'2026-01-01 00:00:00+00'::timestamp with time zone", '2026-01-01 00:00:00+00'],
    ['timestamptz', 'timestamp with time zone', "'2026-01-01'::date", undefined],
    ['timestamptz', 'timestamp with time zone', 'now()', undefined],
    ['date', 'date', "('now'::text)::date", undefined],
    ['bit', 'bit', `B'10101'::"bit"`, '10101'],
    ['int4', 'integer[]', "'{}'::integer[]", '{}'],
    ['text', 'text', "('a'::text || 'b'::text)", undefined],
  ];
  for (const [, castName, sql, literal] of cases) assert.equal(literalText(plain('', { default: sql, castName })), literal, sql);
  const defaultOf = (type: string, castName: string, sql: string, more: Parameters<typeof column>[2] = {}): unknown =>
    rowOf([column('c', type, { ...more, notNull: true })], undefined, { c: plain(type, { default: sql, castName }) }).row[0]?.field.default;
  assert.equal(defaultOf('int8', 'bigint', "'9007199254740993'::bigint"), 9007199254740993n);
  assert.equal(defaultOf('numeric', 'numeric', '1.5', { modifier: ((5 << 16) | 2) + 4 }), '1.50');
  assert.equal(defaultOf('numeric', 'numeric', '1.555', { modifier: ((5 << 16) | 2) + 4 }), undefined);
  assert.equal(defaultOf('int4', 'integer', '1.5'), undefined);
  assert.equal(defaultOf('float8', 'double precision', "'NaN'::double precision"), undefined);
  assert.equal(
    defaultOf('timestamptz', 'timestamp with time zone', "'2026-01-01 00:00:00+00'::timestamp with time zone"),
    '2026-01-01T00:00:00.000000Z',
  );
  assert.deepEqual(defaultOf('int4', 'integer[]', "'{}'::integer[]", { isArray: true }), []);
  assert.equal(defaultOf('int4', 'integer[]', "'{1}'::integer[]", { isArray: true }), undefined);
  // Bytes are the characters of their codes; and a union's default is of its first branch.
  const bytes = avroRow([column('b', 'bytea', { notNull: true })], undefined, {
    b: plain('bytea', { default: String.raw`'\x01ff'::bytea` }),
  });
  assert.ok(bytes.endsWith(String.raw`"default":"\u0001ÿ"}]`), bytes);
  const nullable = avroRow([column('n', 'int4')], undefined, { n: plain('int4', { default: '7', castName: 'integer' }) });
  assert.match(nullable, /"type":\[\{"type":"int",.*\},"null"\],"default":7\}/);
});

test('the types of MariaDB are those of its connector, or what JSON has', () => {
  const cases: Readonly<Record<string, string>> = {
    'tinyint(1)': 'int int16', 'smallint unsigned': 'int', 'int(10)': 'int', 'int(10) unsigned': 'long', 'bigint(20)': 'long', 'bigint(20) unsigned': 'string', 'year(4)': 'int io.debezium.time.Year', uuid: 'string io.debezium.data.Uuid',
    float: 'float', 'float(7,3)': 'double', double: 'double', 'bit(1)': 'boolean', 'bit(5)': 'bytes io.debezium.data.Bits', 'decimal(20,4)': 'string', longblob: 'bytes', point: 'bytes',
    'datetime(6)': 'string io.debezium.time.IsoTimestamp', "enum('a','x,y')": 'string io.debezium.data.Enum', 'varchar(50)': 'string', json: 'string io.debezium.data.Json',
  }; // prettier-ignore
  for (const [columnType, expected] of Object.entries(cases)) {
    const [dataType = ''] = /^\w+/.exec(columnType) ?? [];
    const type = columnTypeOf({ dataType, columnType });
    const found = mariadbFieldType(type, plain(columnType));
    assert.equal([found.base, found.connectType, found.meaning].filter((part) => part !== undefined).join(' '), expected, columnType);
  }
  assert.deepEqual(mariadbDeclared(columnTypeOf({ dataType: 'int', columnType: 'int(10) unsigned' }), plain('int(10) unsigned')), {
    type: 'INT UNSIGNED',
    length: '10',
  });
  assert.equal(mariadb.fieldTypes.typeOf, mariadbFieldType);
});

test('the difference of two schemas is reported in words, of Avro and of JSON Schema', () => {
  const shapes = [
    rowOf([
      column('id', 'int8', { notNull: true }),
      column('old', 'text'),
      column('a', 'int4', { notNull: true }),
      column('tags', 'text', { isArray: true }),
    ]),
    rowOf([
      column('id', 'int8', { notNull: true }),
      column('a', 'int8'),
      column('tags', 'int4', { isArray: true }),
      column('new', 'uuid', { notNull: true }),
    ]),
  ].map(({ row }) => row.map(({ field }) => field));
  const [before = [], after = []] = shapes;
  assert.deepEqual(
    differenceOf({ schemaType: 'AVRO', schema: avroValueSchema('t', before) }, { schemaType: 'AVRO', schema: avroValueSchema('t', after) }),
    [
      'field "old" removed',
      'field "a" is long, nullable, was int, not null, without a constant default',
      'field "tags" is array of int, nullable, was array of string, nullable',
      'field "new" added (string (io.debezium.data.Uuid), not null, without a constant default)',
    ],
  );
  const json = differenceOf(
    { schemaType: 'JSON', schema: jsonValueSchema('t', before) },
    { schemaType: 'JSON', schema: jsonValueSchema('t', after) },
  );
  assert.deepEqual(
    [json[0], json.at(-1)],
    ['field "old" removed', 'field "new" added (string (io.debezium.data.Uuid), not null, without a constant default)'],
  );
  assert.deepEqual(
    differenceOf({ schemaType: 'AVRO', schema: avroKeySchema('t', before) }, { schemaType: 'AVRO', schema: avroKeySchema('t', before) }),
    [],
  );
  assert.deepEqual(differenceOf({ schemaType: 'AVRO', schema: '"string"' }, { schemaType: 'AVRO', schema: '"string"' }), []);
  assert.ok(parseLossless(avroValueSchema('t', after)) !== null);
});
