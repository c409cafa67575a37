import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { applyConnector, readConnectorFile } from '#connectors/index.ts';
import { nodeFlags } from '#pipeline/index.ts';
import { Pool } from 'pg';
import { cancelOrder, placeOrder } from '../../examples/outbox/orders.ts';
import { removeConnector, removeTopics, testConnect } from '#test/support/connect.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';

const folder = `${repositoryRoot}/examples/outbox`;

/** The shop's database with the example's connector on it; its events' topic. */
async function startShop(
  stack: AsyncDisposableStack,
): Promise<{ readonly db: LegacyDatabase; readonly shop: Pool; readonly topic: string }> {
  const db = stack.use(await createLegacyDatabase({ empty: true }));
  await db.query(await readFile(`${folder}/schema.sql`, 'utf8'));
  const shop = stack.adopt(new Pool({ ...db.owner, max: 4 }), (pool) => pool.end());
  const file = await readConnectorFile(`${folder}/connector.json`);
  const name = uniqueName('outbox');
  const config = {
    ...file.config,
    name,
    'database.dbname': db.name,
    'slot.name': name,
    'topic.prefix': name,
    'transforms.outbox.route.topic.replacement': `${name}.event.\${routedByValue}`,
  };
  const client = await testConnect();
  stack.defer(() => removeTopics(name));
  stack.defer(() => removeConnector(client, name, db.replicator));
  await applyConnector(client, { name, config }, { timeoutMs: 60_000 });
  return { db, shop, topic: `${name}.event.order` };
}

async function startService(read: ReadDatabase, topic: string): Promise<() => ChildProcess> {
  const { user, password, host, port, database } = read.config;
  const env = {
    ...process.env,
    LOG_LEVEL: 'error',
    DATABASE_URL: `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`,
    KAFKA_BROKERS: (await testKafkaConfig()).brokers.join(','),
    ORDER_EVENTS_TOPIC: topic,
  };
  return () => spawn(process.execPath, [...nodeFlags, `${folder}/service.ts`], { env, stdio: ['ignore', 'inherit', 'inherit'] });
}

test(
  'the outbox: what the shop has committed is counted once by the other service, also when that is killed',
  { timeout: 180_000 },
  async () => {
    await using stack = new AsyncDisposableStack();
    const read = stack.use(await createReadDatabase());
    const { db, shop, topic } = await startShop(stack);
    const start = await startService(read, topic);
    const asked = async (sql: string): Promise<readonly unknown[]> => read.query(sql).catch(() => []);

    const ids: string[] = [];
    for (let customer = 1; customer <= 40; customer += 1) ids.push(await placeOrder(shop, (customer % 4) + 1, '93.25'));
    // An order whose event cannot be written has not happened.
    await db.query(`ALTER TABLE outbox ADD CHECK (payload ->> 'amount' IS DISTINCT FROM '13.13')`);
    await assert.rejects(placeOrder(shop, 1, '13.13'), { code: '23514' });
    assert.deepEqual(await db.query(`SELECT FROM orders WHERE amount = 13.13`), []);
    const first = start();
    await eventually(
      () => asked('SELECT FROM open_orders'),
      (rows) => rows.length > 0,
    );
    await killed(first);

    for (const id of ids.slice(0, 3)) await cancelOrder(shop, id);
    await cancelOrder(shop, ids[0] ?? '');
    // A type that the service does not know, and one behind it.
    const [, , , odd = ''] = ids;
    await db.query(`INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', $1, 'OrderGifted', '{}')`, [odd]);
    await cancelOrder(shop, odd);
    assert.deepEqual(await db.query('SELECT type, count(*) FROM outbox GROUP BY type ORDER BY type'), [
      { type: 'OrderCancelled', count: '4' },
      { type: 'OrderGifted', count: '1' },
      { type: 'OrderPlaced', count: '40' },
    ]);
    // Cleaning up is no event.
    await db.query('DELETE FROM outbox');
    const last = await placeOrder(shop, 9, '0.10');

    const second = start();
    await eventually(
      () =>
        asked(`SELECT FROM open_orders WHERE order_id = '${last}' UNION ALL SELECT FROM cdc_consumer.parked_events WHERE code = 'BEHIND'`),
      (rows) => rows.length === 2,
    );
    await eventually(
      () => asked('SELECT FROM open_orders'),
      (rows) => rows.length === 38,
    );
    assert.deepEqual(await read.query('SELECT customer_id, ordered FROM customers ORDER BY customer_id'), [
      { customer_id: '1', ordered: '932.50' },
      { customer_id: '2', ordered: '839.25' },
      { customer_id: '3', ordered: '839.25' },
      { customer_id: '4', ordered: '839.25' },
      { customer_id: '9', ordered: '0.10' },
    ]);
    const parked = await read.query(`SELECT code FROM cdc_consumer.parked_events WHERE state = 'parked' ORDER BY event_offset`);
    assert.deepEqual(parked, [{ code: 'CONSUMER_POISON' }, { code: 'BEHIND' }]);
    const ended = once(second, 'exit');
    second.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  },
);
