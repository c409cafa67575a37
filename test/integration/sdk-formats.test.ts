import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unavailableValue } from '#change-events/index.ts';
import type { Change } from '#sdk/index.ts';
import { avroOrders } from '#test/support/avro-orders.ts';
import { eventValue, order, upsert } from '#test/support/order-events.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { createService } from '#test/support/sdk.ts';
import { uniqueName } from '#test/support/stack.ts';

test('JSON and Avro of one topic give the same changes', { timeout: 90_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  const avro = await avroOrders(uniqueName('sdk'));
  await service.send(upsert('orders', order(1, 1, 'new')), avro.upsert(1, 'paid', 'u'), ...avro.remove(1));
  await using consumer = await service.start(undefined, { schemaRegistry: await testRegistryConfig() });
  await service.caughtUp();
  assert.deepEqual(
    (await service.effects()).map((line) => line.slice(line.indexOf(' ') + 1)),
    ['create {"id":1} new', 'update {"id":1} paid', 'delete {"id":1} -'],
  );
  void consumer;
});

test('a large column that the log left out is named, and never handed over as its placeholder', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  const row = { ...order(1, 1, 'paid'), note: unavailableValue };
  await service.send(
    { key: '{"id":1}', value: eventValue({ table: 'orders', op: 'u', after: row }) },
    { key: '{"id":1}', value: eventValue({ table: 'orders', op: 'u', before: { ...row, note: 'long' }, after: row }) },
  );
  const seen: Change[] = [];
  await using consumer = await service.start(async (changes) => void seen.push(...changes));
  await service.caughtUp();
  const rows = seen.flatMap((change) =>
    change.op === 'update' ? [{ unchanged: change.unchanged, note: change.after['note'] ?? null, has: 'note' in change.after }] : [],
  );
  assert.deepEqual(rows, [
    { unchanged: ['note'], note: null, has: false },
    { unchanged: [], note: 'long', has: true },
  ]);
  void consumer;
});

test(
  'tables that may not be made are refused with the SQL that makes them; another group’s schema is refused',
  { timeout: 60_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    await assert.rejects(service.start(undefined, { migrate: 'require' }), { code: 'CONSUMER_NOT_MIGRATED' });
    await assert.rejects(service.start(undefined, { batch: { changes: 0 } }), { code: 'CONSUMER_INVALID' });
    const { migrationSql } = await import('#sdk/index.ts');
    await service.read.query(await migrationSql());
    await service.send(upsert('orders', order(1, 1)));
    await using consumer = await service.start(undefined, { migrate: 'require' });
    await service.caughtUp();
    await assert.rejects(service.start(undefined, { group: 'another' }), { code: 'CONSUMER_SCHEMA_TAKEN' });
    await service.read.query(`INSERT INTO cdc_consumer.consumer_files (file) VALUES ('consumer-999.sql')`);
    await assert.rejects(service.start(), { code: 'CONSUMER_SCHEMA_NEWER' });
    void consumer;
  },
);
