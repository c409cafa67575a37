import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createScanMemory } from '#change-events/scan/scan-event.ts';
import { decodeChangeEvent, decodeRowChange, parseLossless, stringifyLossless, type JsonValue, type Row } from '#change-events/index.ts';
import { toRow } from '../support/row-values.ts';

const place = { topic: 't', partition: 0, offset: '7' };

/** Column values as the contract has them, among them everything that looks like JSON's own syntax or has too many digits. */
const value: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary' }) },
  fc.constantFrom('"', '\\', '\\"', '{"after":{', '],', '"lsn":1', '12345678901234567890', 'ü😀', ''),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((integer) => narrow(integer)),
  fc.constantFrom<JsonValue>(null, true, false, 0, 1.5, 1e300, -7, 9_007_199_254_740_991, 9_007_199_254_740_993n),
  fc.array(fc.oneof(fc.string(), fc.constantFrom<JsonValue>(null, 1, ['a', [']']])), { maxLength: 3 }),
);

function narrow(integer: bigint): number | bigint {
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}

const row = fc.option(
  fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('id', 'after', 'lsn', 'ts_ns', 'ts_us', 'op')), value, { noNullPrototype: true }),
);

const source = fc.record(
  {
    version: fc.constant('3.6.1.Final'),
    connector: fc.constant('postgresql'),
    name: fc.string(),
    sequence: fc.constant('["24023128",null]'),
    db: fc.string(),
    schema: fc.string(),
    table: fc.string(),
    ts_ns: fc.constant(1_763_900_000_000_123_456n),
    lsn: fc.oneof(fc.nat(), fc.constantFrom<JsonValue>(null, 9_223_372_036_854_775_807n)),
  },
  { requiredKeys: ['connector', 'name', 'db', 'schema', 'table'], noNullPrototype: true },
);

const envelope = fc.record(
  {
    before: row,
    after: row,
    source,
    op: fc.constantFrom('c', 'u', 'd', 'r', 't'),
    ts_ms: fc.nat(),
    transaction: fc.constantFrom<JsonValue>(null, { id: '1:2', total_order: 1, data_collection_order: 1 }),
  },
  { requiredKeys: ['source', 'op'], noNullPrototype: true },
);

/** What the full decoder makes of the bytes, cut to what the fast one gives. */
function expected(bytes: Buffer): unknown {
  const event = decodeChangeEvent(bytes, place);
  return event === null ? null : { op: event.op, after: event.after, before: event.before, lsn: event.source.lsn ?? null };
}

function actual(bytes: Buffer, memory = createScanMemory()): unknown {
  const change = decodeRowChange(bytes, place, memory);
  if (change === null) return null;
  const { op, after, before, lsn } = change;
  return { op, after: after && toRow(after), before: before(), lsn };
}

function outcome(decode: (bytes: Buffer) => unknown, bytes: Buffer): unknown {
  try {
    return decode(bytes);
  } catch (error) {
    return error;
  }
}

test('the fast decoder sees in every event what the full one sees', () => {
  fc.assert(
    fc.property(envelope, fc.boolean(), (event, spaced) => {
      const json = stringifyLossless(event);
      const bytes = Buffer.from(spaced ? json.replaceAll(':null', ': null\n') : json);
      assert.deepEqual(actual(bytes), expected(bytes));
    }),
    { numRuns: 2000 },
  );
});

/** The same event with other digits, as many as a number of fifteen digits has: what it left out stays valid. */
function withDigits(text: string, digits: readonly number[]): string {
  let next = 0;
  const digit = (): number => digits[next++ % digits.length] ?? 1;
  return text.replaceAll(/\d+/g, () => Array.from({ length: 1 + (digit() % 15) }, digit).join(''));
}

test('what the decoder remembers of earlier events changes nothing of what it sees in later ones', () => {
  const digits = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 40 });
  const change = fc.record({ event: fc.nat(2), digits: fc.option(digits), op: fc.option(fc.constantFrom('c', 'u', 'd', 'r')) });
  const usual = ['before', 'after', 'source', 'op', 'ts_ms', 'transaction'];
  const order = fc.oneof(fc.constant(usual), fc.shuffledSubarray(usual, { minLength: usual.length }));
  fc.assert(
    fc.property(
      fc.array(envelope, { minLength: 3, maxLength: 3 }),
      fc.array(change, { maxLength: 12 }),
      order,
      (events, changes, names) => {
        const memory = createScanMemory();
        for (const { event, digits: other, op } of changes) {
          const members = Object.entries({ ...events[event], ...(op === null ? {} : { op }) });
          const text = stringifyLossless(Object.fromEntries(members.toSorted(([a], [b]) => names.indexOf(a) - names.indexOf(b))));
          const bytes = Buffer.from(other === null ? text : withDigits(text, other));
          assert.deepEqual(
            outcome((read) => actual(read, memory), bytes),
            outcome(expected, bytes),
            bytes.toString(),
          );
        }
      },
    ),
    { numRuns: 2000 },
  );
});

function good(after: Row): string {
  return stringifyLossless({ after, source: { connector: 'c', name: 'n', db: 'd', schema: 's', table: 't', lsn: 1 }, op: 'c' });
}

const broken: Row = {
  id: 1,
  note: 'a "quoted" \\ text',
  tags: ['x', null],
  name: 'plain text',
  big: -1234567890123456789n,
  part: 1.5,
  no: null,
};

test('what is broken where the fast decoder looks is refused with the full one’s error', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(255), (position, byte) => {
      const bytes = Buffer.from(good(broken));
      bytes[position % bytes.length] = byte;
      assert.deepEqual(outcome(actual, bytes), outcome(expected, bytes));
      const memory = createScanMemory();
      for (const earlier of [good(broken), good(broken)]) actual(Buffer.from(earlier), memory);
      assert.deepEqual(
        outcome((read) => actual(read, memory), bytes),
        outcome(expected, bytes),
      );
    }),
    { numRuns: 3000 },
  );
  for (let length = 0; length < good({ id: 1 }).length; length += 1) {
    const cut = Buffer.from(good({ id: 1 }).slice(0, length));
    assert.throws(() => decodeRowChange(cut, place, createScanMemory()), /topic t, partition 0, offset 7/, cut.toString());
  }
});

test('a column that is called like a time stamp of the envelope keeps its digits', () => {
  const text = '{"ts_ns":1763900000000123457,"ts_us":9007199254740993}';
  assert.equal(stringifyLossless(parseLossless(text)), text);
});

test('integers of any length keep their digits, wherever they are in the text', () => {
  for (let length = 14; length <= 22; length += 1) {
    for (let before = 0; before < 40; before += 1) {
      const text = `{"${'x'.repeat(before)}":[${'9'.repeat(length)},1${'0'.repeat(length - 2)}1]}`;
      assert.equal(stringifyLossless(parseLossless(text)), text);
    }
  }
});

test('a before-image that is not JSON is refused when it is asked for', () => {
  const text = `{"before":{"id":01},"after":null,"source":{"connector":"c","name":"n","db":"d","schema":"s","table":"t"},"op":"d"}`;
  const change = decodeRowChange(Buffer.from(text), place, createScanMemory());
  assert.throws(() => change?.before(), /EVENT_UNDECODABLE|is not JSON.*offset 7/);
});

test('what is no position of the log, and what is too deep, is named for what it is by both decoders', () => {
  const withLsn = (lsn: string): string => good({ id: 1 }).replace('"lsn":1', `"lsn":${lsn}`);
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  const cases: readonly (readonly [text: string, why: RegExp])[] = [
    ...['1.5', '-1', String(2n ** 64n)].map((lsn) => [withLsn(lsn), /a position of the log/] as const),
    [good({ id: 1 }).replace('"id":1', `"id":${deep}`), /more than 500 levels/],
    [good({ id: 1 }).replace('"op":"c"', `"op":"c","more":${deep}`), /more than 500 levels/],
  ];
  for (const [text, message] of cases) {
    const bytes = Buffer.from(text);
    assert.throws(() => decodeChangeEvent(bytes, place), { code: 'EVENT_UNDECODABLE', message }, text.slice(0, 200));
    const memory = createScanMemory();
    for (const earlier of [good({ id: 2 }), good({ id: 3 })]) decodeRowChange(Buffer.from(earlier), place, memory);
    assert.throws(() => decodeRowChange(bytes, place, memory), { code: 'EVENT_UNDECODABLE', message }, text.slice(0, 200));
  }
});
