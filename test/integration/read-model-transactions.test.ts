import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { repeat } from '#test/support/repeat.ts';

/** An order's note says what its items add up to: every transaction keeps that true. Orders where it is not. */
const tornQuery = `
  SELECT count(*) AS torn FROM SCHEMA.orders o
   WHERE o.note::numeric IS DISTINCT FROM (SELECT sum(i.quantity * i.unit_price) FROM SCHEMA.order_items i WHERE i.order_id = o.id)`;
const stateQuery = `SELECT (SELECT md5(string_agg(o.id || ':' || o.note, ',' ORDER BY o.id)) FROM SCHEMA.orders o) AS orders,
                           (SELECT md5(string_agg(i.id || ':' || i.quantity, ',' ORDER BY i.id)) FROM SCHEMA.order_items i) AS items`;
const orders = 30;
const itemsPerOrder = 6;

type Row = Record<string, string>;

async function ask(client: Client, sql: string): Promise<Row[]> {
  return (await client.query<Row>({ text: sql.replaceAll('SCHEMA', 'public'), types: { getTypeParser: () => String } })).rows;
}

async function seed(db: LegacyDatabase): Promise<void> {
  const client = new Client(db.owner);
  await client.connect();
  await client.query(
    `INSERT INTO customers (email, name, tier) VALUES ('a@example.test', 'Ada', 'basic');
     INSERT INTO products (sku, name, description, price, active) VALUES ('S', 'P', 'd', 1, true);
     INSERT INTO orders (customer_id, status, note) SELECT 1, 'new', '${itemsPerOrder}.00' FROM generate_series(1, ${orders});
     INSERT INTO order_items (order_id, product_id, quantity, unit_price)
       SELECT o, 1, 1, 1 FROM generate_series(1, ${orders}) o, generate_series(1, ${itemsPerOrder})`,
  );
  await client.end();
}

/** Changes all items and the note of random orders, one transaction each, until it is stopped. */
async function write(db: LegacyDatabase): Promise<{ count(): number; stop(): Promise<void> }> {
  const client = new Client(db.owner);
  await client.connect();
  let count = 0;
  let ended = false;
  const writing = repeat(async () => {
    const order = 1 + Math.floor(Math.random() * orders);
    await client.query(
      `BEGIN; SELECT FROM orders WHERE id = ${order} FOR UPDATE;
       UPDATE order_items SET quantity = 1 + floor(random() * 9) WHERE order_id = ${order};
       UPDATE orders SET note = (SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = ${order}) WHERE id = ${order};
       COMMIT`,
    );
    count += 1;
    await delay(3);
  });
  return {
    count: () => count,
    async stop() {
      await writing.stop();
      if (!ended) await client.end();
      ended = true;
    },
  };
}

type Seen = { readonly torn: number; readonly states: number };

/** A reader that sums items against order totals again and again. */
function watch(model: ReadModelFixture): { seen(): Seen; stop(): Promise<Seen> } {
  const states = new Set<string>();
  let torn = 0;
  const watching = repeat(async () => {
    const [row] = await model.read.query(
      `SELECT (${tornQuery}) AS torn, (SELECT max(updated_at) FROM SCHEMA.orders) AS at`.replaceAll('SCHEMA', 'model'),
    );
    if (Number(row?.['torn']) > 0) torn += 1;
    states.add(row?.['at'] ?? '');
    await delay(5);
  });
  const seen = (): Seen => ({ torn, states: states.size });
  return {
    seen,
    async stop() {
      await watching.stop();
      return seen();
    },
  };
}

test(
  'under load a reader never sees a torn order with consistency: transaction, and does see one with row',
  { timeout: 250_000 },
  async () => {
    await using db = await createLegacyDatabase();
    await seed(db);
    await using rows = await createReadModel({ topics: false });
    await using whole = await createReadModel({
      topics: false,
      prefix: rows.prefix,
      settings: { consistency: 'transaction', transactionBufferMb: 1 },
    });
    await using connector = await startTestConnector({ database: db, prefix: rows.prefix });
    await connector.streaming();
    const source = new Client(db.owner);
    await source.connect();
    const inSync = async (model: ReadModelFixture): Promise<void> => {
      const expected = JSON.stringify(await ask(source, stateQuery));
      await eventually(
        () => model.read.query(stateQuery.replaceAll('SCHEMA', 'model')),
        (state) => JSON.stringify(state) === expected,
        60_000,
      );
    };
    const cleanUp: { stop(): Promise<unknown> }[] = [];
    try {
      await using byRow = await rows.start();
      const first = await whole.start();
      await using standby = await whole.start();
      await Promise.all([inSync(rows), inSync(whole)]);
      const watching = [watch(rows), watch(whole)] as const;
      const writing = await Promise.all([write(db), write(db), write(db)]);
      // Whatever fails: nothing goes on beside the end of the test.
      cleanUp.push(...watching, ...writing);
      await eventually(
        async () => watching.map((one) => one.seen().states),
        ([, states = 0]) => states > 20,
        60_000,
      );
      // The one that puts transactions together ends in the middle; the other takes over.
      await first[Symbol.asyncDispose]();
      await eventually(
        async () => ({ seen: watching.map((one) => one.seen()), transactions: writing.reduce((sum, one) => sum + one.count(), 0) }),
        ({ seen: [row, transaction], transactions }) => (row?.torn ?? 0) > 0 && (transaction?.states ?? 0) > 40 && transactions > 100,
        60_000,
      );
      await Promise.all(writing.map((one) => one.stop()));
      await Promise.all([inSync(rows), inSync(whole)]);
      const [row, transaction] = await Promise.all(watching.map((one) => one.stop()));
      assert.equal(transaction?.torn, 0);
      assert.ok((row?.torn ?? 0) > 0, 'with consistency: row no torn order was seen: the test proves nothing');
      assert.deepEqual(await whole.read.query('SELECT torn_transactions FROM model.model_version'), [{ torn_transactions: '0' }]);

      // Larger than the memory for it: visible in parts, and reported.
      await source.query(
        `BEGIN; INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT 1, 1, 1, 0 FROM generate_series(1, 12000);
       UPDATE orders SET status = 'large' WHERE id = 1; COMMIT`,
      );
      await inSync(whole);
      const [report] = await whole.read.query('SELECT torn_transactions > 0 AS torn, last_torn FROM model.model_version');
      assert.equal(report?.['torn'], 't');
      assert.match(report?.['last_torn'] ?? '', /^\d+$/);
      void byRow;
      void standby;
    } finally {
      await Promise.allSettled(cleanUp.map((one) => one.stop()));
      await source.end();
    }
  },
);
