import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';
import { createService } from '#test/support/sdk.ts';

test('the plain service keeps an invoice for each order and counts them once, also when it is killed', { timeout: 120_000 }, async () => {
  await using service = await createService();
  const { user, password, host, port, database } = service.read.config;
  const env = {
    ...process.env,
    LOG_LEVEL: 'error',
    DATABASE_URL: `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`,
    KAFKA_BROKERS: (await testKafkaConfig()).brokers.join(','),
    ORDERS_TOPIC: service.topic,
  };
  const start = (): ChildProcess =>
    spawn(process.execPath, [...nodeFlags, `${repositoryRoot}/examples/plain-service/service.ts`], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  const orders = Array.from({ length: 200 }, (_, at) => upsert('orders', order(at + 1, (at % 4) + 1)));
  await service.send(...orders);
  const first = start();
  const invoices = async (): Promise<number> =>
    Number((await service.read.query(`SELECT count(*) AS n FROM invoices`).catch(() => []))[0]?.['n'] ?? 0);
  await eventually(invoices, (count) => count > 0);
  await killed(first);
  await service.send(
    ...remove('orders', 3),
    upsert('orders', order(5, 1, 'paid'), 'u'),
    upsert('orders', order(6, 2, 'odd'), 'u'),
    upsert('orders', order(6, 2, 'paid'), 'u'),
  );
  const second = start();
  await service.caughtUp();
  assert.deepEqual(await service.read.query('SELECT customer_id, invoices FROM accounts ORDER BY customer_id'), [
    { customer_id: '1', invoices: '50' },
    { customer_id: '2', invoices: '50' },
    { customer_id: '3', invoices: '49' },
    { customer_id: '4', invoices: '50' },
  ]);
  assert.deepEqual(await service.read.query('SELECT order_id, state FROM invoices WHERE order_id IN (3, 5, 6) ORDER BY order_id'), [
    { order_id: '5', state: 'paid' },
    { order_id: '6', state: 'open' },
  ]);
  const parked = await service.read.query(`SELECT code FROM cdc_consumer.parked_events WHERE state = 'parked' ORDER BY event_offset`);
  assert.deepEqual(parked, [{ code: 'CONSUMER_POISON' }, { code: 'BEHIND' }]);
  const ended = once(second, 'exit');
  second.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});
