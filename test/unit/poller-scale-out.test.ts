import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { withSlots } from '#cdc-poller/membership/table-slots.ts';
import { assignSticky, type StickyMember } from '#kafka/kafkajs/sticky-assignment.ts';

const members = (...owned: (readonly string[])[]): StickyMember[] =>
  owned.map((names, index) => ({ id: `m${index}`, owned: names, since: 1 }));

test('each partition goes to one member, shares differ by one at most, and no more move than must', () => {
  const shares = fc.uniqueArray(fc.integer({ min: 0, max: 5 }).map(String), { minLength: 1 }).chain((ids) =>
    fc.record({
      ids: fc.constant(ids),
      owners: fc.array(fc.option(fc.constantFrom(...ids), { nil: null }), { maxLength: 30 }),
    }),
  );
  fc.assert(
    fc.property(shares, ({ ids, owners }) => {
      const partitions = owners.map((_, index) => `t/${index}`);
      const group = ids.map((id) => ({ id, since: 1, owned: partitions.filter((_, index) => owners[index] === id) }));
      const result = assignSticky(group, partitions);
      assert.deepEqual([...result.values()].flat().toSorted(), partitions.toSorted());
      const sizes = [...result.values()].map(({ length }) => length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join());
      const least = Math.floor(partitions.length / ids.length);
      const larger = partitions.length % ids.length;
      const counts = group.map(({ owned }) => owned.length).toSorted((a, b) => b - a);
      // Whoever has most keeps one more, as far as there are such places: nothing can keep more than that.
      const mostKept = counts.reduce((sum, count, index) => sum + Math.min(count, least + (index < larger ? 1 : 0)), 0);
      const kept = group.reduce((sum, { id, owned }) => sum + owned.filter((name) => result.get(id)?.includes(name)).length, 0);
      assert.equal(kept, mostKept);
      assert.deepEqual(assignSticky(group.toReversed(), partitions.toReversed()), result, 'depends on the order of its arguments');
    }),
  );
});

test('a member that was away does not take back what others have been given meanwhile', () => {
  const [zombie, other] = members(['t/0', 't/1'], ['t/0', 't/1']);
  assert.ok(zombie && other);
  const result = assignSticky([zombie, { ...other, since: 2 }, { id: 'm2', owned: [], since: 0 }], ['t/0', 't/1', 't/2']);
  assert.deepEqual(result.get('m1'), ['t/0']);
});

test('a table keeps its slot for ever, and a new one takes the lowest free', () => {
  const known = new Map([
    ['public.a', 0],
    ['public.c', 2],
  ]);
  assert.deepEqual(withSlots(known, ['public.b', 'public.a', 'public.d']), new Map([...known, ['public.b', 1], ['public.d', 3]]));
});
