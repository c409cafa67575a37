import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compareKeys, mergeDiff, type KeyedRow } from '#comparison/final-state/merge.ts';

async function* rows(table: ReadonlyMap<bigint, string | null>): AsyncGenerator<KeyedRow> {
  for (const [key, value] of [...table].toSorted(([a], [b]) => (a < b ? -1 : 1))) yield { key: [String(key)], values: [value] };
}

const options = { columns: ['value'], keyOrder: ['integer'], listedKeys: 1000 } as const;
const table = fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 30n }), fc.constantFrom('x', 'y', null))).map((entries) => new Map(entries));

test('every row is equal, missing, a ghost or stale, as two whole tables say', async () => {
  await fc.assert(
    fc.asyncProperty(table, table, async (source, model) => {
      const diff = await mergeDiff(rows(source), rows(model), options);
      assert.deepEqual(
        diff.missing.keys,
        keys(source, (key) => !model.has(key)),
      );
      assert.deepEqual(
        diff.ghost.keys,
        keys(model, (key) => !source.has(key)),
      );
      assert.deepEqual(
        diff.stale.keys,
        keys(source, (key) => model.has(key) && model.get(key) !== source.get(key)),
      );
      assert.equal(diff.equal + diff.missing.count + diff.stale.count, source.size);
      assert.equal(diff.equal + diff.ghost.count + diff.stale.count, model.size);
    }),
  );
});

test('a stale row names the columns that differ; null is not an empty text', async () => {
  const source = one(['1'], ['a', null, '1.50']);
  const model = one(['1'], ['a', '', '1.5']);
  const diff = await mergeDiff(source, model, { ...options, columns: ['name', 'note', 'price'] });
  assert.deepEqual(diff.staleColumns, { note: 1, price: 1 });
  assert.deepEqual(diff.stale, { count: 1, keys: ['1'] });
});

test('columns may be called as every object has members', async () => {
  const columns = ['constructor', '__proto__', 'toString'];
  const diff = await mergeDiff(one(['1'], ['a', 'b', 'c']), one(['1'], ['x', 'x', 'c']), { ...options, columns });
  assert.deepEqual(Object.entries(diff.staleColumns), [
    ['constructor', 1],
    ['__proto__', 1],
  ]);
});

test('lists the first keys and counts all', async () => {
  const source = new Map(Array.from({ length: 50 }, (_value, index) => [BigInt(index + 1), 'x'] as const));
  const diff = await mergeDiff(rows(source), rows(new Map()), { ...options, listedKeys: 3 });
  assert.deepEqual(diff.missing, { count: 50, keys: ['1', '2', '3'] });
});

test('integer keys compare by value beyond 2^53, text keys by their bytes', () => {
  assert.ok(compareKeys(['9'], ['10'], ['integer']) < 0);
  assert.ok(compareKeys(['9007199254740992'], ['9007199254740993'], ['integer']) < 0);
  assert.ok(compareKeys(['9'], ['10'], ['bytes']) > 0);
  assert.ok(compareKeys(['Z'], ['a'], ['bytes']) < 0);
  assert.ok(compareKeys(['1', 'b'], ['1', 'a'], ['integer', 'bytes']) > 0);
});

test('a stream that is not in key order is refused, not compared wrongly', async () => {
  const wrong = fromList([
    { key: ['2'], values: [''] },
    { key: ['1'], values: [''] },
  ]);
  await assert.rejects(mergeDiff(wrong, rows(new Map()), options), /rows of the source are not in key order: 2 before 1/);
});

function keys(from: ReadonlyMap<bigint, unknown>, wanted: (key: bigint) => boolean): string[] {
  return [...from.keys()]
    .filter(wanted)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map(String);
}

function one(key: readonly string[], values: readonly (string | null)[]): AsyncGenerator<KeyedRow> {
  return fromList([{ key, values }]);
}

async function* fromList(list: readonly KeyedRow[]): AsyncGenerator<KeyedRow> {
  yield* list;
}
