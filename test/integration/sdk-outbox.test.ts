import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#pipeline/index.ts';
import { consume, Poison, type OutboxEvent } from '#sdk/index.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { createService } from '#test/support/sdk.ts';

function event(id: string, key: string, payload: string): { key: string; value: string; headers: Record<string, string> } {
  return { key, value: payload, headers: { id, eventType: `Type${id}` } };
}

/** What the handler keeps of {@link event}. */
function done(id: string, key: string): object {
  return { name: 'orders', id, type: `Type${id}`, key, payload: { n: Number(id) } };
}

test('an event that was parked keeps its headers, and is handled in its order when it is retried', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  await service.send(
    event('1', 'a', '{"n":1}'),
    event('2', 'b', '{"n":2}'),
    event('3', 'a', '{"n":3}'),
    { key: 'c', value: '{}' },
    event('5', 'd', '{"n":5}'),
  );
  let fit = false;
  await using consumer = await consume<{ readonly orders: OutboxEvent }>({
    kafka: await testKafkaConfig(),
    group: service.group,
    topics: { orders: { topic: service.topic, value: 'outbox' } },
    database: service.read.owner,
    logger: silentLogger,
    async handle(events, tx) {
      for (const one of events) {
        if (one.id === '1' && !fit) throw new Poison(one, 'not yet');
        const { name, id, type, key, payload, position } = one;
        await tx.query('INSERT INTO effects (place, change) VALUES ($1, $2)', [position, JSON.stringify({ name, id, type, key, payload })]);
      }
    },
  });
  await service.caughtUp();
  const effects = async (): Promise<readonly unknown[]> =>
    (await service.read.query('SELECT change FROM effects ORDER BY id')).map(({ change }) => JSON.parse(change ?? ''));
  assert.deepEqual(await effects(), [done('2', 'b'), done('5', 'd')]);
  assert.deepEqual(
    (await consumer.parked.list()).map(({ key, code }) => [key, code]),
    [
      ['a', 'CONSUMER_POISON'],
      ['a', 'BEHIND'],
      ['c', 'EVENT_UNDECODABLE'],
    ],
  );
  fit = true;
  await consumer.parked.retry();
  assert.deepEqual(await effects(), [done('2', 'b'), done('5', 'd'), done('1', 'a'), done('3', 'a')]);
  assert.deepEqual(
    (await consumer.parked.list()).map(({ key }) => key),
    ['c'],
  );
  assert.equal((await consumer.freshness()).state, 'unknown');
  await consumer.waitFor(`${service.topic}:0=5`);
});
