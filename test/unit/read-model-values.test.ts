import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonValue } from '#change-events/index.ts';
import { arrayLiteral, plainArrayLiteral } from '#read-model/decode/values/array-literal.ts';
import { bitText } from '#read-model/decode/values/binary.ts';
import { JunkValueError, toParameter } from '#read-model/decode/values/parameter.ts';
import { dateText } from '#read-model/decode/values/temporal.ts';
import { unavailableTest } from '#read-model/decode/values/unavailable.ts';

const scalar = (name: string, modifier = -1) => toParameter({ name, element: null, modifier });

test('numbers keep every digit and sign', () => {
  assert.equal(scalar('int8')(9223372036854775807n), '9223372036854775807');
  assert.equal(scalar('float8')(-0), '-0');
  assert.equal(scalar('float8')('Infinity'), 'Infinity');
  assert.deepEqual([true, false, 1, 0].map(scalar('bool')), ['t', 'f', 't', 'f']);
  assert.equal(scalar('numeric')('NAN'), 'NaN');
  assert.equal(scalar('numeric')('NEGATIVE_INFINITY'), '-Infinity');
  // As every object has members: no word for a number.
  for (const word of ['constructor', '__proto__']) assert.equal(typeof scalar('numeric')(word), 'string');
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
  assert.equal(dateText('0000-01-01T00:00:00Z', 'timestamptz'), '0001-01-01T00:00:00Z BC');
  assert.equal(dateText('0000-12-31Z', 'date'), '0001-12-31 BC');
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

test('what Debezium writes in place of further dimensions is junk among elements, and a text elsewhere', () => {
  const texts = toParameter({ name: '_text', element: 'text', modifier: -1 });
  for (const junk of ['[Ljava.lang.String;@1b5491c3', '[[Ljava.lang.Object;@1', '[I@7f', '[Ljava.util.UUID;@3fe4f103']) {
    assert.throws(() => texts(['fine', junk]), JunkValueError, junk);
    assert.equal(scalar('text')(junk), junk);
  }
  assert.equal(texts(['[1]', '[I@home]', '[a@b']), '{[1],[I@home],[a@b}');
});

test('a text comes as it is or as the base64 of its bytes, and is not taken for the other', () => {
  const forms: Readonly<Record<string, fc.Arbitrary<string>>> = {
    xid8: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    pg_lsn: fc.tuple(fc.nat(2 ** 31), fc.nat(2 ** 31)).map(([a, b]) => `${a.toString(16).toUpperCase()}/${b.toString(16).toUpperCase()}`),
    tid: fc.tuple(fc.nat(99), fc.nat(99)).map(([a, b]) => `(${a},${b})`),
    jsonpath: fc.constantFrom('$', 'true', 'null', '1234', '$."größe"', '"aGVs"'),
    regclass: fc.string({ unit: fc.constantFrom(...'abcdefbids_9'.split('')), minLength: 4, maxLength: 12 }),
  };
  for (const [type, form] of Object.entries(forms)) {
    const convert = scalar(type);
    fc.assert(
      fc.property(form, (text) => {
        assert.equal(convert(text), text);
        const bytes = Buffer.from(text).toString('base64');
        // Three letters at a time, without one in upper case: a name that is as likely a name.
        if (!/^[a-z\d_]+$/.test(bytes)) assert.equal(convert(bytes), text);
      }),
      { numRuns: 2000 },
    );
  }
  assert.equal(scalar('cid')('3557223577'), '3557223577');
  assert.equal(scalar('regclass')('bids'), 'bids');
});

test('arrays of vectors: a null among elements means a further dimension, since no vector holds one', () => {
  const vectors = toParameter({ name: '_int2vector', element: 'int2', modifier: -1, delimiters: [',', ' '] });
  const literals: readonly (readonly [JsonValue, string])[] = [
    [[[1, 2], [3]], '{"1 2",3}'],
    [[null, [1, 2]], '{NULL,"1 2"}'],
    [[[]], '{""}'],
    [[[null], [[1, 2]]], '{{NULL},{"1 2"}}'],
    [[[null], [null]], '{{NULL},{NULL}}'],
    [[[null, []]], '{{NULL,""}}'],
  ];
  for (const [value, literal] of literals) assert.equal(vectors(value), literal);
});
