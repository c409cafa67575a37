import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { unavailableValue } from '#change-events/index.ts';
import { StaleMirrorError } from '#read-model/apply/write-changes.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import {
  customer,
  eventValue,
  nextLsn,
  order,
  product,
  rekey,
  remove,
  tombstone,
  upsert,
  type Columns,
} from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { testStack } from '#test/support/stack.ts';

const large = (letter: string): string => letter.repeat(9000);

/** Moves product 1 to id 2 while its long description is unchanged, in partitions of their own. */
async function moved(direct: DirectModel, steps: (move: ReturnType<typeof rekey>) => Promise<void>): Promise<void> {
  await direct.place('products', 0);
  await direct.place('products', 1);
  await steps(rekey('products', 1, { ...product(2, 'moved'), description: unavailableValue }));
}

async function products(direct: DirectModel): Promise<unknown> {
  return direct.read.query(
    'SELECT id, name, left(description, 1) AS description, length(description) AS length FROM model.products ORDER BY id',
  );
}

const arrived = [{ id: '2', name: 'moved', description: 'b', length: '9000' }];

test(
  'a changed key keeps unchanged TOAST columns, as they were last, whichever of its events comes first',
  { timeout: 150_000 },
  async () => {
    const before = [
      upsert('products', { ...product(1), description: large('a') }),
      upsert('products', { ...product(1), description: large('b') }, 'u'),
    ];
    const orderings = [
      'leaves first',
      'comes first',
      'comes before the last update of the old key',
      'one transaction',
      'at the same moment',
    ] as const;
    for (const ordering of orderings) {
      await using direct = await createDirectModel();
      const model = { ...direct.model, parkMost: 10 };
      await moved(direct, async ({ leaves, comes }) => {
        const apply = (...batches: Parameters<typeof commitBatches>[2]): Promise<void> => commitBatches(direct.pool, model, batches);
        const old = (offset: number, messages: Parameters<DirectModel['batch']>[2]) =>
          direct.batch('products', offset, messages, { partition: 0 });
        const fresh = direct.batch(
          'products',
          0,
          [comes, upsert('products', { ...product(2, 'moved'), description: unavailableValue }, 'u')],
          {
            partition: 1,
          },
        );
        if (ordering === 'leaves first') {
          await apply(old(0, [...before, ...leaves]));
          await apply(fresh);
        } else if (ordering === 'comes first') {
          await apply(old(0, before));
          await apply(fresh);
          assert.deepEqual(await direct.read.query('SELECT code FROM model.parked_events ORDER BY event_offset'), [
            { code: 'AWAITS_ROW' },
            { code: 'BEHIND' },
          ]);
          await apply(old(2, leaves));
        } else if (ordering === 'comes before the last update of the old key') {
          await apply(old(0, before.slice(0, 1)));
          await apply(fresh);
          await apply(old(1, before.slice(1)));
          await apply(old(2, leaves));
        } else if (ordering === 'one transaction') {
          await apply(fresh, old(0, [...before, ...leaves]));
        } else {
          await apply(old(0, before));
          await Promise.all([apply(old(2, leaves)), apply(fresh)]);
        }
      });
      assert.deepEqual(await products(direct), arrived, ordering);
      assert.deepEqual(await direct.read.query(`SELECT id FROM model.parked_events WHERE state = 'parked'`), [], ordering);
    }
  },
);

test('an event that awaits a row whose own events are parked comes with them when they are retried, and replays do no harm', async () => {
  await using direct = await createDirectModel();
  const model = { ...direct.model, parkMost: 10 };
  await moved(direct, async ({ leaves, comes }) => {
    const old = direct.batch('products', 0, [upsert('products', { ...product(1), description: large('b') }), ...leaves], { partition: 0 });
    const fresh = direct.batch('products', 0, [comes], { partition: 1 });
    await direct.read.query(`ALTER TABLE model.products ADD CONSTRAINT refuse CHECK (id <> 1)`);
    await commitBatches(direct.pool, model, [old], { parkFailing: true });
    await commitBatches(direct.pool, model, [fresh], { parkFailing: true });
    assert.deepEqual(await products(direct), []);
    await direct.read.query(`ALTER TABLE model.products DROP CONSTRAINT refuse`);
    await direct.retry();
    assert.deepEqual(await products(direct), arrived);
    for (const batches of [[old], [fresh], [fresh, old]]) {
      await direct.read.query('UPDATE model.applied_offsets SET next_offset = 0');
      await commitBatches(direct.pool, model, batches, { parkFailing: true });
      assert.deepEqual(await products(direct), arrived);
    }
  });
});

test('the topic decides: repeated, late and re-read events end in the last one of each key', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const history = [
    upsert('orders', order(1, 1, 'created')),
    upsert('orders', order(2, 1, 'created')),
    upsert('orders', order(1, 1, 'paid'), 'u'),
    ...remove('orders', 2),
    // An incremental snapshot reads a row that the log has reported: Debezium drops it if that happened meanwhile, so it is the newer one.
    { key: '{"id":1}', value: eventValue({ table: 'orders', op: 'r', after: order(1, 1, 'read again'), lsn: nextLsn() - 1000 }) },
    tombstone(3),
  ];
  const expected = [{ id: '1', status: 'read again' }];
  await commitBatches(direct.pool, direct.model, [direct.batch('orders', 0, history)]);
  assert.deepEqual(await direct.read.query('SELECT id, status FROM model.orders'), expected);
  // What a connector without exactly-once repeats after a crash is a suffix of what it wrote.
  for (let from = 0; from < history.length; from += 1) {
    const [row] = await direct.read.query('SELECT next_offset FROM model.applied_offsets');
    await commitBatches(direct.pool, direct.model, [direct.batch('orders', Number(row?.['next_offset']), history.slice(from))]);
    assert.deepEqual(await direct.read.query('SELECT id, status FROM model.orders'), expected, `repeated from ${from}`);
  }
});

test('who writes with the columns of before another process followed the source is refused, and nothing is lost', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const late = direct.batch('orders', 0, [upsert('orders', order(1, 1))]);
  await direct.read.query(
    `ALTER TABLE model.orders ADD COLUMN extra text; UPDATE model.mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = 'orders'`,
  );
  await assert.rejects(commitBatches(direct.pool, direct.model, [late]), StaleMirrorError);
  assert.deepEqual(await direct.read.query('SELECT next_offset FROM model.applied_offsets'), [{ next_offset: '0' }]);
});

function item(id: number, more: Columns): Columns & { readonly id: number } {
  return { id, order_id: 1, product_id: 1, quantity: 1, unit_price: '1.00', updated_at: '2026-11-22T15:00:00Z', ...more };
}

test('columns come, go and grow, and nothing is parked for it', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await using running = await model.start();
  await using second = await model.start();
  const { quantity: _quantity, ...withoutQuantity } = item(5, {});
  await model.send('order_items', [
    upsert('order_items', item(1, { gift: null })),
    upsert('order_items', item(2, { gift: true, weight: 1.5, label: 'a "b"', tags: ['x', null], info: '{"a":1}' })),
    upsert('order_items', item(3, { gift: null, weight: 9007199254740993n, label: null, tags: [['y']] })),
    upsert('order_items', item(3, { gift: false, weight: 1, label: unavailableValue, tags: [unavailableValue] }), 'u'),
    upsert('order_items', item(4, { quantity: 3_000_000_000 })),
    upsert('order_items', { ...withoutQuantity, id: 5 }),
    upsert('order_items', item(7, {})),
  ]);
  await model.send('customers', [upsert('customers', customer(1))]);
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT id, quantity, gift, weight, label, tags, info FROM model.order_items ORDER BY id'), [
    { id: '1', quantity: '1', gift: null, weight: null, label: null, tags: null, info: null },
    { id: '2', quantity: '1', gift: 't', weight: '1.5', label: 'a "b"', tags: '["x",null]', info: '{"a":1}' },
    { id: '3', quantity: '1', gift: 'f', weight: '1', label: null, tags: '[["y"]]', info: null },
    { id: '4', quantity: '3000000000', gift: null, weight: null, label: null, tags: null, info: null },
    { id: '5', quantity: null, gift: null, weight: null, label: null, tags: null, info: null },
    { id: '7', quantity: '1', gift: null, weight: null, label: null, tags: null, info: null },
  ]);
  assert.deepEqual(await model.read.query('SELECT event_offset, cause FROM model.parked_events'), []);
  assert.deepEqual(await model.read.query('SELECT id FROM model.customers'), [{ id: '1' }]);
  void running;
  void second;
});

/** The rows of the source as both databases print them alike. */
const docsQuery = (schema: string): string =>
  `SELECT id, md5(t) AS t, md5(j::text) AS j, md5(b::text) AS b, md5(a::text) AS a, md5(ta::text) AS ta, n, k FROM ${schema}.docs ORDER BY id`;

const captures = [
  { identity: 'DEFAULT', format: 'JSON', file: 'legacy-orders.json' },
  { identity: 'FULL', format: 'JSON', file: 'legacy-orders.json' },
  { identity: 'DEFAULT', format: 'Avro', file: 'legacy-orders-avro.json' },
] as const;
for (const { identity, format, file } of captures) {
  const name = `Debezium, replica identity ${identity}, ${format}: TOAST of text, jsonb, bytea and arrays, changed keys, changed columns`;
  test(name, { timeout: 200_000 }, async () => {
    await using db = await createLegacyDatabase();
    await using model = await createReadModel({ topics: false, schemaRegistry: (await testStack()).schemaRegistry });
    const source = new Client(db.owner);
    await source.connect();
    try {
      await source.query(
        `CREATE TABLE public.docs (id bigint PRIMARY KEY, t text, j jsonb, b bytea, a integer[], ta text[], n integer, k text NOT NULL DEFAULT 'kept');
       ALTER TABLE docs ALTER t SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL, ALTER ta SET STORAGE EXTERNAL`,
      );
      await model.read.query(
        `CREATE TABLE model.docs (id bigint PRIMARY KEY, t text, j jsonb, b bytea, a integer[], ta text[], n integer, k text, _lsn bigint);
       INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('docs', 'public', 'docs')`,
      );
      await using connector = await startTestConnector({
        database: db,
        prefix: model.prefix,
        file,
        tables: ['public.docs'],
      });
      await source.query(`ALTER TABLE docs REPLICA IDENTITY ${identity}`);
      await connector.streaming();
      await using running = await model.start();
      await source.query(
        `INSERT INTO docs SELECT i, repeat(i::text, 9000), to_jsonb(repeat(i::text, 9000)), decode(repeat('0' || i, 5000), 'hex'),
                               (SELECT array_agg(g * i) FROM generate_series(1, 3000) g), (SELECT array_agg('t' || g * i) FROM generate_series(1, 3000) g), i FROM generate_series(1, 6) i`,
      );
      await source.query('UPDATE docs SET n = n + 1');
      // Over all partitions, some of them there and back, with changes in between.
      await source.query('UPDATE docs SET id = id + 100, n = n + 1');
      await source.query(`UPDATE docs SET t = repeat('t', 7000) WHERE id = 101`);
      await source.query('UPDATE docs SET id = id - 100 WHERE id < 104');
      await source.query(
        'BEGIN; UPDATE docs SET id = 50 WHERE id = 1; UPDATE docs SET id = 1 WHERE id = 50; DELETE FROM docs WHERE id = 2; COMMIT',
      );
      await source.query(`ALTER TABLE docs ALTER n TYPE bigint, ADD COLUMN more text`);
      await source.query(`UPDATE docs SET n = 9007199254740993, more = 'more' WHERE id = 106`);
      const expected = (await source.query<Record<string, string>>({ text: docsQuery('public'), types: { getTypeParser: () => String } }))
        .rows;
      assert.equal(expected.length, 5);
      await eventually(
        () => model.read.query(docsQuery('model')),
        (rows) => JSON.stringify(rows) === JSON.stringify(expected),
        30_000,
      );
      assert.deepEqual(await model.read.query('SELECT id, more FROM model.docs WHERE more IS NOT NULL'), [{ id: '106', more: 'more' }]);
      assert.deepEqual(await model.read.query(`SELECT cause FROM model.parked_events WHERE state = 'parked'`), []);
      await source.query('ALTER TABLE docs DROP COLUMN n');
      await source.query(`UPDATE docs SET more = 'less' WHERE id = 105; TRUNCATE docs; INSERT INTO docs (id, t) VALUES (7, 'after')`);
      await eventually(
        () => model.read.query('SELECT id, t, n FROM model.docs'),
        (rows) => JSON.stringify(rows) === JSON.stringify([{ id: '7', t: 'after', n: null }]),
      );
      void running;
    } finally {
      await source.end();
    }
  });
}
