import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h2FieldType } from '#cdc-poller/h2/schema-fields.ts';
import { h2KeyMisfit } from '#cdc-poller/h2/key-types.ts';
import { h2Filled, h2Name, h2Text } from '#cdc-poller/h2/names.ts';
import { castOf, columnTypeOf, isKnown, readSql } from '#cdc-poller/h2/types.ts';
import { encodeH2Column } from '#cdc-poller/h2/value-encoders.ts';
import { h2Words } from '#cdc-poller/h2/words.ts';
import { parseConfig } from '#pipeline/index.ts';

/** The event's JSON of a text, as H2 gives it of a column of this type. */
function encode(dataType: string, text: string, digits: number | null = null): string {
  return encodeH2Column({ name: 'c', type: columnTypeOf({ dataType, declared: '', digits }) })(text);
}

function misfit(dataType: string, collation: 'exact' | 'loose' = 'exact'): string | null {
  return h2KeyMisfit({ type: columnTypeOf({ dataType, declared: '', digits: null }), collation })?.kind ?? null;
}

function yaml(legacyDb: string, table = ''): string {
  return `legacyDb: { dialect: h2, database: shop, roles: { poller: { user: p } }${legacyDb} }\nkafka: { brokers: 'k:9092' }\npoller: { name: p, tables: [{ table: PUBLIC.ORDER_TABLE${table} }] }\n`;
}

function parse(text: string): unknown {
  return parseConfig(text, 'pipeline.yaml', {});
}

test('H2 texts become the contract’s values, without a digit lost', () => {
  const cases: readonly (readonly [type: string, text: string, json: string, digits?: number])[] = [
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['tinyint', '-128', '-128'],
    ['numeric', '12345678901234.5000', '"12345678901234.5000"'],
    ['decfloat', '1E+2', '"100"'],
    ['decfloat', '-1.25E-3', '"-0.00125"'],
    ['decfloat', '1.25E+1', '"12.5"'],
    ['decfloat', '1E+99999', '"1E+99999"'],
    ['decfloat', 'NaN', '"NAN"'],
    ['decfloat', '-Infinity', '"NEGATIVE_INFINITY"'],
    ['real', '1.0E10', '1.0E10'],
    ['double precision', '1.0E-5', '1.0E-5'],
    ['double precision', '0.0020', '0.002'],
    ['double precision', '-Infinity', '"-Infinity"'],
    ['boolean', 't', 'true'],
    ['boolean', 'f', 'false'],
    ['binary varying', '00ff10', '"AP8Q"'],
    ['date', '2026-02-28', '"2026-02-28Z"'],
    ['date', '12345-01-01', '"+12345-01-01Z"'],
    ['date', '-0044-03-15', '"-0044-03-15Z"'],
    ['time', '23:59:59.12', '"23:59:59.12Z"'],
    ['time with time zone', '02:30:00.5+00', '"02:30:00.5Z"'],
    ['timestamp', '2026-11-23 00:00:00.12', '"2026-11-23T00:00:00.12Z"', 6],
    ['timestamp', '2026-11-23 00:00:00.123456789', '"2026-11-23T00:00:00.123456789Z"', 9],
    ['timestamp with time zone', '2026-11-22 13:00:00.1+00', '"2026-11-22T13:00:00.100000Z"', 6],
    ['timestamp with time zone', '2026-11-22 13:00:00+00', '"2026-11-22T13:00:00Z"', 0],
    ['interval', "INTERVAL '3' YEAR", '"P3Y0M0DT0H0M0S"'],
    ['interval', "INTERVAL '-3-2' YEAR TO MONTH", '"P-3Y-2M0DT0H0M0S"'],
    ['interval', "INTERVAL '1 02:03:04.5' DAY TO SECOND", '"P0Y0M1DT2H3M4.5S"'],
    ['interval', "INTERVAL '-90:01.25' MINUTE TO SECOND", '"P0Y0M0DT0H-90M-1.25S"'],
    ['character', 'ab   ', '"ab   "'],
    ['enum', "it's", '"it\'s"'],
    ['json', '{"a":1.10}', String.raw`"{\"a\":1.10}"`],
  ];
  for (const [type, text, json, digits] of cases) assert.equal(encode(type, text, digits ?? null), json, `${type} ${text}`);
});

test('a text that is none of its type is no value: it is refused, not guessed', () => {
  assert.throws(() => encode('bigint', '1.5'), TypeError);
  assert.throws(() => encode('timestamp', '2026-11-23 00:00:00.1234567', 6), TypeError);
  assert.throws(() => encode('timestamp with time zone', '2026-11-23 00:00:00+02', 6), TypeError);
  assert.throws(() => encode('interval', "INTERVAL '3' CENTURY"), TypeError);
});

test('types that are not known are named, and times finer than µs are no time of a row', () => {
  for (const type of ['array', 'row', 'geometry', 'java_object', 'number 705']) assert.equal(isKnown(type), false, type);
  const fine = columnTypeOf({ dataType: 'timestamp with time zone', declared: '', digits: 9 });
  assert.equal(fine.name, 'timestamp(9) with time zone');
  assert.ok(![...h2Words.zonedTypes, ...h2Words.localTypes].includes(fine.name));
  assert.deepEqual(h2FieldType(fine, undefined), { base: 'string', meaning: 'io.debezium.time.ZonedTimestamp' });
  assert.equal(readSql(fine, '"c"'), `"c" AT TIME ZONE 'UTC'`);
});

test('keys: equal texts for equal values, or none', () => {
  assert.equal(misfit('character varying'), null);
  assert.equal(misfit('character varying', 'loose'), 'variants');
  assert.equal(misfit('varchar_ignorecase'), 'variants');
  assert.equal(misfit('uuid'), null);
  for (const type of ['enum', 'json', 'character large object', 'time with time zone']) assert.equal(misfit(type), 'unknown', type);
});

test('names and texts mean themselves in H2’s SQL, and are on one line', () => {
  assert.equal(h2Name('ORDER "x"'), '"ORDER ""x"""');
  assert.equal(h2Name('a\nb\\'), String.raw`U&"a\000ab\\"`);
  assert.equal(h2Text(String.raw`it's \ so`), String.raw`'it''s \ so'`);
  assert.equal(h2Text('\u0000\\'), String.raw`U&'\0000\\'`);
  assert.equal(h2Filled('(?, ?)', ["$&'", '?']), "('$&''', '?')");
  assert.equal(h2Filled(castOf({ dataType: 'binary varying', declared: '', digits: null }), ['00ff']), "X'00ff'");
});

test('the grant and the index name the table as it is written, and the index says who would wait for it', () => {
  const id = { schema: 'PUBLIC', table: 'ORDER_TABLE' };
  assert.equal(h2Words.grant(id, ['ID'], 'POLLER'), 'GRANT SELECT ON "PUBLIC"."ORDER_TABLE" TO "POLLER";');
  const [comment, statement] = h2Words.createIndex(id, ['UPDATED_AT', 'ID'], null);
  assert.match(comment ?? '', /^-- .*while the application is stopped/);
  assert.equal(statement, 'CREATE INDEX ON "PUBLIC"."ORDER_TABLE" ("UPDATED_AT", "ID");');
});

test('what H2 cannot do is refused in the configuration, by the setting’s name', () => {
  assert.doesNotThrow(() => parse(yaml('')));
  assert.throws(() => parse(yaml(', tls: {}')), /legacyDb\.tls.*no TLS/s);
  assert.throws(() => parse(yaml('', ', sweep: {}')), /sweep.*Postgres only/s);
  assert.throws(() => parse(yaml('', ', onRewrite: rescan')), /onRewrite.*H2 does not report/s);
});
