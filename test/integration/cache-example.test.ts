import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';
import { openCache } from '../../examples/cache-invalidation/cache.ts';
import { atLeastOnceScene } from '#test/support/at-least-once.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';
import { startRedis, whyNoRedis } from '#test/support/redis.ts';

const skip = (await whyNoRedis()) ?? false;

const placeAt = (offset: bigint): { partition: number; offset: bigint } => ({ partition: 0, offset });

test('an older change never puts its value over a newer one, and does not bring back what was deleted', { skip }, async () => {
  await using redis = await startRedis();
  await using cache = await openCache(redis.url);
  const generation = await cache.generation();
  assert.equal(await cache.generation(), generation);
  assert.equal(await cache.put(generation, 'order:1', 'second', placeAt(9n)), true);
  assert.equal(await cache.put(generation, 'order:1', 'first', placeAt(8n)), false);
  assert.equal(await cache.put(generation, 'order:1', 'second', placeAt(9n)), false);
  assert.equal(await cache.get('order:1'), 'second');
  assert.equal(await cache.put(generation, 'order:1', null, placeAt(10n)), true);
  assert.equal(await cache.put(generation, 'order:1', 'second', placeAt(9n)), false);
  assert.equal(await cache.get('order:1'), null);
  assert.equal(await cache.put(generation, 'order:1', 'made again', placeAt(11n)), true);
  assert.equal(await cache.get('order:1'), 'made again');
  await assert.rejects(cache.put('another', 'order:2', 'x', placeAt(12n)), { name: 'ColdCacheError' });
});

test(
  'the cache has what the topic says last, also when an instance is killed and when Redis has lost everything',
  { skip, timeout: 180_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const scene = stack.use(await atLeastOnceScene());
    let redis = await startRedis();
    stack.defer(() => redis[Symbol.asyncDispose]());
    const env = {
      ...process.env,
      LOG_LEVEL: 'error',
      REDIS_URL: redis.url,
      KAFKA_BROKERS: (await testKafkaConfig()).brokers.join(','),
      ORDERS_TOPIC: scene.topic,
    };
    const start = (): ChildProcess =>
      spawn(process.execPath, [...nodeFlags, `${repositoryRoot}/examples/cache-invalidation/service.ts`], {
        env,
        stdio: ['ignore', 'inherit', 'ignore'],
      });
    const cache = stack.use(await openCache(redis.url));
    const statuses = async (): Promise<readonly string[]> => {
      const entries = await Promise.all(Array.from({ length: 100 }, (_, at) => cache.get(`order:${at + 1}`).catch(() => null)));
      return entries.map((entry) => (entry === null ? '-' : String(JSON.parse(entry).status)));
    };
    const expected = Array.from({ length: 100 }, () => 'new');
    await scene.send(...expected.map((status, at) => upsert('orders', order(at + 1, 1, status))));
    const [first, second] = [start(), start()];
    await eventually(statuses, (all) => all.some((status) => status === 'new'));
    await killed(first);
    const change = async (id: number, status: string): Promise<void> => {
      expected[id - 1] = status;
      await scene.send(...(status === '-' ? remove('orders', id) : [upsert('orders', order(id, 1, status), 'u')]));
    };
    for (const id of [2, 3, 5, 7]) await change(id, 'paid');
    await change(3, '-');
    const same = (all: readonly string[]): boolean => all.join() === expected.join();
    await eventually(statuses, same);

    // Redis comes back with nothing; the next change shows it.
    const { port } = redis;
    await redis[Symbol.asyncDispose]();
    redis = await startRedis(port);
    await change(11, 'shipped');
    await eventually(statuses, same);

    const ended = once(second, 'exit');
    second.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  },
);
