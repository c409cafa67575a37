import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { order, remove, tombstone, truncation, upsert } from '#test/support/order-events.ts';
import { assertEqualsLog, createService } from '#test/support/sdk.ts';
import type { Change } from '#sdk/index.ts';

for (const client of ['kafkajs', 'platformatic'] as const) {
  describe(client, () => {
    test('hands every change over once, each key in its order, and goes on from the database', { timeout: 100_000 }, async () => {
      await using service = await createService({ client });
      const expected: string[] = [];
      const change = async (id: number, status: string, op: 'c' | 'u' | 'r'): Promise<void> => {
        expected.push(`${{ c: 'create', u: 'update', r: 'read' }[op]} {"id":${id}} ${status}`);
        await service.send(upsert('orders', order(id, 1, status), op));
      };
      for (let id = 1; id <= 20; id += 1) await change(id, 'new', id % 2 === 0 ? 'c' : 'r');
      {
        await using consumer = await service.start();
        await service.caughtUp();
        assert.equal((await consumer.status()).state, 'consuming');
      }
      for (let id = 1; id <= 20; id += 1) await change(id, 'paid', 'u');
      await service.send(...remove('orders', 7), truncation('orders'));
      expected.push('delete {"id":7} -', 'truncate null -');
      await using again = await service.start();
      await service.caughtUp();
      assertEqualsLog(await service.effects(), expected);
      const { partitions } = await again.status();
      assert.ok(partitions.every(({ parked, halted }) => parked === 0 && halted === null));
    });
  });
}

test('a tombstone alone is a delete; one that follows its delete, in another batch too, is none', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  await service.send(upsert('orders', order(1, 1)), tombstone(1), ...remove('orders', 2));
  await using consumer = await service.start(undefined, { batch: { changes: 1 } });
  await service.caughtUp();
  void consumer;
  assert.deepEqual(
    (await service.effects()).map((line) => line.slice(line.indexOf(' ') + 1)),
    ['create {"id":1} new', 'delete {"id":1} -', 'delete {"id":2} -'],
  );
});

test('a change says where it is from; waitFor waits for its position', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  await service.send(upsert('orders', { ...order(5, 1), total: 9_007_199_254_740_993n }));
  const seen: Change[] = [];
  await using consumer = await service.start(async (changes) => void seen.push(...changes));
  await consumer.waitFor(`${service.topic}:0=1`, { timeoutMs: 30_000 });
  const [change] = seen;
  assert.ok(change?.op === 'create');
  assert.deepEqual(change.key, { id: 5 });
  assert.equal(change.after['total'], 9_007_199_254_740_993n);
  assert.equal(change.position, `${service.topic}:0=1`);
  assert.equal(change.table, 'public.orders');
  assert.equal((await consumer.freshness()).state, 'unknown');
  await assert.rejects(consumer.waitFor(`${service.topic}:0=100`, { timeoutMs: 100 }), { code: 'CONSUMER_NOT_REACHED' });
  await assert.rejects(consumer.waitFor('yesterday'), { code: 'CONSUMER_INVALID' });
});
