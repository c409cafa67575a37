import * as fc from 'fast-check';
import { isRow } from '#change-events/change-event.ts';
import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';
import { customer, eventValue } from './order-events.ts';

/** Messages of the customers' topic as anybody may write them: events by names, types, depths, sizes, operations, framings and missing parts. */

type Envelope = { readonly [member: string]: JsonValue };

const json: fc.Arbitrary<JsonValue> = fc.jsonValue({ maxDepth: 4 }).map((value): JsonValue => JSON.parse(JSON.stringify(value)));
const names = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.string({ unit: 'grapheme', maxLength: 70 }),
  fc.constantFrom(
    '',
    'xmin',
    'ctid',
    'tableoid',
    '_lsn',
    '__proto__',
    'constructor',
    'select',
    'a"b',
    "a'b",
    'a.b',
    '$1',
    'nul\0',
    '\ud800',
    'id ',
    'ID',
  ),
);
const columns = fc.constantFrom(...Object.keys(customer(1)));
const members = fc.constantFrom('before', 'after', 'source', 'op', 'ts_ms', 'transaction');

const envelope = (id: number): Envelope => JSON.parse(eventValue({ table: 'customers', op: 'u', after: customer(id), lsn: null }));
const afterOf = (id: number, change: Envelope): Envelope => ({ ...envelope(id), after: { ...customer(id), ...change } });
const without = (of: Envelope, member: string): Envelope => Object.fromEntries(Object.entries(of).filter(([name]) => name !== member));

function valueFor(id: number): fc.Arbitrary<string | Buffer | null> {
  const good = stringifyLossless(envelope(id));
  const events = fc.oneof(
    fc.tuple(names, json).map(([name, value]) => afterOf(id, Object.fromEntries([[name, value]]))),
    fc.tuple(columns, json).map(([name, value]) => afterOf(id, { [name]: value })),
    fc.tuple(members, json).map(([name, value]) => ({ ...envelope(id), [name]: value })),
    members.map((name) => without(envelope(id), name)),
    fc.string().map((op) => ({ ...envelope(id), op })),
    fc.constantFrom('c', 'd', 'r', 't').map((op) => ({ ...envelope(id), op })),
    fc
      .oneof(fc.double(), fc.integer(), fc.bigInt())
      .map((lsn) => ({ ...envelope(id), source: { ...sourceOf(id), lsn: typeof lsn === 'number' && !Number.isFinite(lsn) ? null : lsn } })),
    fc
      .integer({ min: 1, max: 3000 })
      .map((count) => afterOf(id, Object.fromEntries(Array.from({ length: count }, (_, at) => [`many_${count}_${at}`, at])))),
  );
  return fc.oneof(
    { weight: 8, arbitrary: events.map(stringifyLossless) },
    { weight: 1, arbitrary: fc.constant(good) },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 1, max: 100_000 })
        .map((depth) => good.replace('"tier":', `"deep":${'['.repeat(depth)}${']'.repeat(depth)},"tier":`)),
    },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: good.length }).map((length) => good.slice(0, length)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.concat([Buffer.from(bytes), Buffer.from(good)])),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })).map(([at, byte]) => {
        const bytes = Buffer.from(good);
        bytes[at] = byte;
        return bytes;
      }),
    },
    { weight: 1, arbitrary: fc.constant(null) },
  );
}

function sourceOf(id: number): Envelope {
  const { source } = envelope(id);
  return isRow(source) ? source : {};
}

/** One message, of the customer `id` as far as it is one. */
export function hostileMessage(id: number): fc.Arbitrary<OutgoingMessage> {
  const key = fc.oneof(
    { weight: 6, arbitrary: fc.constant<string | Buffer | null>(`{"id":${id}}`) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
  return fc.record({ key, value: valueFor(id) });
}
