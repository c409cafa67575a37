import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { decodeChangeEvent, type ChangeEvent } from '#change-events/index.ts';
import { applyConnector, snapshotTables } from '#connectors/index.ts';
import type { Kafka } from '#kafka/port.ts';
import { waitFor } from '#stack/index.ts';
import { prepareTestConnector, removeConnector, startTestConnector, testConnect } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

/** Random text that TOAST cannot compress away. */
function longText(seed: string, length: number): string {
  let text = '';
  for (let part = 0; text.length < length; part += 1) text += createHash('sha512').update(`${seed}${part}`).digest('base64');
  return text.slice(0, length);
}

/** Connect makes a topic when the first event for it comes. */
async function untilTopics(kafka: Kafka, topics: readonly string[]): Promise<void> {
  await using admin = await kafka.admin();
  const deadline = Date.now() + 60_000;
  for (;;) {
    const present = new Set(await admin.listTopics());
    if (topics.every((topic) => present.has(topic))) return;
    assert.ok(Date.now() < deadline, `of ${topics.join(', ')} not all are there`);
  }
}

test('what happens to a captured table while Debezium streams', async (t) => {
  await using db = await createLegacyDatabase({ empty: true });
  await db.query(`
    CREATE TABLE docs (id bigint PRIMARY KEY, title text, body text);
    CREATE TABLE keyed (id bigint PRIMARY KEY, title text, body text);
    ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_pkey;
    ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
    ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL;`);
  await using connector = await startTestConnector({ database: db, tables: ['public.docs', 'public.keyed'] });
  await connector.streaming();
  const body = longText('a', 20_000);
  await db.query(`INSERT INTO docs VALUES (1, 'a', $1)`, [body]);
  await db.query(`INSERT INTO keyed VALUES (1, 'a', $1)`, [body]);
  const kafka = await testKafka();
  await untilTopics(kafka, [connector.topic('public.docs'), connector.topic('public.keyed')]);
  await using topics = await observeTopics(
    kafka,
    [connector.topic('public.docs'), connector.topic('public.keyed')],
    uniqueName('observer'),
  );
  const eventsOf = (table: string): ChangeEvent[] =>
    topics.messages.flatMap(({ topic, partition, offset, value }) => {
      if (topic !== connector.topic(table)) return [];
      const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
      return event === null ? [] : [event];
    });
  /** The event of `table` that `found` picks, once it is there. */
  const arrives = async (table: string, found: (event: ChangeEvent) => boolean): Promise<ChangeEvent> => {
    await topics.until(
      () => eventsOf(table).some(found),
      () => `not among ${eventsOf(table).length} events of ${table}`,
    );
    const event = eventsOf(table).find(found);
    assert.ok(event);
    return event;
  };

  await t.test('an UPDATE that leaves a TOAST column alone brings its whole value, under the identity that prepare sets', async () => {
    await db.query(`UPDATE docs SET title = 'b' WHERE id = 1`);
    const { after, before } = await arrives('public.docs', ({ op }) => op === 'u');
    assert.equal(after?.['title'], 'b');
    assert.equal(after['body'], body);
    assert.equal(before?.['body'], body);
  });

  await t.test('under a key-only identity it is the placeholder: never a null or an empty text that could pass for the value', async () => {
    await db.query(`UPDATE keyed SET title = 'b' WHERE id = 1`);
    const { after, before } = await arrives('public.keyed', ({ op }) => op === 'u');
    assert.equal(after?.['title'], 'b');
    assert.equal(after['body'], '__debezium_unavailable_value');
    assert.equal(before, null);
  });

  await t.test('a change of the key is a delete with tombstone and a create, TOAST value included', async () => {
    await db.query('UPDATE docs SET id = 2 WHERE id = 1');
    const created = await arrives('public.docs', ({ op, after }) => op === 'c' && after?.['id'] === 2);
    assert.equal(created.after?.['body'], body);
    const deleted = await arrives('public.docs', ({ op }) => op === 'd');
    assert.equal(deleted.before?.['id'], 1);
    assert.equal(deleted.source.txId, created.source.txId);
  });

  await t.test('columns added, filled, renamed and dropped while it streams show in the events from then on', async () => {
    await db.query(`ALTER TABLE docs ADD COLUMN price numeric(20,4) DEFAULT 1.5`);
    await db.query(`INSERT INTO docs (id, title, price) VALUES (10, 'ddl', 2.25)`);
    const added = await arrives('public.docs', ({ after }) => after?.['id'] === 10);
    assert.equal(added.after?.['price'], '2.2500');
    await db.query('ALTER TABLE docs RENAME COLUMN price TO cost');
    await db.query('ALTER TABLE docs ALTER COLUMN cost TYPE text USING cost::text');
    await db.query(`UPDATE docs SET title = 'renamed' WHERE id = 10`);
    const renamed = await arrives('public.docs', ({ after }) => after?.['title'] === 'renamed');
    assert.equal(renamed.after?.['cost'], '2.2500');
    assert.ok(renamed.after !== null && !('price' in renamed.after));
    await db.query('ALTER TABLE docs DROP COLUMN cost');
    await db.query(`UPDATE docs SET title = 'dropped' WHERE id = 10`);
    const dropped = await arrives('public.docs', ({ after }) => after?.['title'] === 'dropped');
    assert.deepEqual(Object.keys(dropped.after ?? {}), ['id', 'title', 'body']);
  });

  await t.test('a transaction of more than 10 MB arrives whole and in order', async () => {
    const rows = 600;
    await db.query(`INSERT INTO docs SELECT 1000 + n, n::text, repeat($1, 1) FROM generate_series(1, ${rows}) n`, [body]);
    await arrives('public.docs', ({ after }) => after?.['id'] === 1000 + rows);
    await topics.until(
      () => eventsOf('public.docs').filter(({ after }) => Number(after?.['id']) > 1000).length >= rows,
      () => 'not all rows of the transaction',
    );
    const large = eventsOf('public.docs').filter(({ after }) => Number(after?.['id']) > 1000);
    assert.equal(large.length, rows);
    assert.ok(large.every(({ after }) => after?.['body'] === body));
    assert.equal(new Set(large.map(({ source }) => source.txId)).size, 1);
    const orders = large.map(({ transaction }) => Number(transaction?.total_order)).toSorted((a, b) => a - b);
    assert.deepEqual(
      orders,
      Array.from({ length: rows }, (_, index) => index + 1),
    );
  });

  await t.test('a rolled back transaction brings nothing', async () => {
    await db.query(`BEGIN; INSERT INTO docs VALUES (5000, 'no', null); ROLLBACK`);
    await db.query(`INSERT INTO docs VALUES (5001, 'yes', null)`);
    await arrives('public.docs', ({ after }) => after?.['id'] === 5001);
    assert.ok(!eventsOf('public.docs').some(({ after }) => after?.['id'] === 5000));
  });
});

test('an incremental snapshot asked for through a topic needs no right to write in the source', async () => {
  await using db = await createLegacyDatabase();
  await db.query(
    `INSERT INTO customers (email, name, tier, created_at) SELECT 'c' || n, 'C', 'gold', now() FROM generate_series(1, 500) n`,
  );
  const kafka = await testKafka();
  const { brokers } = (await testStack()).kafka;
  const prefix = uniqueName('signals');
  {
    // Before the connector: Debezium begins a signal topic that it finds later at the end, behind what was written to it by then.
    await using admin = await kafka.admin();
    await admin.ensureTopics([{ topic: `${prefix}.signals`, partitions: 1, replicationFactor: 1 }]);
  }
  await using connector = await startTestConnector({
    database: db,
    prefix,
    tables: ['public.customers'],
    overrides: {
      'read.only': 'true',
      'signal.enabled.channels': 'kafka',
      'signal.kafka.topic': `${prefix}.signals`,
      'signal.kafka.bootstrap.servers': brokers,
      'signal.kafka.groupId': `${prefix}.signals`,
      'signal.poll.interval.ms': '200',
      'heartbeat.interval.ms': '300',
    },
  });
  await connector.streaming();
  await db.query('DROP TABLE cdc.signal');
  await using rows = await observeTopics(kafka, [connector.topic('public.customers')], uniqueName('observer'));
  const { name, config, client } = connector;
  const target = { name, config, client, kafka, source: db.replicator };
  const again = (): number => rows.messages.filter(({ value }) => value?.includes('"snapshot":"incremental"')).length;
  // Debezium begins a signal topic at its end as it is when it first looks, which may be after the connector streams; nothing says when it has. So it is
  // asked until it begins, as a person would.
  await waitFor(
    async () => {
      const { outcome } = await snapshotTables(target, { tables: ['public.customers'] }, { silenceMs: 60_000 });
      assert.equal(outcome, 'asked');
      return again() > 0;
    },
    { signal: AbortSignal.timeout(180_000), timeoutMs: 120_000, intervalMs: 5000, describe: 'the first row that is read again' },
  );
  await rows.until(
    () => again() >= 500,
    () => `${rows.messages.length} messages, ${again()} of them read again`,
  );
});

test('a database that cannot be reached is refused with its address, and nothing is created', async () => {
  await using db = await createLegacyDatabase();
  const client = await testConnect();
  const { file } = await prepareTestConnector({ database: db });
  try {
    const config = { ...file.config, 'database.hostname': '127.0.0.1', 'database.port': '1' };
    await assert.rejects(applyConnector(client, { name: file.name, config }), {
      code: 'CONNECTOR_CONFIG_INVALID',
      message: /database\.hostname: .*127\.0\.0\.1:1 refused/,
    });
    assert.equal(await client.config(file.name), null);
  } finally {
    await removeConnector(client, file.name, db.replicator);
  }
});
