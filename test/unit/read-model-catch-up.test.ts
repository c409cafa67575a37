import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { catchUp, describeBehind, type Filling } from '#read-model/rebuild/catch-up.ts';

/** Longer than a round that counts as short, in ms. */
const slow = 60;

/** A version that has applied `applied` of what is in one partition, of which it takes a while to say where it ends. */
function filling(slowMs: number, look: () => bigint, end: () => bigint): Filling & { readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    signal: AbortSignal.timeout(60_000),
    shortRoundMs: slow / 2,
    ends: async () => {
      const at = end();
      await delay(slowMs);
      return new Map([['t/0', at]]);
    },
    look: async () => ({ applied: new Map([['t/0', look()]]), waits: [] }),
    onProgress: ({ waitsFor }) => said.push(waitsFor),
  };
}

const all = (): bigint => 7n;

test('what has applied everything has caught up, however long it took to ask where the topics end', async () => {
  await catchUp(filling(slow, all, all));
});

test('under a load that never ends, rounds that do not become shorter are near enough; meanwhile it is said what is behind', async () => {
  let end = 0n;
  let applied = 0n;
  const busy = filling(
    slow,
    () => (applied += 1n),
    () => (end = applied + 3n),
  );
  await catchUp(busy);
  assert.equal(busy.said[0], 't/0 (2 offsets)');
  assert.equal(applied, end);
});

test('a version without partitions waits for them, and says so', async () => {
  let asked = 0;
  const said: string[] = [];
  await catchUp({
    ...filling(
      slow,
      () => 1n,
      () => 1n,
    ),
    ends: async () => new Map((asked += 1) > 2 ? [['t/0', 1n]] : []),
    onProgress: ({ waitsFor }) => said.push(waitsFor),
  });
  assert.deepEqual(said, ['the first partitions of its topics', 'the first partitions of its topics', 'what came meanwhile']);
});

test('what is furthest behind is named first', () => {
  const behind = [1n, null, 30n, 200n, 4n].map((missing, index) => ({ place: `t/${index}`, missing }));
  assert.equal(describeBehind(behind), 't/1 (not read at all), t/3 (200 offsets), t/2 (30 offsets) and 2 more');
  assert.equal(describeBehind([{ place: 't/1', missing: null }]), 't/1 (not read at all)');
});
