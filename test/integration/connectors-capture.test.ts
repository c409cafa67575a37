import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeChangeEvent, decodeKey, type ChangeEvent, type Row } from '#change-events/index.ts';
import { startTestConnector, type TestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka, type TopicObserver } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { uniqueName } from '#test/support/stack.ts';

type Seen = { readonly key: Row | null; readonly event: ChangeEvent | null };

test('Debezium publishes what the log says, with before-images, tombstones and the transaction', async (t) => {
  await using db = await createLegacyDatabase();
  await db.query(`INSERT INTO customers (email, name, tier, created_at) VALUES ('a@example.org', 'A', 'gold', now())`);
  await db.query(`INSERT INTO orders (customer_id, status, placed_at) VALUES (1, 'placed', '2026-01-02 03:04:05.678901+02')`);
  await using connector = await startTestConnector({ database: db });
  await connector.streaming();
  const topic = connector.topic('public.orders');
  await using topics = await observeTopics(await testKafka(), [topic], uniqueName('observer'));
  let passed = 0;
  /** The next `count` messages about order `id`, in order. */
  const next = async (id: number, count: number): Promise<Seen[]> => {
    const about = (): Seen[] => decode(topics).filter(({ key }) => key?.['id'] === id);
    await topics.until(
      () => about().length >= passed + count,
      () => `${about().length} of ${passed + count} messages about order ${id}`,
    );
    const found = about().slice(passed);
    passed += count;
    return found;
  };

  await t.test('a row that was there before arrives as r', async () => {
    const [snapshot] = await next(1, 1);
    assert.equal(snapshot?.event?.op, 'r');
    assert.equal(snapshot.event.before, null);
    assert.equal(snapshot.event.after?.['placed_at'], '2026-01-02T01:04:05.678901Z');
  });

  await t.test('insert, update and delete arrive as c, u, d with before-image, and a tombstone', async () => {
    passed = 0;
    await db.query(
      `INSERT INTO customers (id, email, name, tier, created_at) VALUES (9007199254740993, 'b@example.org', 'B', 'gold', now())`,
    );
    await db.query(`INSERT INTO orders (customer_id, status, note, placed_at) VALUES (9007199254740993, 'placed', 'ü', now())`);
    await db.query(`UPDATE orders SET status = 'paid' WHERE id = 2`);
    await db.query('DELETE FROM orders WHERE id = 2');
    const [created, updated, deleted, tombstone] = await next(2, 4);
    assert.equal(created?.event?.op, 'c');
    assert.equal(created.event.after?.['customer_id'], 9007199254740993n);
    assert.equal(updated?.event?.op, 'u');
    assert.equal(updated.event.before?.['status'], 'placed');
    assert.equal(updated.event.after?.['status'], 'paid');
    assert.equal(deleted?.event?.op, 'd');
    assert.deepEqual(deleted.event.before, updated.event.after);
    assert.equal(deleted.event.after, null);
    assert.deepEqual(tombstone, { key: { id: 2 }, event: null });
    assert.equal(created.event.source.connector, 'postgresql');
    assert.equal(typeof created.event.source.txId, 'number');
    assert.equal(created.event.transaction?.total_order, 1);
  });

  await t.test('an update of the key arrives as d, tombstone and c', async () => {
    passed = 0;
    await db.query(`INSERT INTO orders (id, customer_id, status, placed_at) VALUES (100, 1, 'placed', now())`);
    await db.query('UPDATE orders SET id = 101 WHERE id = 100');
    assert.deepEqual(
      (await next(100, 3)).map(({ event }) => event?.op ?? 'tombstone'),
      ['c', 'd', 'tombstone'],
    );
    passed = 0;
    assert.equal((await next(101, 1))[0]?.event?.op, 'c');
  });

  await t.test('truncate is not skipped', async () => {
    await db.query('TRUNCATE orders, order_items');
    const truncated = (): boolean => decode(topics).some(({ event }) => event?.op === 't');
    await topics.until(truncated, () => 'no truncate event');
  });

  await t.test('topics have the partitions of the file, and those without rows one', async () => {
    await using admin = await (await testKafka()).admin();
    assert.equal(await admin.partitionsOf(topic), 3);
    assert.equal(await admin.partitionsOf(`${connector.prefix}.transaction`), 1);
  });

  await t.test('the heartbeat moves the slot while the tables are quiet', async () => {
    await beat(connector, db.query);
  });
});

function decode({ messages }: TopicObserver): Seen[] {
  return messages.map(({ key, value, topic, partition, offset }) => {
    const place = { topic, partition, offset: offset.toString() };
    return { key: decodeKey(key, place), event: decodeChangeEvent(value, place) };
  });
}

/** Waits for a beat, then for the slot to be confirmed past what the log held at that moment. */
async function beat(
  connector: TestConnector,
  query: (sql: string, values?: readonly unknown[]) => Promise<Record<string, string | null>[]>,
): Promise<void> {
  const [before_] = await query('SELECT pg_current_wal_lsn() AS head, (SELECT beat_at FROM cdc.heartbeat) AS beat');
  assert.ok(before_);
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const [now] = await query(
      `SELECT (SELECT beat_at FROM cdc.heartbeat) > $2::timestamptz AS beaten, confirmed_flush_lsn >= $1::pg_lsn AS confirmed
         FROM pg_replication_slots WHERE slot_name = $3`,
      [before_['head'], before_['beat'], connector.slot],
    );
    if (now?.['beaten'] === 't' && now['confirmed'] === 't') return;
    await query('SELECT pg_sleep(0.1)');
  }
  assert.fail('no heartbeat reached the slot within a minute');
}
