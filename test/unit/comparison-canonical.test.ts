import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless, stringifyLossless, unavailableValue, type JsonValue } from '#change-events/index.ts';
import { eventImage, eventKey, ledgerDigest, ledgerKey } from '#comparison/canonical/image.ts';
import { valueKind, type TableShape } from '#comparison/canonical/shape.ts';
import { canonicalFromEvent, canonicalFromLedger } from '#comparison/canonical/value.ts';

/** The event's JSON and the ledger's text of the same value, as Debezium 3.6.1 and Postgres 18 write them. */
const equalValues: readonly (readonly [type: string, event: string, ledger: string])[] = [
  ['int8', '9223372036854775807', '9223372036854775807'],
  ['int8', '-1', '-1'],
  ['numeric', '"1.50"', '1.50'],
  ['numeric', '"12345678901234567890.123456789"', '12345678901234567890.123456789'],
  ['numeric', '"NAN"', 'NaN'],
  ['numeric', '"POSITIVE_INFINITY"', 'Infinity'],
  ['float4', '1.1', '1.1'],
  ['float8', '"-Infinity"', '-Infinity'],
  ['float8', '1e+21', '1e+21'],
  ['money', '"1234.50"', '$1,234.50'],
  ['bool', 'true', 'true'],
  ['timestamptz', '"2026-11-22T15:00:00.123456Z"', '2026-11-22T15:00:00.123456+00:00'],
  ['timestamptz', '"2026-11-22T15:00:00.1Z"', '2026-11-22T20:30:00.1+05:30'],
  ['timestamptz', '"2026-11-22T15:00:00Z"', '2026-11-22T15:00:00+00:00'],
  ['timestamptz', '"infinity"', 'infinity'],
  ['timestamp', '"2026-11-23T00:00:00.123456Z"', '2026-11-23T00:00:00.123456'],
  ['timestamp', '"-290308-12-21T19:59:27.6Z"', '-infinity'],
  ['date', '"2026-02-28Z"', '2026-02-28'],
  ['date', '"-0043-03-15Z"', '0044-03-15 BC'],
  ['time', '"23:59:59.999999Z"', '23:59:59.999999'],
  ['timetz', '"21:30:00.5Z"', '03:00:00.5+05:30'],
  ['interval', '"P1Y2M3DT4H5M6.789S"', '1 year 2 mons 3 days 04:05:06.789'],
  ['interval', '"P0Y0M-3DT-4H-5M-6.5S"', '-3 days -04:05:06.5'],
  ['interval', '"P0Y0M0DT0H0M0S"', '00:00:00'],
  ['json', '"{ \\"b\\": 1.0, \\"a\\": [1e3] }"', '{"a": [1000], "b": 1.0}'],
  ['jsonb', '"{\\"n\\": 12345678901234567890.50}"', '{"n": 12345678901234567890.50}'],
  ['bytea', '"AP8="', '\\x00ff'],
  ['bit', '"FQ=="', '10101'],
  ['bit', 'true', '1'],
  ['text', '"a\\u0001ü"', 'a\u0001ü'],
  ['uuid', '"6f1c"', '6f1c'],
  ['numeric[]', '["1.50",null,"NAN"]', '[1.50, null, "NaN"]'],
  ['int8[]', '[9223372036854775807,null]', '[9223372036854775807, null]'],
  ['text[]', '["1","null",null]', '["1", "null", null]'],
  ['timestamptz[]', '["2026-11-22T15:00:00.1Z"]', '["2026-11-22T15:00:00.1+00:00"]'],
];

for (const [type, event, ledger] of equalValues) {
  test(`${type} ${event} in an event is ${ledger} in the ledger`, () => {
    const column = columnOf(type);
    assert.equal(canonicalFromEvent(column, parseLossless(event)), canonicalFromLedger(column, ledger));
  });
}

const differentValues: readonly (readonly [type: string, event: JsonValue, ledger: string])[] = [
  ['int8', 9223372036854775806n, '9223372036854775807'],
  ['numeric', '1.5', '1.50'],
  ['numeric', '12345678901234567890.123456788', '12345678901234567890.123456789'],
  ['timestamptz', '2026-11-22T15:00:00.123457Z', '2026-11-22T15:00:00.123456+00:00'],
  ['timestamp', '2026-11-22T15:00:01Z', '2026-11-22T15:00:00'],
  ['date', '2026-03-01Z', '2026-02-28'],
  ['interval', 'P31D', '1 mon'],
  ['interval', 'PT24H', '1 day'],
  ['time', '00:00:00Z', '24:00:00'],
  ['jsonb', '{"a":"1"}', '{"a": 1}'],
  ['jsonb', '{"a":1}', '{"a": 1.0}'],
  ['text', '', 'null'],
  ['text[]', [null], '["null"]'],
  ['text[]', ['a,b'], '["a", "b"]'],
];

for (const [type, event, ledger] of differentValues) {
  test(`${type} ${stringifyLossless(event)} in an event is not ${ledger} in the ledger`, () => {
    const column = columnOf(type);
    assert.notEqual(canonicalFromEvent(column, event), canonicalFromLedger(column, ledger));
  });
}

test('null is not the text null', () => {
  const column = columnOf('text');
  assert.notEqual(canonicalFromEvent(column, null), canonicalFromLedger(column, 'null'));
  assert.equal(canonicalFromEvent(column, null), canonicalFromLedger(column, null));
});

const shape: TableShape = {
  id: 'public.t',
  schema: 'public',
  table: 't',
  columns: [columnOf('int8', 'id'), columnOf('text', 'body'), columnOf('numeric', 'price')],
  key: ['id'],
};

test('an image does not depend on the order of an event’s columns', () => {
  assert.deepEqual(eventImage(shape, { id: 1, body: 'x', price: '1.00' }), eventImage(shape, { price: '1.00', body: 'x', id: 1 }));
});

test('an event’s image is the ledger’s of the same row, and differs by any column', () => {
  const digest = ledgerDigest(shape, { id: '1', body: 'x', price: '1.00' });
  assert.equal(eventImage(shape, { id: 1, body: 'x', price: '1.00' }).digest, digest);
  assert.notEqual(eventImage(shape, { id: 1, body: 'y', price: '1.00' }).digest, digest);
  assert.notEqual(eventImage(shape, { id: 1, body: null, price: '1.00' }).digest, digest);
});

test('an event without an untouched TOAST value has the image of its row without that column', () => {
  const { digest, missing } = eventImage(shape, { id: 1, body: unavailableValue, price: '1.00' });
  assert.deepEqual(missing, ['body']);
  const row = { id: '1', body: 'long', price: '1.00' };
  assert.equal(digest, ledgerDigest(shape, row, missing));
  assert.notEqual(digest, ledgerDigest(shape, row));
});

test('a key of several columns cannot be confused with another', () => {
  const composite: TableShape = { ...shape, key: ['id', 'body'] };
  assert.equal(eventKey(composite, { id: 1, body: '2,3' }), ledgerKey(composite, { id: '1', body: '2,3' }));
  assert.notEqual(eventKey(composite, { id: 1, body: '2' }), eventKey(composite, { id: 12, body: '' }));
  assert.equal(eventKey(shape, { id: 9007199254740993n }), '9007199254740993');
});

test('columns, types and texts that are called as every object has members are no more than their names', () => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    const odd: TableShape = { ...shape, columns: [columnOf('int8', 'id'), columnOf('text', name)] };
    assert.deepEqual(eventImage(odd, { id: 1 }).missing, [name]);
    const without = Object.fromEntries([
      ['id', '1'],
      [name, null],
    ]);
    assert.equal(ledgerDigest(odd, { id: '1' }), ledgerDigest(odd, without));
    const keyed: TableShape = { ...odd, key: [name] };
    assert.deepEqual([eventKey(keyed, { id: 1 }), ledgerKey(keyed, { id: '1' })], ['null', 'null']);
    assert.deepEqual(valueKind(name), valueKind('text'));
    for (const type of ['numeric', 'float8', 'timestamptz', 'date']) {
      const canonical = (text: string): unknown => {
        try {
          return canonicalFromEvent(columnOf(type), text)?.replaceAll(text, 'junk');
        } catch (error) {
          return String(error).replaceAll(text, 'junk');
        }
      };
      assert.deepEqual(canonical(name), canonical('nonsense'), `${type} ${name}`);
    }
  }
});

function columnOf(type: string, name = 'c'): TableShape['columns'][number] {
  const array = type.endsWith('[]');
  return { name, kind: valueKind(array ? type.slice(0, -2) : type), array };
}
