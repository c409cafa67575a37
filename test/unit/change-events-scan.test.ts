import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseLossless, stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { createEventTails } from '#change-events/scan/event-tails.ts';
import { createRowLayout } from '#change-events/scan/row-layout.ts';
import { endOfDigits, endOfLiteral, endOfPlainText, toLiteral, viewOf } from '#change-events/scan/words.ts';
import { toRow } from '../support/row-values.ts';

/** The bytes somewhere in a larger memory, as those of a fetched message are: what is around them must not count. */
function within(bytes: Buffer, before: string, after: string): Buffer {
  const all = Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]);
  return all.subarray(before.length, before.length + bytes.length);
}

const around = fc.constantFrom('', '1', '12', '"}1', 'xyz9');

test('words are compared and skipped as single bytes would be, wherever they begin and end', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .array(fc.constantFrom('0', '1', '8', '9', ':', '/', '@', 'P', '`', 'p', '\u0000'), { maxLength: 40 })
      .map((texts) => Buffer.from(texts.join(''), 'latin1')),
    fc
      .array(fc.constantFrom('a', '!', '#', '[', ']', '"', '\\', ' ', '\u001f', '\u007f', '\u0080'), { maxLength: 40 })
      .map((texts) => Buffer.from(texts.join(''), 'latin1')),
  );
  fc.assert(
    fc.property(bytes, around, around, fc.nat(3), (raw, before, after, skipped) => {
      const some = within(Buffer.from(raw), before, after);
      const view = viewOf(some);
      const [from, end] = [some.byteOffset + Math.min(skipped, some.length), some.byteOffset + some.length];
      const rest = [...some.subarray(from - some.byteOffset)];
      const place = (index: number, without: number): number => (index < 0 ? without : from + index);

      assert.equal(
        endOfDigits(view, from, end),
        place(
          rest.findIndex((byte) => byte < 48 || byte > 57),
          end,
        ),
      );
      assert.equal(
        endOfPlainText(view, from, end),
        place(
          rest.findIndex((byte) => byte === 34 || byte === 92 || byte < 32 || byte > 127),
          -1,
        ),
      );
      assert.equal(endOfLiteral(view, from, end, toLiteral(Uint8Array.from(rest))), end);
      assert.equal(endOfLiteral(view, from, end, toLiteral(Uint8Array.from([...rest, 49]))), -1);
      for (const [index, byte] of rest.entries()) {
        const other = toLiteral(Uint8Array.from(rest.with(index, byte ^ 1)));
        assert.equal(endOfLiteral(view, from, end, other), -1);
      }
    }),
    { numRuns: 1000 },
  );
});

const value: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom<JsonValue>(
    null,
    true,
    false,
    0,
    -0,
    7,
    -7,
    1.5,
    1e300,
    999_999_999_999_999,
    1_000_000_000_000_000,
    'null',
    '',
    'a"b',
    'ü',
    '\u007f',
  ),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map((whole) => (Number.isSafeInteger(Number(whole)) ? Number(whole) : whole)),
  fc.array(fc.oneof(fc.string(), fc.constantFrom<JsonValue>(null, 1, ['}'], { a: '"' })), { maxLength: 3 }),
);
const name = fc.oneof(fc.constantFrom('id', 'note', 'ü', 'a"b', '__proto__', '1'), fc.string());
const columns = fc.uniqueArray(name, { minLength: 1, maxLength: 6 });

function rowText(names: readonly string[], values: readonly JsonValue[]): string {
  return `{${names.map((one, index) => `${JSON.stringify(one)}:${stringifyLossless(values[index] ?? null)}`).join(',')}}`;
}

test('a row of known columns is read where it is, with the values of the lossless parser', () => {
  fc.assert(
    fc.property(columns, fc.array(value, { minLength: 6, maxLength: 6 }), around, around, (names, values, before, after) => {
      const layout = createRowLayout();
      layout.learn(names);
      const bytes = Buffer.from(rowText(names, values));
      // An event goes on behind its row.
      const read = layout.read(within(Buffer.concat([bytes, Buffer.from(',"op":"c"}')]), before, after), 0);
      assert.ok(read !== null);
      assert.equal(read.end, bytes.length);
      assert.equal(read.row.names, names);
      assert.deepEqual(toRow(read.row), parseLossless(bytes.toString()));
    }),
    { numRuns: 2000 },
  );
});

test('what is no row of the known columns is not read: other names, another order, one more, one less, one twice, none known', () => {
  const layout = createRowLayout();
  assert.equal(layout.read(Buffer.from('{"id":1,"name":"x"},"op":"c"}'), 0), null);
  layout.learn(['id', 'name']);
  assert.deepEqual(layout.read(Buffer.from('{"id":1,"name":"x"},"op":"c"}'), 0)?.row.values, [1, 'x']);
  const others = [
    '{"id":1}',
    '{"name":"x","id":1}',
    '{"id":1,"name":"x","more":1}',
    '{"id":1,"nam":"x"}',
    '{"id":1,"id":1,"name":"x"}',
    '{}',
    'null',
    '[]',
  ];
  for (const other of others) assert.equal(layout.read(Buffer.from(`${other},"op":"c"}`), 0), null, other);
});

function parsed(row: string): unknown {
  try {
    return parseLossless(row);
  } catch {
    return null;
  }
}

test('a damaged row is refused, or read as the lossless parser reads it', () => {
  const text = '{"id":12,"note":"some text","tags":["x",null],"big":-1234567890123456789,"part":1.5,"no":null,"yes":true}';
  const layout = createRowLayout();
  layout.learn(Object.keys(JSON.parse(text)));
  for (let at = 0; at < text.length; at += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const bytes = Buffer.from(`${text},"op":"c"}`);
      bytes[at] = byte;
      const read = layout.read(bytes, 0);
      if (read !== null) assert.deepEqual(toRow(read.row), parsed(bytes.toString('utf8', 0, read.end)), `${byte} at ${at}`);
    }
    assert.equal(layout.read(Buffer.from(text.slice(0, at)), 0), null);
  }
});

const tail = ',"source":{"ts_ms":1763900000000,"table":"t2","lsn":24000080},"op":"u","ts_ms":5}';
const lsnAt = tail.indexOf('24000080');

test('a tail that is the same but for its digits says the same, with its own lsn to the last digit', () => {
  const tails = createEventTails();
  const match = (text: string, before = '{}'): unknown => tails.match(Buffer.from(before + text), before.length);
  assert.equal(match(tail), null);
  tails.learn(Buffer.from(`{"id":1}${tail}`), 8, 'u', 8 + lsnAt);
  assert.deepEqual(match(tail), { op: 'u', lsn: 24_000_080 });
  for (const lsn of ['0', '7', '9007199254740991', '9007199254740993', '9223372036854775807']) {
    const expected = { op: 'u', lsn: parseLossless(lsn) };
    assert.deepEqual(match(tail.replace('24000080', lsn).replace('1763900000000', '1')), expected);
  }
  const others = [
    tail.replace('24000080', '024000080'),
    tail.replace('24000080', ''),
    tail.replace('24000080', 'null'),
    tail.replace('24000080', '-24000080'),
    tail.replace('24000080', '2.5'),
    tail.replace('"op":"u"', '"op":"c"'),
    tail.replace('t2', 't'),
    tail.replace('t2', 'u2'),
    `${tail}}`,
    `${tail} `,
    tail.slice(0, -1),
    tail.slice(0, -2),
  ];
  for (const other of others) assert.equal(match(other), null, other);
  // What follows in the memory is another message's.
  assert.equal(tails.match(within(Buffer.from(tail.slice(0, -2)), '', '5}'), 0), null);
});

function tailWith(word: string, op = 'c'): Buffer {
  return Buffer.from(`,"source":{"table":"${word}","lsn":null},"op":"${op}","ts_ms":5}`);
}

test('tails of several operations are known at a time; one without an lsn has none', () => {
  const tails = createEventTails();
  for (const op of ['c', 'u', 'd', 'r'] as const) tails.learn(tailWith('t', op), 0, op, -1);
  for (const op of ['c', 'u', 'd', 'r', 'c']) assert.deepEqual(tails.match(tailWith('t', op), 0), { op, lsn: null });
});

test('of a topic with ever new tails the last eight are known', () => {
  const tails = createEventTails();
  const words = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
  for (const word of words) tails.learn(tailWith(word), 0, 'c', -1);
  assert.deepEqual(
    words.filter((word) => tails.match(tailWith(word), 0) === null),
    ['a'],
  );
});

test('a topic whose tails do not repeat is not compared with them for ever', () => {
  const tails = createEventTails();
  tails.learn(tailWith('x'), 0, 'c', -1);
  for (let miss = 0; miss < 999; miss += 1) assert.equal(tails.match(tailWith('y'), 0), null);
  assert.notEqual(tails.match(tailWith('x'), 0), null);
  for (let miss = 0; miss < 1000; miss += 1) assert.equal(tails.match(tailWith('y'), 0), null);
  assert.equal(tails.match(tailWith('x'), 0), null);
});
