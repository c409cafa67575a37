import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import type { Kafka, OutgoingMessage } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import type { PartitionBatch } from '#read-model/apply/partition-batch.ts';
import { rebuild } from '#read-model/rebuild/rebuild.ts';
import { HaltedTableError } from '#read-model/faults/halts.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { createDirectModel } from '#test/support/direct-apply.ts';
import { groupHolders } from '#test/support/group-holders.ts';
import { withConsumers } from '#test/support/kafka.ts';
import { customer, order, product, upsert } from '#test/support/order-events.ts';
import { eventually, type ReadRow } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { runWith } from '#test/support/run-model.ts';

type Halted = { readonly topic: string; readonly partition: number; readonly cause: string; readonly remedy: string };

async function halted(model: ReadModelFixture): Promise<readonly Halted[]> {
  const status = await partitionStatus(model.config);
  return status.flatMap(({ topic, partition, halted: halt }) => {
    if (halt === null) return [];
    assert.equal(halt.code, 'READ_MODEL_SCHEMA_CHANGED');
    return [{ topic, partition, cause: halt.cause, remedy: halt.remedy }];
  });
}

const sameRows = async (model: ReadModelFixture, sql: string, rows: readonly ReadRow[]): Promise<void> => {
  await eventually(
    () => model.read.query(sql),
    (found) => JSON.stringify(found) === JSON.stringify(rows),
  );
};

test(
  'a change of the source that a mirror does not follow stops that table alone, is reported, and goes on when the mirror is fixed',
  { timeout: 200_000 },
  async () => {
    await using db = await createLegacyDatabase();
    await using model = await createReadModel({ topics: false });
    const source = new Client(db.owner);
    await source.connect();
    try {
      await source.query(
        `CREATE TABLE things (id bigint PRIMARY KEY, flag boolean, n integer); CREATE TABLE others (id bigint PRIMARY KEY, n integer)`,
      );
      await model.read.query(
        `CREATE TABLE model.things (id bigint PRIMARY KEY, flag boolean, n integer, _lsn bigint);
         CREATE TABLE model.others (id bigint PRIMARY KEY, n integer, _lsn bigint);
         INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table)
         VALUES ('things', 'public', 'things'), ('others', 'public', 'others')`,
      );
      await using connector = await startTestConnector({ database: db, prefix: model.prefix, tables: ['public.things', 'public.others'] });
      await connector.streaming();
      await using running = await model.start();
      await source.query(`INSERT INTO things SELECT i, true, i FROM generate_series(1, 20) i; INSERT INTO others VALUES (1, 1)`);
      await sameRows(model, 'SELECT count(*) FROM model.things', [{ count: '20' }]);

      // Told by the event: JSON has text where the mirror wants true or false. Told by Postgres: text that is no integer.
      const changes = [
        { column: 'flag', type: `text USING CASE WHEN flag THEN 'on' END`, cause: /column flag: expected true or false, got "on"/ },
        { column: 'n', type: `text USING 'n' || n`, cause: /invalid input syntax for type integer: "n1?\d"/ },
      ] as const;
      for (const [round, { column, type, cause }] of changes.entries()) {
        await source.query(`ALTER TABLE things ALTER ${column} TYPE ${type}`);
        await source.query(`UPDATE things SET flag = flag; INSERT INTO others VALUES (${round + 2}, 1)`);
        const stopped = await eventually(
          () => halted(model),
          (found) => found.length > 0,
        );
        assert.match(stopped[0]?.cause ?? '', cause);
        assert.match(stopped[0]?.cause ?? '', /mirror things of public\.things halts before topic \S+, partition \d, offset \d+/);
        assert.match(stopped[0]?.remedy ?? '', /ALTER COLUMN/);
        await sameRows(model, 'SELECT count(*) FROM model.others', [{ count: String(round + 2) }]);
        assert.deepEqual(await model.read.query('SELECT id FROM model.parked_events'), []);
        await model.read.query(`ALTER TABLE model.things ALTER ${column} TYPE text`);
        const rows = await source.query<ReadRow>({
          text: 'SELECT id, flag, n FROM things ORDER BY id',
          types: { getTypeParser: () => String },
        });
        await sameRows(model, 'SELECT id, flag, n FROM model.things ORDER BY id', rows.rows);
        assert.deepEqual(await halted(model), []);
      }
      void running;
    } finally {
      await source.end();
    }
  },
);

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(
    `${client}: what comes before the event is applied, all partitions of the table halt, others go on, also after a restart; a rebuild says why it cannot be`,
    { timeout: 150_000 },
    async () => {
      await using model = await createReadModel({ client });
      const orders = 'SELECT id FROM model.orders ORDER BY id';
      const misfit = { ...order(3, 1), note: { no: 'text' } };
      {
        await using running = await model.start();
        await model.send('orders', [upsert('orders', order(1, 1)), upsert('orders', order(2, 1)), upsert('orders', misfit)]);
        const [stopped, ...more] = await eventually(
          () => halted(model),
          (found) => found.length > 0,
        );
        assert.equal(stopped?.topic, model.topic('orders'));
        assert.deepEqual(more, []);
        await sameRows(model, orders, [{ id: '1' }, { id: '2' }]);
        await model.send(
          'orders',
          Array.from({ length: 30 }, (_, index) => upsert('orders', order(index + 10, 1))),
        );
        await model.send('customers', [upsert('customers', customer(1))]);
        await sameRows(model, 'SELECT id FROM model.customers', [{ id: '1' }]);
        await sameRows(model, orders, [{ id: '1' }, { id: '2' }]);
        void running;
      }
      await assert.rejects(
        rebuild({ config: model.config, model: 'model', logger: silentLogger, signal: AbortSignal.timeout(120_000) }, true),
        (error) => error instanceof CdcError && error.code === 'READ_MODEL_SCHEMA_CHANGED' && error.message.includes('note'),
      );
      await using again = await model.start();
      await model.send('products', [upsert('products', product(1))]);
      await sameRows(model, 'SELECT id FROM model.products', [{ id: '1' }]);
      assert.equal((await halted(model)).length, 1);
      await sameRows(model, orders, [{ id: '1' }, { id: '2' }]);
      await model.read.query(
        'ALTER TABLE model.orders ALTER note TYPE jsonb USING to_jsonb(note); ALTER TABLE model.order_view ALTER note TYPE jsonb USING to_jsonb(note)',
      );
      await model.caughtUp();
      await sameRows(model, 'SELECT count(*), max(note::text) AS note FROM model.orders', [{ count: '33', note: '{"no": "text"}' }]);
      assert.deepEqual(await halted(model), []);
      void again;
    },
  );
}

test(
  'refused by Postgres in the middle of a batch: what comes before the event is applied, the event and what follows when it fits',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    await model.send('products', [
      ...[1, 2].map((id) => upsert('products', product(id))),
      upsert('products', { ...product(3), price: 'much' }),
      upsert('products', product(4)),
    ]);
    await using running = await model.start();
    await eventually(
      () => halted(model),
      (found) => found.length === 1 && /offset 2: invalid input syntax for type numeric: "much"/.test(found[0]?.cause ?? ''),
    );
    assert.deepEqual(await model.read.query('SELECT id FROM model.products ORDER BY id'), [{ id: '1' }, { id: '2' }]);
    assert.deepEqual(await model.read.query(`SELECT next_offset FROM model.applied_offsets WHERE topic = $1`, [model.topic('products')]), [
      { next_offset: '2' },
    ]);
    await model.read.query('ALTER TABLE model.products ALTER price TYPE text');
    await model.caughtUp();
    await sameRows(model, 'SELECT id FROM model.products ORDER BY id', [{ id: '1' }, { id: '2' }, { id: '3' }, { id: '4' }]);
    void running;
  },
);

test('onSchemaChange: park parks such events like others, and their keys only', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1, settings: { onSchemaChange: 'park' } });
  await using running = await model.start();
  await model.send('customers', [
    upsert('customers', { ...customer(1), credit_limit: 'much' }),
    upsert('customers', { ...customer(2), email: ['no text'] }),
    upsert('customers', customer(3)),
    upsert('customers', customer(1, 'behind'), 'u'),
  ]);
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT id FROM model.customers'), [{ id: '3' }]);
  assert.deepEqual(await model.read.query('SELECT code, event_offset FROM model.parked_events ORDER BY event_offset'), [
    { code: 'READ_MODEL_EVENT_INAPPLICABLE', event_offset: '0' },
    { code: 'READ_MODEL_SCHEMA_CHANGED', event_offset: '1' },
    { code: 'BEHIND', event_offset: '3' },
  ]);
  const [log] = await model.read.query('SELECT sum(events) AS events, sum(parked) AS parked FROM model.apply_log');
  assert.deepEqual(log, { events: '1', parked: '3' });
  assert.deepEqual(await halted(model), []);
  void running;
});

function inPartition(partition: number, ...rows: readonly Parameters<typeof upsert>[1][]): OutgoingMessage[] {
  return rows.map((row) => ({ ...upsert('orders', row), partition }));
}

test(
  'two processes share a table: while one halts before an event that does not fit, the other applies nothing more of the table, and both go on by themselves',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 2 });
    const orders = 'SELECT id FROM model.orders ORDER BY id';
    await using one = await model.start();
    await using other = await model.start();
    // Partition 0 of each topic goes to one, partition 1 to the other.
    await eventually(
      () => groupHolders(model.groupId),
      (found) => found.length === 2 && found.every(([, partitions]) => partitions === 4),
    );
    await model.send('orders', [...inPartition(0, order(1, 1)), ...inPartition(1, order(2, 1))]);
    await model.caughtUp();
    await model.send('orders', inPartition(0, { ...order(3, 1), note: { no: 'text' } }));
    await eventually(
      () => halted(model),
      (found) => found.length === 1,
    );
    await model.send('orders', inPartition(1, order(4, 1), order(5, 1)));
    // Another table's events pass meanwhile, one after the other, so that it had its time.
    for (const id of [1, 2, 3]) {
      await model.send('customers', [{ ...upsert('customers', customer(id)), partition: 1 }]);
      await sameRows(model, `SELECT id FROM model.customers WHERE id = ${id}`, [{ id: String(id) }]);
    }
    await sameRows(model, orders, [{ id: '1' }, { id: '2' }]);
    assert.equal((await halted(model)).length, 1);
    await model.read.query(
      'ALTER TABLE model.orders ALTER note TYPE jsonb USING to_jsonb(note); ALTER TABLE model.order_view ALTER note TYPE jsonb USING to_jsonb(note)',
    );
    await model.caughtUp();
    await sameRows(
      model,
      orders,
      ['1', '2', '3', '4', '5'].map((id) => ({ id })),
    );
    assert.deepEqual(await halted(model), []);
    void one;
    void other;
  },
);

/** Counts how often a partition is paused. */
function countingPauses(kafka: Kafka, onPause: () => void): Kafka {
  return withConsumers(kafka, (options) => ({
    onBatch: (batch, control) =>
      options.onBatch(batch, {
        ...control,
        pause: (ms) => {
          onPause();
          control.pause(ms);
        },
      }),
  }));
}

test(
  'a partition that is refused because its table halts at another process pauses, and is not tried again and again',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 2 });
    let pauses = 0;
    const kafka = countingPauses(model.kafka, () => {
      pauses += 1;
    });
    await using running = await runWith(model, kafka, { mismatches: 'halt', haltsWholeTables: true });
    await model.send('orders', inPartition(1, order(1, 1)));
    await model.caughtUp();
    // Another process, after this one had looked.
    await model.read.query(
      `INSERT INTO model.halted_partitions (topic, partition, event_offset, code, cause, remedy) VALUES ($1, 0, 0, 'c', 'c', 'r')`,
      [model.topic('orders')],
    );
    await model.send('orders', inPartition(1, order(2, 1)));
    await eventually(
      async () => pauses,
      (count) => count >= 2,
    );
    await sameRows(model, 'SELECT id FROM model.orders ORDER BY id', [{ id: '1' }]);
    await model.read.query('DELETE FROM model.halted_partitions');
    await model.caughtUp();
    await sameRows(model, 'SELECT id FROM model.orders ORDER BY id', [{ id: '1' }, { id: '2' }]);
    void running;
  },
);

test('the database refuses a table that halts elsewhere, lets the partition itself and other tables pass, and all of it when that is past the event', async () => {
  await using direct = await createDirectModel();
  const model = { ...direct.model, haltsWholeTables: true };
  for (const partition of [0, 1, 2]) await direct.place('orders', partition);
  await direct.place('customers');
  const stopped = (partition: number, offset: number): Promise<unknown> =>
    direct.read.query(
      `INSERT INTO model.halted_partitions (topic, partition, event_offset, code, cause, remedy) VALUES ('orders', $1, $2, 'c', 'c', 'r')`,
      [partition, offset],
    );
  const batch = (partition: number, offset: number): PartitionBatch =>
    direct.batch('orders', offset, [upsert('orders', order(10 * partition + offset, 1))], { partition });
  await stopped(0, 1);
  const other = direct.batch('customers', 0, [upsert('customers', customer(1))]);
  await assert.rejects(commitBatches(direct.pool, model, [batch(1, 0), other]), HaltedTableError);
  await assert.rejects(commitBatches(direct.pool, model, [batch(0, 0), batch(1, 0)]), HaltedTableError);
  assert.deepEqual(await direct.read.query('SELECT DISTINCT next_offset FROM model.applied_offsets'), [{ next_offset: '0' }]);
  await commitBatches(direct.pool, model, [other]);
  // Two that halt both pass when their mirror was fixed, in either order.
  await stopped(1, 0);
  await commitBatches(direct.pool, model, [batch(1, 0)]);
  await assert.rejects(commitBatches(direct.pool, model, [batch(1, 1)]), HaltedTableError);
  await commitBatches(direct.pool, model, [batch(0, 0)]);
  await commitBatches(direct.pool, model, [batch(0, 1)]);
  await commitBatches(direct.pool, model, [batch(0, 2), batch(1, 1), batch(2, 0)]);
  assert.deepEqual(await direct.read.query('SELECT count(*) FROM model.orders'), [{ count: '6' }]);
});
