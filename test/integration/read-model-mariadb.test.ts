import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { applyConnector, deleteConnector, snapshotTables, waitForStreaming, type ConnectClient } from '#connectors/index.ts';
import { mariadbConnectionOptions, silentLogger } from '#pipeline/index.ts';
import { openParkedEvents } from '#read-model/parking/retry-parked.ts';
import { removeTopics, testConnect } from '#test/support/connect.ts';
import { capturedMirrors } from '#test/support/captured-mirrors.ts';
import { orderView } from '#test/support/order-mirrors.ts';
import { createMariadbScene, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { prepareMariadbConnector, type PreparedMariadb } from '#test/support/mariadb-connector.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';

const tables = ['customers', 'products', 'orders', 'order_items'] as const;
const stamped = 'updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id)';
const id = 'id bigint PRIMARY KEY AUTO_INCREMENT';

/** The order system in MariaDB's types. */
const ddl = [
  `CREATE TABLE customers (${id}, email varchar(100) NOT NULL, name varchar(100) NOT NULL, tier enum('basic','gold') NOT NULL, credit_limit decimal(20,4),
     created_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), ${stamped})`,
  `CREATE TABLE products (${id}, sku varchar(50) NOT NULL, name varchar(100) NOT NULL, description longtext, price decimal(12,2) NOT NULL, active boolean NOT NULL, ${stamped})`,
  `CREATE TABLE orders (${id}, customer_id bigint NOT NULL, status varchar(20) NOT NULL, note text, placed_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), ${stamped})`,
  `CREATE TABLE order_items (${id}, order_id bigint NOT NULL, product_id bigint NOT NULL, quantity int NOT NULL, unit_price decimal(12,2) NOT NULL, ${stamped})`,
];
const rows = [
  "INSERT INTO customers (email, name, tier, credit_limit) VALUES ('a@x', 'Zoë 😀', 'gold', 99999999999999.9999), ('b@x', 'B', 'basic', NULL)",
  "INSERT INTO products (sku, name, description, price, active) VALUES ('p1', 'One', REPEAT('long ', 4000), 1.50, true), ('p2', 'Two', NULL, 20.00, false)",
  "INSERT INTO orders (customer_id, status, note) VALUES (1, 'new', 'n'), (2, 'paid', NULL), (2, 'paid', NULL)",
  'INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (1, 1, 2, 1.50), (2, 2, 1, 20.00), (3, 1, 1, 1.00)',
];

const inModel = {
  customers: `SELECT id, email, name, tier, credit_limit, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM model.customers ORDER BY id`,
  products: 'SELECT id, sku, name, md5(description), price, active::int FROM model.products ORDER BY id',
  orders: `SELECT id, customer_id, status, note, to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM model.orders ORDER BY id`,
  order_items: 'SELECT id, order_id, product_id, quantity, unit_price FROM model.order_items ORDER BY id',
};
const inSource = {
  customers: 'SELECT id, email, name, tier, credit_limit, created_at FROM customers ORDER BY id',
  products: 'SELECT id, sku, name, MD5(description), price, active FROM products ORDER BY id',
  orders: 'SELECT id, customer_id, status, note, updated_at FROM orders ORDER BY id',
  order_items: 'SELECT id, order_id, product_id, quantity, unit_price FROM order_items ORDER BY id',
};

async function same(scene: MariadbScene, model: ReadModelFixture, which: readonly (typeof tables)[number][] = tables): Promise<void> {
  for (const table of which) {
    const expected = JSON.stringify(await scene.query(inSource[table]));
    await eventually(
      async () => JSON.stringify((await model.read.query(inModel[table])).map((row) => Object.values(row))),
      (found) => found === expected,
    );
  }
}

suite('the read model on MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  let scene: MariadbScene;
  let prepared: PreparedMariadb;
  let client: ConnectClient;
  /** Fed by the connector, row by row and by transactions; and by the poller. */
  let byRow: ReadModelFixture;
  let whole: ReadModelFixture;
  let polled: ReadModelFixture;
  const resources = new AsyncDisposableStack();

  before(async () => {
    client = await testConnect();
    scene = resources.use(await createMariadbScene([...ddl, ...rows], { tables: tables.map((table) => ({ table, overlapMs: 5000 })) }));
    prepared = resources.use(await prepareMariadbConnector(scene.database, tables));
    const { name } = prepared.file;
    resources.defer(async () => {
      await deleteConnector(client, name, undefined, { forgetPosition: true });
      await removeTopics(name);
    });
    const mirrors = await capturedMirrors(
      scene.config.legacyDb,
      tables.map((table) => `${scene.database}.${table}`),
    );
    byRow = resources.use(await createReadModel({ topics: false, prefix: name, mirrors, projections: orderView }));
    whole = resources.use(
      await createReadModel({
        topics: false,
        prefix: name,
        mirrors,
        projections: orderView,
        settings: { consistency: 'transaction', transactionBufferMb: 1 },
      }),
    );
    polled = resources.use(await createReadModel({ topics: false, prefix: scene.name, mirrors, projections: orderView }));
    resources.use(startTestPoller(scene.config));
    await applyConnector(client, prepared.file);
    await waitForStreaming(client, name, { timeoutMs: 60_000 });
    for (const model of [byRow, whole, polled]) {
      resources.use(await model.start());
    }
  });

  after(async () => {
    await resources.disposeAsync();
  });

  test('every value of the order system, from snapshot and first poll', async () => {
    for (const model of [byRow, whole, polled]) await same(scene, model);
  });

  test('updates and a transaction over two tables; from the log also a changed key and a delete; the order view; how fresh it is', async () => {
    await scene.query("UPDATE customers SET name = 'changed', tier = 'basic' WHERE id = 1");
    await scene.query('START TRANSACTION');
    await scene.query("INSERT INTO orders (customer_id, status) VALUES (1, 'tx')");
    await scene.query('INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (4, 2, 3, 20.00)');
    await scene.query('COMMIT');
    for (const model of [byRow, whole, polled]) await same(scene, model);
    await scene.query('UPDATE orders SET id = 40 WHERE id = 3');
    await scene.query('DELETE FROM order_items WHERE id = 3');
    const [[now] = []] = await scene.query('SELECT CURRENT_TIMESTAMP(6)');
    for (const model of [byRow, whole]) {
      await same(scene, model);
      const view = await model.read.query('SELECT order_id, customer_name, item_count, total FROM model.order_view ORDER BY order_id');
      assert.deepEqual(
        view.map((row) => Object.values(row)),
        [
          ['1', 'changed', '1', '3.00'],
          ['2', 'B', '1', '20.00'],
          ['4', 'changed', '1', '60.00'],
          ['40', 'B', '0', '0'],
        ],
      );
      // Heartbeats beat when something is written; a quiet server's own sign of life comes each 48 s.
      await eventually(
        async () => {
          await scene.query("UPDATE customers SET tier = IF(tier = 'gold', 'basic', 'gold') WHERE id = 2");
          return model.read.query(`SELECT as_of >= '${now}+00' AS fresh FROM model.freshness`);
        },
        ([row]) => row?.['fresh'] === 't',
      );
    }
  });

  test('a TRUNCATE is parked, since a binlog does not say which rows of other partitions it removed; retry and a snapshot end it', async () => {
    await scene.query('TRUNCATE order_items');
    await scene.query('INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT 1, 1, seq, 1 FROM seq_1_to_20');
    const { signal } = new AbortController();
    for (const model of [byRow, whole]) {
      await using parked = await openParkedEvents(model.config, model.schema, silentLogger, signal);
      const [event] = await eventually(
        () => parked.list({}),
        (events) => events.length === 1,
      );
      assert.match(event?.cause ?? '', /TRUNCATE without a position of the log .*cdc connectors snapshot/);
      await eventually(
        () => model.read.query('SELECT count(*) FROM model.order_items WHERE quantity > 3'),
        ([row]) => row?.['count'] === '17',
      );
      await parked.retry({});
      assert.deepEqual(await parked.list({}), []);
    }
    const { name, config } = prepared.file;
    const { host, port } = scene.config.legacyDb;
    const source = { dialect: 'mariadb', connection: mariadbConnectionOptions({ host, port }, prepared.replicator, 'test') } as const;
    const request = { tables: [`${scene.database}.order_items`] };
    await snapshotTables({ name, config, client, kafka: scene.kafka, source }, request, { silenceMs: 60_000 });
    for (const model of [byRow, whole]) await same(scene, model);
  });
});
