import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonValue } from '#change-events/index.ts';
import { arrayLiteral, plainArrayLiteral } from '#read-model/values/array-literal.ts';
import { bitText } from '#read-model/values/binary.ts';
import { toParameter } from '#read-model/values/parameter.ts';
import { dateText } from '#read-model/values/temporal.ts';
import { unavailableTest } from '#read-model/values/unavailable.ts';

const scalar = (name: string, modifier = -1) => toParameter({ name, element: null, modifier });

test('numbers keep every digit and sign', () => {
  assert.equal(scalar('int8')(9223372036854775807n), '9223372036854775807');
  assert.equal(scalar('float8')(-0), '-0');
  assert.equal(scalar('float8')('Infinity'), 'Infinity');
  assert.deepEqual([true, false, 1, 0].map(scalar('bool')), ['t', 'f', 't', 'f']);
  assert.equal(scalar('numeric')('NAN'), 'NaN');
  assert.equal(scalar('numeric')('NEGATIVE_INFINITY'), '-Infinity');
});

test('a value that is not of the contract is refused with what was expected', () => {
  const refused: readonly (readonly [string, JsonValue, RegExp])[] = [
    ['int4', 1.5, /expected an integer, got 1.5/],
    ['numeric', 1.1, /expected a decimal as text, got 1.1/],
    ['bool', 'true', /expected true or false, got "true"/],
    ['bool', 2, /expected true or false, got 2/],
    ['text', { a: 1 }, /expected text, got \{"a":1\}/],
    ['bytea', 5, /expected text, got 5/],
    ['timestamptz', 1_700_000_000, /expected text/],
  ];
  for (const [type, value, message] of refused) assert.throws(() => scalar(type)(value), message, type);
  assert.throws(() => toParameter({ name: '_int4', element: 'int4', modifier: -1 })('{1}'), /expected an array/);
  assert.throws(() => toParameter({ name: '_int4', element: 'int4', modifier: -1 })([[1], 2]), /as its neighbours are/);
});

test('dates outside of four digits, before Christ and Debezium stand-ins for infinity', () => {
  assert.equal(dateText('2026-02-28Z', 'date'), '2026-02-28');
  assert.equal(dateText('0000-01-01T00:00:00Z', 'timestamptz'), '0000-01-01T00:00:00Z');
  assert.equal(dateText('-0043-03-15T00:00:00Z', 'timestamp'), '0044-03-15T00:00:00 BC');
  assert.equal(dateText('+300000-01-01Z', 'date'), '300000-01-01');
  assert.equal(dateText('+300000-01-01T00:00:00Z', 'timestamp'), 'infinity');
  assert.equal(dateText('-infinity', 'date'), '-infinity');
});

test('bits come back from little-endian bytes', () => {
  assert.equal(bitText('FQ==', 5), '10101');
  assert.equal(bitText('AQg=', 12), '100000000001');
  assert.equal(bitText('AA==', 8), '00000000');
});

function is(name: string, element: string | null, value: JsonValue): boolean {
  return unavailableTest({ name, element, modifier: -1 })(value);
}

test('an unavailable value is known in each form, and only where the type can be moved to TOAST', () => {
  const placeholder = '__debezium_unavailable_value';
  assert.ok(is('text', null, placeholder));
  assert.ok(is('numeric', null, placeholder));
  assert.ok(is('bytea', null, Buffer.from(placeholder).toString('base64')));
  assert.ok(is('_int4', 'int4', [...Buffer.from(placeholder)]));
  assert.ok(is('_text', 'text', [placeholder]));
  assert.ok(!is('text', null, 'a value'));
  assert.ok(!is('_text', 'text', ['a', placeholder]));
  assert.ok(!is('int8', null, 1));
});

/** Postgres's array_in, as far as one dimension of text goes. */
function readLiteral(literal: string): (string | null)[] {
  const body = literal.slice(1, -1);
  if (body === '') return [];
  const values: (string | null)[] = [];
  for (const [, quoted, plain] of body.matchAll(/(?:"((?:[^"\\]|\\[\s\S])*)"|([^,]*))(?:,|$)/g)) {
    if (quoted !== undefined) values.push(quoted.replaceAll(/\\([\s\S])/g, '$1'));
    else if (plain !== undefined && (plain !== '' || values.length === 0)) values.push(plain.toUpperCase() === 'NULL' ? null : plain);
  }
  return values;
}

test('an array literal gives back every text and null', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('null', '', '{', '"', '\\', ' a')))),
      (values) => {
        assert.deepEqual(readLiteral(arrayLiteral(values)), values);
      },
    ),
  );
  assert.equal(plainArrayLiteral(['1', null]), '{1,NULL}');
});
