import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { runWorkload, seed } from '#legacy-db/index.ts';
import { createLegacyDatabase, type LegacyDatabase, type TextRow } from '#test/support/legacy-database.ts';

const newCustomer = "INSERT INTO customers (email, name) VALUES ('a@example.com', 'Ada')";

test('insert, update, delete and truncate are recorded in order with key, before and after', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.queryAs(db.application, newCustomer);
  await db.queryAs(db.application, "UPDATE customers SET tier = 'gold'");
  await db.queryAs(db.application, 'DELETE FROM customers');
  await db.query('TRUNCATE orders CASCADE');
  const changes = await db.query(`
    SELECT op, table_name, key, before ->> 'tier' AS tier_before, after ->> 'tier' AS tier_after FROM ledger.changes ORDER BY seq`);
  const key = '{"id": 1}';
  const truncated = { key: null, tier_before: null, tier_after: null };
  assert.deepEqual(changes.slice(0, 3), [
    { op: 'c', table_name: 'customers', key, tier_before: null, tier_after: 'standard' },
    { op: 'u', table_name: 'customers', key, tier_before: 'standard', tier_after: 'gold' },
    { op: 'd', table_name: 'customers', key, tier_before: 'gold', tier_after: null },
  ]);
  // A cascading truncate is one of each table, in an order that is the server's.
  assert.deepEqual(
    changes.slice(3).toSorted((a, b) => String(a['table_name']).localeCompare(String(b['table_name']))),
    [
      { op: 't', table_name: 'order_items', ...truncated },
      { op: 't', table_name: 'orders', ...truncated },
    ],
  );
});

test('a rollback leaves nothing, a rolled-back savepoint leaves nothing of its own, a released one stays', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await withClient(db, async (client) => {
    for (const sql of ['BEGIN', newCustomer, 'ROLLBACK']) await client.query(sql);
    assert.deepEqual(await db.query('SELECT FROM ledger.changes'), []);
    for (const sql of [
      'BEGIN',
      'SAVEPOINT a',
      newCustomer,
      'ROLLBACK TO a',
      'SAVEPOINT b',
      newCustomer,
      'RELEASE b',
      newCustomer,
      'COMMIT',
    ]) {
      await client.query(sql);
    }
  });
  // The ids drawn by what was rolled back are used up: the first to stay is the third.
  const changes = await db.query("SELECT op, key ->> 'id' AS id, txid FROM ledger.changes ORDER BY seq");
  assert.deepEqual(
    changes.map(({ op, id }) => `${op} ${id}`),
    ['c 3', 'c 4'],
  );
  assert.equal(changes[0]?.['txid'], changes[1]?.['txid'], 'a sub-transaction is recorded under its top transaction');
  const times = await db.queryAs(db.superuser, 'SELECT pg_xact_commit_timestamp(txid::xid) IS NOT NULL AS known FROM ledger.changes');
  assert.deepEqual(times, [{ known: 't' }, { known: 't' }]);
});

test('values keep every digit, and read the same whatever the session of the writer is set to', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.query(`
    CREATE TABLE "Odd Table" (
      "Key A" bigint, b text, amount numeric, at timestamptz, raw bytea, span interval, ratio float8, gone text, PRIMARY KEY (b, "Key A"));
    ALTER TABLE "Odd Table" DROP COLUMN gone;
    GRANT INSERT ON "Odd Table" TO PUBLIC`);
  await db.query(`SELECT ledger.watch('"Odd Table"')`);
  await withClient(db, async (client) => {
    await client.query(`
      SET timezone = 'Asia/Tokyo'; SET bytea_output = 'escape'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = -3; SET search_path = pg_temp;
      CREATE TEMP TABLE changes (LIKE pg_class);
      INSERT INTO public."Odd Table" VALUES (
        9223372036854775807, 'it''s', 12345678901234567890.1234567890, '2026-01-01 00:00:00.123456+00', '\\xff00', '1 day 2 hours', 0.1::float8 + 0.2)`);
  });
  assert.deepEqual(await db.query('SELECT key, after FROM ledger.changes'), [
    {
      key: '{"b": "it\'s", "Key A": 9223372036854775807}',
      after:
        '{"b": "it\'s", "at": "2026-01-01T00:00:00.123456+00:00", "raw": "\\\\xff00", "span": "1 day 02:00:00", "Key A": 9223372036854775807, ' +
        '"ratio": 0.30000000000000004, "amount": 12345678901234567890.1234567890}',
    },
  ]);
});

test('a table without a primary key is recorded with a null key', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.query('CREATE TABLE notes (text text)');
  await db.query("SELECT ledger.watch('public.notes')");
  await db.query("INSERT INTO notes VALUES ('a')");
  assert.deepEqual(await db.query('SELECT op, key, after FROM ledger.changes'), [{ op: 'c', key: null, after: '{"text": "a"}' }]);
});

test('replication mode of a session does not escape the ledger', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.queryAs(db.superuser, `SET session_replication_role = replica; ${newCustomer}`);
  assert.equal((await db.query('SELECT FROM ledger.changes')).length, 1);
});

test('after a workload of many writers the ledger is an unbroken history that ends in the tables as they are', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await seed(db.owner, { customers: 30, products: 20, orders: 60 });
  const { transactions } = await runWorkload({ application: db.application, rate: 200, operations: 500, seed: 3, writers: 8 });
  assert.ok(transactions.rolledBack > 0 && transactions.committedLate > 0);

  const brokenLinks = await db.query(`
    SELECT seq, op, before, previous FROM (
      SELECT *, lag(after) OVER history AS previous, lag(op) OVER history AS previous_op FROM ledger.changes
      WINDOW history AS (PARTITION BY table_name, key ORDER BY seq)
    ) AS link
    WHERE before IS DISTINCT FROM previous OR (op = 'c') <> (previous_op IS NULL) LIMIT 5`);
  assert.deepEqual(brokenLinks, [], 'each change continues the one before it');
  for (const table of ['customers', 'products', 'orders', 'order_items']) {
    assert.deepEqual(await differences(db, table), [], `${table} is what the ledger says`);
  }

  const counted = await db.query(`SELECT count(DISTINCT txid) AS transactions FROM ledger.changes WHERE txid > (
    SELECT max(txid) FROM ledger.changes WHERE table_name = 'orders' AND (key ->> 'id')::int <= 60 AND op = 'c')`);
  const written = Number(counted[0]?.['transactions']);
  // A committed transaction that found all of its rows gone wrote nothing.
  assert.ok(written <= transactions.committed && written > transactions.committed * 0.9, `${written} of ${transactions.committed}`);
});

/** Rows that the table and the last states in the ledger do not agree on. */
function differences(db: LegacyDatabase, table: string): Promise<TextRow[]> {
  return db.query(
    `WITH last AS (
       SELECT DISTINCT ON (key) key, op, after FROM ledger.changes WHERE table_name = $1 ORDER BY key, seq DESC)
     SELECT coalesce(last.key, jsonb_build_object('id', source.id)) AS key, last.after AS ledger, source.row AS source
       FROM (SELECT id, to_jsonb(t) || jsonb_build_object('updated_at', t.updated_at AT TIME ZONE 'UTC') AS row FROM ${table} t) source
       FULL JOIN (SELECT key, (key ->> 'id')::bigint AS id, after FROM last WHERE op <> 'd') last ON last.id = source.id
      WHERE last.after - ARRAY['updated_at', 'created_at', 'placed_at'] IS DISTINCT FROM source.row - ARRAY['updated_at', 'created_at', 'placed_at']
         OR (last.after ->> 'updated_at')::timestamptz IS DISTINCT FROM (source.row ->> 'updated_at')::timestamp AT TIME ZONE 'UTC'
      LIMIT 5`,
    [table],
  );
}

async function withClient(db: LegacyDatabase, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(db.application);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
