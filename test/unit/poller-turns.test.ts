import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeTurns } from '#cdc-poller/supervisor/turns.ts';

const { signal } = new AbortController();
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('no more are at work than may be, and all come to their turn in the order in which they asked', async () => {
  const inTurn = takeTurns(3);
  const begun: number[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const all = Array.from({ length: 8 }, (_, index) =>
    inTurn(() => {
      begun.push(index);
      const end = Promise.withResolvers<void>();
      ends.push(end);
      return end.promise;
    }, signal),
  );
  const ended = Promise.allSettled(all);
  await settled();
  assert.deepEqual(begun, [0, 1, 2]);
  for (let index = 0; index < all.length; index += 1) {
    // One that fails gives its place on too.
    if (index === 1) ends[index]?.reject(new Error('refused'));
    else ends[index]?.resolve();
    await settled();
    assert.equal(begun.length, Math.min(all.length, index + 4));
  }
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(
    (await ended).map(({ status }) => status === 'rejected'),
    all.map((_, index) => index === 1),
  );
  await inTurn(() => Promise.resolve(), signal);
});

test('whoever is given up while it waits does nothing in its turn, and passes it on', async () => {
  const inTurn = takeTurns(1);
  const first = Promise.withResolvers<void>();
  const leaving = new AbortController();
  let worked = 0;
  const work = (): Promise<void> => {
    worked += 1;
    return Promise.resolve();
  };
  const held = inTurn(() => first.promise, signal);
  const left = inTurn(work, leaving.signal);
  const stays = inTurn(work, signal);
  leaving.abort(new Error('the table has moved'));
  first.resolve();
  await held;
  await assert.rejects(left, /the table has moved/);
  await stays;
  assert.equal(worked, 1);
});
