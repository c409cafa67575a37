import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shareWhileUsed } from '#kafka/kafkajs/share-while-used.ts';

type One = AsyncDisposable & { readonly number: number };

function scene(): { readonly use: ReturnType<typeof shareWhileUsed<One>>; readonly opened: () => number; readonly closed: number[] } {
  let opened = 0;
  const closed: number[] = [];
  const use = shareWhileUsed(async () => {
    opened += 1;
    const number = opened;
    if (number === 9) throw new Error('nobody answers');
    return { number, [Symbol.asyncDispose]: async () => void closed.push(number) };
  });
  return { use, opened: () => opened, closed };
}

test('all who come while it is used share one, and it is closed once, behind the last of them', async () => {
  const { use, opened, closed } = scene();
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const a = use(() => first.promise);
  const b = use(async ({ number }) => {
    await second.promise;
    return number;
  });
  first.resolve();
  await a;
  assert.deepEqual(closed, []);
  const c = use(async ({ number }) => number);
  assert.equal(await c, 1);
  assert.deepEqual(closed, []);
  second.resolve();
  assert.equal(await b, 1);
  assert.deepEqual([opened(), closed], [1, [1]]);
  assert.equal(await use(async ({ number }) => number), 2);
  assert.deepEqual(closed, [1, 2]);
});

test('after a failure the next gets another; those at work keep theirs, which is closed behind them', async () => {
  const { use, closed } = scene();
  const working = Promise.withResolvers<void>();
  const long = use(async ({ number }) => {
    await working.promise;
    return number;
  });
  await assert.rejects(
    use(async () => {
      throw new Error('the connection is lost');
    }),
    /lost/,
  );
  assert.equal(await use(async ({ number }) => number), 2);
  assert.deepEqual(closed, [2]);
  working.resolve();
  assert.equal(await long, 1);
  assert.deepEqual(closed, [2, 1]);
});

test('one that cannot be opened fails for those who waited for it, and is opened again', async () => {
  const { use, opened } = scene();
  for (let at = 0; at < 8; at += 1) await use(async () => undefined);
  const both = await Promise.allSettled([use(async () => undefined), use(async () => undefined)]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.equal(opened(), 9);
  assert.equal(await use(async ({ number }) => number), 10);
});
