import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeChangeEvent, parseLossless, stringifyLossless } from '#change-events/index.ts';
import { parseArray } from '#cdc-poller/postgres/values/array-text.ts';
import { createEventEncoder } from '#cdc-poller/encoding/event-encoder.ts';
import { javaNumber } from '#cdc-poller/encoding/java-number.ts';
import { jsonString } from '#cdc-poller/encoding/json-string.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { encoderFor } from '#cdc-poller/postgres/values/value-encoders.ts';

const place = { topic: 't', partition: 0, offset: '0' };

const postgresTexts = { encodeColumn: postgres.encodeColumn, keyText: postgres.keyText };

test('floats are written as Java writes them', () => {
  const cases: Readonly<Record<string, string>> = {
    '1.1': '1.1',
    '0': '0.0',
    '-0': '-0.0',
    '100': '100.0',
    '1e+10': '1.0E10',
    '1.5e-05': '1.5E-5',
    '0.001': '0.001',
    '0.00099': '9.9E-4',
    '9999999': '9999999.0',
    '10000000': '1.0E7',
    '1.7976931348623157e+308': '1.7976931348623157E308',
  };
  for (const [text, java] of Object.entries(cases)) assert.equal(javaNumber(text), java);
});

test('any string survives as JSON, escaped as Jackson escapes', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(JSON.parse(jsonString(text)), text)));
  assert.equal(jsonString('\u001f😀/é'), String.raw`"\u001F\uD83D\uDE00/é"`);
});

/** When it breaks, the wire format has changed: every consumer outside this repository sees it. Raise source.version and say so in docs/change-event.md. */
test('the wire format is pinned', () => {
  const encoder = createEventEncoder({
    database: 'legacy',
    table: { schema: 'public', table: 'orders' },
    prefix: 'query',
    columns: [
      { name: 'id', type: { name: 'int8', isArray: false, modifier: -1 } },
      { name: 'total', type: { name: 'numeric', isArray: false, modifier: -1 } },
      { name: 'note', type: { name: 'text', isArray: false, modifier: -1 } },
      { name: 'updated_at', type: { name: 'timestamptz', isArray: false, modifier: -1 } },
    ],
    published: [0, 1, 2, 3].map((column) => ({ column, mask: null })),
    key: [0],
    timestamps: [3],
    clock: null,
    ...postgresTexts,
  });
  const row = ['9223372036854775807', '12.50', null, '2026-11-23 05:00:00.123456+00'];
  assert.equal(encoder.key(row), '{"id":9223372036854775807}');
  const value = encoder.value(row, { op: 'u', txId: '777', publishedAt: 1_795_410_000_000 });
  assert.equal(
    value,
    '{"before":null,"after":{"id":9223372036854775807,"total":"12.50","note":null,"updated_at":"2026-11-23T05:00:00.123456Z"},' +
      '"source":{"version":"1","connector":"cdc-poller","name":"query","ts_ms":1795410000123,"snapshot":"false","db":"legacy","schema":"public","table":"orders","txId":777,"lsn":null},' +
      '"transaction":null,"op":"u","ts_ms":1795410000000}',
  );
  const event = decodeChangeEvent(Buffer.from(value), place);
  assert.equal(event?.after?.['id'], 9_223_372_036_854_775_807n);
});

test('integers beyond 2^53 keep every digit through the decoder, wherever they are', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.string(), (integer, text) => {
      const json = `{"a":${integer},"s":${JSON.stringify(text)},"l":[${integer},1.5],"source":{"ts_ns":1795410000123456789}}`;
      const parsed = stringifyLossless(parseLossless(json));
      assert.ok(parsed.startsWith(`{"a":${integer},"s":${JSON.stringify(text)},"l":[${integer},1.5]`));
    }),
  );
});

test('what is not a change event is refused with topic, partition and offset', () => {
  for (const bytes of ['', '{', '[]', '{"op":"x"}', '{"before":null,"after":null,"op":"c","source":{}}']) {
    assert.throws(() => decodeChangeEvent(Buffer.from(bytes), place), /EVENT_UNDECODABLE|topic t, partition 0, offset 0/);
  }
  assert.equal(decodeChangeEvent(null, place), null);
});

function encode(name: string, text: string, isArray = false): string {
  return encoderFor({ name, isArray, modifier: -1 })(text);
}

test('types without an encoder of their own are strings; arrays keep nulls and nesting', () => {
  assert.equal(encode('inet', '::1'), '"::1"');
  assert.equal(encode('int4', '{{1,NULL},{3,4}}', true), '[[1,null],[3,4]]');
  assert.equal(encode('text', '{"a,b",NULL,"NULL"}', true), '["a,b",null,"NULL"]');
  assert.equal(encode('timestamptz', '0044-03-15 12:00:00+00 BC'), '"-0043-03-15T12:00:00.000000Z"');
});

const quote = (value: string | null): string => (value === null ? 'NULL' : `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`);

test('arrays are read by their delimiters, whatever their elements hold', () => {
  const element = fc.option(fc.string({ unit: fc.constantFrom(...'ab,;: "{}\\\nNULé'.split('')) }));
  fc.assert(
    fc.property(
      fc.array(fc.array(element, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      fc.constantFrom(',', ';', ':'),
      (rows, delimiter) => {
        const text = `{${rows.map((row) => `{${row.map(quote).join(delimiter)}}`).join(delimiter)}}`;
        assert.deepEqual(parseArray(text, [delimiter]), rows);
        assert.deepEqual(
          parseArray(`{${rows.map((row) => quote(`{${row.map(quote).join(delimiter)}}`)).join(',')}}`, [',', delimiter]),
          rows,
        );
      },
    ),
  );
  assert.deepEqual(parseArray('[0:1]={1,NULL}', [',']), ['1', null]);
  assert.deepEqual(parseArray('{"1 2","",3}', [',', ' ']), [['1', '2'], [], ['3']]);
  for (const junk of ['', '{', '1', '{1', '{1,}', '{1}x', '{"a}', '{a b}']) assert.throws(() => parseArray(junk, [',']), TypeError, junk);
});

test('a value that is none of its type is reported by table, column and type, and never shown', () => {
  const encoder = createEventEncoder({
    database: 'd', table: { schema: 'public', table: 't' }, prefix: 'p', columns: [{ name: 'secret', type: { name: 'float8', isArray: false, modifier: -1 } }],
    published: [{ column: 0, mask: null }], key: [], timestamps: [], clock: null, ...postgresTexts,
  }); // prettier-ignore
  assert.throws(() => encoder.after(['12x34']), {
    code: 'VALUE_UNREADABLE',
    message: 'column "secret" of table public.t holds a value that is none of type float8 as the poller knows it',
  });
});
