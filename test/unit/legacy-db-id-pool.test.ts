import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { IdPool } from '#legacy-db/workload/row-pools.ts';

const changes = fc.array(fc.record({ change: fc.constantFrom('add', 'remove'), id: fc.nat({ max: 12 }).map(String) }));

function apply(list: readonly { readonly change: 'add' | 'remove'; readonly id: string }[]): IdPool {
  const pool = new IdPool();
  for (const { change, id } of list) pool[change](id);
  return pool;
}

function idsOf(pool: IdPool): (string | undefined)[] {
  return Array.from({ length: pool.size }, (_none, index) => pool.at(index / pool.size + Number.EPSILON));
}

test('a pool holds exactly what was added and not removed since, each once', () => {
  fc.assert(
    fc.property(changes, (list) => {
      const expected = new Set<string>();
      for (const { change, id } of list) {
        if (change === 'add') expected.add(id);
        else expected.delete(id);
      }
      assert.deepEqual(new Set(idsOf(apply(list))), expected);
      assert.equal(apply(list).size, expected.size);
    }),
  );
});

test('the same changes give the same choice for every pick', () => {
  fc.assert(
    fc.property(changes, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (list, pick) => {
      const pool = apply(list);
      assert.equal(pool.at(pick), apply(list).at(pick));
      assert.equal(pool.at(pick) === undefined, pool.size === 0);
    }),
  );
});
