import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enoughPartitions } from '#kafka/write/enough-partitions.ts';

const message = { key: null, value: 'x' };

/** Each look finds the next count. */
function counting(...counts: readonly number[]): { readonly count: (again: boolean) => Promise<number>; readonly looks: boolean[] } {
  const looks: boolean[] = [];
  return {
    looks,
    count: async (again) => {
      looks.push(again);
      return await Promise.resolve(counts[Math.min(looks.length, counts.length) - 1] ?? 0);
    },
  };
}

test('messages that name no partition are content with what there is', async () => {
  const { count, looks } = counting(1, 2);
  assert.equal(await enoughPartitions([message], count), 1);
  assert.deepEqual(looks, [false]);
});

test('a partition that was just added is looked for, past what is kept, until it is there', async () => {
  const { count, looks } = counting(2, 2, 3);
  assert.equal(await enoughPartitions([message, { ...message, partition: 2 }, { ...message, partition: 0 }], count), 3);
  assert.deepEqual(looks, [false, true, true]);
});

test('one that never comes is looked for in vain, and for a while only', async () => {
  const { count } = counting(2);
  assert.equal(await enoughPartitions([{ ...message, partition: 2 }], count), 2);
});
