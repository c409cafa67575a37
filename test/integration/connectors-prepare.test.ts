import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { prepareSource, undoSource, type SourceChange } from '#connectors/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';

const orders = { schema: 'public', table: 'orders' };
const odd = { schema: 'odd "schema"', table: "O'Dd" };

function request(db: LegacyDatabase, tables = [orders]): Parameters<typeof prepareSource>[1] {
  return { tables, publication: 'cdc publication', replicator: db.config.roles.replicator.user };
}

const made = (changes: readonly SourceChange[]): string[] =>
  changes.filter(({ action }) => action !== 'present').map(({ action, object }) => `${action} ${object}`);

/** What log-based capture may change in a source: publications, identities, rights, schemas. */
async function sourceState(db: LegacyDatabase): Promise<unknown> {
  return Promise.all([
    db.query('SELECT pubname, schemaname, tablename FROM pg_publication_tables ORDER BY 1, 2, 3'),
    db.query(
      `SELECT oid::regclass::text AS name, relreplident FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1`,
    ),
    db.query(`SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1`),
    db.query(`SELECT has_table_privilege('cdc_replicator', 'public.customers', 'SELECT') AS reads`),
  ]);
}

test('the owner, no superuser, makes all that is needed and sees each object with its statement', async () => {
  await using db = await createLegacyDatabase();
  await db.query('REVOKE SELECT ON orders FROM cdc_replicator');
  const changes = await prepareSource(db.owner, request(db));
  assert.deepEqual(made(changes), [
    'created schema cdc',
    'created table cdc.heartbeat',
    'created row of table cdc.heartbeat',
    'created publication cdc publication',
    'changed replica identity of table public.orders to FULL',
    'changed publication cdc publication: table public.orders added',
    'granted USAGE on schema cdc to cdc_replicator',
    'granted SELECT on table public.orders to cdc_replicator',
    'granted SELECT on table cdc.heartbeat to cdc_replicator',
    'granted UPDATE of cdc.heartbeat.beat_at to cdc_replicator',
    'created table cdc.signal',
    'changed publication cdc publication: table cdc.signal added',
    'granted INSERT on table cdc.signal to cdc_replicator',
  ]);
  assert.equal(
    changes.find(({ object }) => object.startsWith('publication'))?.statement,
    'CREATE PUBLICATION "cdc publication" FOR TABLE cdc.heartbeat WITH (publish_via_partition_root = true, publish_generated_columns = stored)',
  );
});

test('made twice it changes nothing; undone, the source is what it was', async () => {
  await using db = await createLegacyDatabase();
  await db.query('ALTER TABLE customers REPLICA IDENTITY FULL');
  const tables = [orders, { schema: 'public', table: 'customers' }];
  // The undo takes SELECT from the connector's role whoever gave it.
  await db.query('REVOKE SELECT ON customers, orders FROM cdc_replicator');
  const before = await sourceState(db);
  await prepareSource(db.owner, request(db, tables));
  assert.notDeepEqual(await sourceState(db), before);
  assert.deepEqual(made(await prepareSource(db.owner, request(db, tables))), []);
  await undoSource(db.owner);
  assert.deepEqual(await sourceState(db), before);
  assert.deepEqual(
    made(await undoSource(db.owner)).filter((one) => !one.startsWith('removed SELECT')),
    [],
  );
});

test('a table that is added later joins the publication, names may be odd', async () => {
  await using db = await createLegacyDatabase();
  await prepareSource(db.owner, request(db));
  await db.query(`CREATE SCHEMA "odd ""schema"""`);
  await db.query(`CREATE TABLE "odd ""schema"""."O'Dd" (id int PRIMARY KEY)`);
  const changes = made(await prepareSource(db.owner, request(db, [orders, odd])));
  assert.ok(changes.includes(`changed publication cdc publication: table "odd ""schema"""."O'Dd" added`), changes.join('\n'));
  assert.deepEqual(await db.query('SELECT count(*) AS tables FROM pg_publication_tables'), [{ tables: '4' }]);
});

test("the application's own updates and deletes go on working on a published table without a primary key", async () => {
  await using db = await createLegacyDatabase();
  await db.query('CREATE TABLE notes (text text); GRANT SELECT, UPDATE, DELETE ON notes TO legacy_app');
  await db.query(`INSERT INTO notes VALUES ('a')`);
  await prepareSource(db.owner, request(db, [{ schema: 'public', table: 'notes' }]));
  await db.queryAs(db.application, `UPDATE notes SET text = 'b'`);
  await db.queryAs(db.application, 'DELETE FROM notes');
});

test('what cannot be prepared is refused with the script, the cause and the remedy', async (t) => {
  await using db = await createLegacyDatabase();
  await t.test('a table that does not exist', async () => {
    const missing = request(db, [{ schema: 'public', table: 'nope' }]);
    await assert.rejects(prepareSource(db.owner, missing), {
      code: 'SOURCE_PREPARE_FAILED',
      message: /table public\.nope does not exist/,
      remedy: /table\.include\.list/,
    });
  });
  await t.test('a replicator that does not exist', async () => {
    const missing = { ...request(db), replicator: 'nobody_of_that_name' };
    await assert.rejects(prepareSource(db.owner, missing), {
      code: 'SOURCE_PREPARE_FAILED',
      message: /role nobody_of_that_name does not exist/,
      remedy: /CREATE ROLE nobody_of_that_name LOGIN REPLICATION/,
    });
  });
  await t.test('a table whose updates would fail once published', async () => {
    await db.query('ALTER TABLE products REPLICA IDENTITY NOTHING');
    await assert.rejects(prepareSource(db.owner, request(db, [{ schema: 'public', table: 'products' }])), {
      message: /its replica identity is NOTHING/,
      remedy: /ALTER TABLE public\.products REPLICA IDENTITY FULL/,
    });
  });
  await t.test('a role that does not own the tables', async () => {
    await assert.rejects(prepareSource(db.poller, request(db)), { code: 'SOURCE_PREPARE_FAILED', remedy: /tables' owner/ });
  });
});

test('a table that a long transaction holds is given up after 2 s: the application does not queue behind it', async () => {
  await using db = await createLegacyDatabase();
  const holder = new Client(db.application);
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT count(*) FROM orders');
    await assert.rejects(prepareSource(db.owner, request(db)), {
      code: 'SOURCE_PREPARE_FAILED',
      message: /lock timeout/,
      remedy: /long transaction/,
    });
  } finally {
    await holder.end();
  }
});
