import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { legacyTables, migrate, seed, type GrantedRoles } from '#legacy-db/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';

test('migrating again, also twice at once, changes nothing', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const options = { ledger: true, roles: rolesOf(db) };
  await Promise.all([migrate(db.owner, options), migrate(db.owner, options)]);
  await db.query("INSERT INTO customers (email, name) VALUES ('a@example.com', 'Ada')");
  const before = await describeSchema(db);
  await migrate(db.owner, options);
  assert.deepEqual(await describeSchema(db), before);
  assert.equal((await db.query('SELECT FROM customers')).length, 1);
  assert.equal((await db.query('SELECT FROM ledger.changes')).length, 1);
});

test('each role has the rights of its duty and no others', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  const { application, poller, replicator } = rolesOf(db);
  const granted = await db.query(
    `SELECT grantee || ': ' || string_agg(privilege_type, ',' ORDER BY privilege_type) || ' on ' || table_schema || '.' || table_name AS text
       FROM information_schema.role_table_grants WHERE grantee = ANY ($1) GROUP BY grantee, table_schema, table_name`,
    [[application, poller, replicator]],
  );
  const expected = legacyTables.flatMap((table) => [
    `${application}: DELETE,INSERT,SELECT,UPDATE on ${table}`,
    `${poller}: SELECT on ${table}`,
    `${replicator}: SELECT on ${table}`,
  ]);
  assert.deepEqual(new Set(granted.map(({ text }) => text)), new Set(expected));
});

test('the poller can read the four tables, and can neither write nor read or create anything else', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.query('CREATE TABLE payroll (id bigint PRIMARY KEY)');
  for (const table of legacyTables) {
    await db.queryAs(db.poller, `SELECT * FROM ${table}`);
    for (const sql of [`INSERT INTO ${table} DEFAULT VALUES`, `UPDATE ${table} SET id = id`, `DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
      await assert.rejects(db.queryAs(db.poller, sql), { code: '42501' }, sql);
    }
    await assert.rejects(db.queryAs(db.poller, `SELECT nextval('${table}_id_seq')`), { code: '42501' }, table);
  }
  for (const sql of ['SELECT * FROM payroll', 'SELECT * FROM ledger.changes', 'CREATE TABLE mine (id int)', 'CREATE SCHEMA mine']) {
    await assert.rejects(db.queryAs(db.poller, sql), { code: '42501' }, sql);
  }
});

test('the application can write the tables, but not the ledger', async () => {
  await using db = await createLegacyDatabase({ ledger: true });
  await db.queryAs(db.application, "INSERT INTO customers (email, name) VALUES ('a@example.com', 'Ada')");
  await db.queryAs(db.application, 'DELETE FROM customers');
  for (const sql of ['DELETE FROM ledger.changes', 'SELECT FROM ledger.changes', 'DROP TRIGGER ledger_row ON customers']) {
    await assert.rejects(db.queryAs(db.application, sql), { code: '42501' }, sql);
  }
});

test('updated_at is the time the transaction began, on insert and on every update, whatever the application writes there', async () => {
  await using db = await createLegacyDatabase();
  const client = new Client(db.application);
  await client.connect();
  try {
    await client.query('BEGIN');
    const begun = await client.query<{ now: string }>('SELECT now()::text AS now');
    const inserted = await client.query<{ at: string }>(
      "INSERT INTO products (sku, name, price, updated_at) VALUES ('s', 'n', 1, '2001-01-01') RETURNING updated_at::text AS at",
    );
    await client.query('COMMIT');
    assert.equal(inserted.rows[0]?.at, begun.rows[0]?.now);
    const moved = await client.query<{ moved: boolean }>(
      "UPDATE products SET updated_at = '2001-01-01' RETURNING updated_at = now() AND updated_at > $1::timestamptz AS moved",
      [inserted.rows[0]?.at],
    );
    assert.deepEqual(moved.rows, [{ moved: true }]);
  } finally {
    await client.end();
  }
});

test('deleting an order takes its items along; a customer with orders and a sold product stay', async () => {
  await using db = await createLegacyDatabase();
  await seed(db.owner, { customers: 1, products: 1, orders: 1 });
  await assert.rejects(db.query('DELETE FROM customers'), { code: '23001' });
  await assert.rejects(db.query('DELETE FROM products'), { code: '23001' });
  await db.query('DELETE FROM orders');
  assert.deepEqual(await db.query('SELECT FROM order_items'), []);
});

test('a role that does not exist is refused by name, and nothing is made', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  await assert.rejects(migrate(db.owner, { roles: { ...rolesOf(db), poller: 'no_such_poller' } }), (error) => {
    assert.ok(error instanceof CdcError);
    assert.equal(error.code, 'LEGACY_ROLE_MISSING');
    assert.match(error.message, /no_such_poller/);
    assert.match(error.remedy, /CREATE ROLE no_such_poller LOGIN/);
    return true;
  });
  assert.deepEqual(await db.query("SELECT FROM pg_tables WHERE schemaname = 'public'"), []);
});

test('a database, role or server that is not there is named with its remedy', async () => {
  await using db = await createLegacyDatabase({ empty: true });
  const roles = rolesOf(db);
  const cases = [
    { config: { ...db.owner, database: 'no_such_database' }, code: 'LEGACY_DB_MISSING', names: /no_such_database/ },
    // A server that asks for passwords does not tell a stranger whether the role exists; one that trusts does.
    { config: { ...db.owner, user: 'no_such_owner' }, code: /LEGACY_(LOGIN_REFUSED|ROLE_MISSING)/, names: /no_such_owner/ },
    { config: { ...db.owner, port: 1 }, code: 'LEGACY_DB_UNREACHABLE', names: /:1\b/ },
    { config: db.poller, code: 'LEGACY_PRIVILEGE_MISSING', names: new RegExp(String(db.poller.user)) },
  ];
  for (const { config, code, names } of cases) {
    await assert.rejects(migrate(config, { roles }), { name: 'CdcError', code, message: names });
  }
});

test('a connection left open fails the test that left it, by its application_name', async () => {
  const leaked: Client[] = [];
  const leaking = async (): Promise<void> => {
    await using db = await createLegacyDatabase({ empty: true });
    const client = new Client({ ...db.owner, application_name: 'a part that leaks' });
    leaked.push(client);
    client.on('error', () => undefined);
    await client.connect();
  };
  await assert.rejects(leaking(), /a part that leaks/);
  assert.equal(leaked.length, 1);
});

function rolesOf(db: LegacyDatabase): Required<GrantedRoles> {
  const { application, poller, replicator } = db.config.roles;
  return { application: application.user, poller: poller.user, replicator: replicator.user };
}

/** Columns, constraints, indexes, triggers, grants and schemas, as the catalogue has them. */
async function describeSchema(db: LegacyDatabase): Promise<unknown> {
  return db.query(`
    SELECT 'column' AS what, attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull AS text
      FROM pg_attribute WHERE attrelid::regclass::text IN ('customers', 'products', 'orders', 'order_items', 'ledger.changes') AND attnum > 0
    UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0
    UNION ALL SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text !~ '^pg_'
    UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'grant', oid::regclass || ' ' || relacl::text FROM pg_class WHERE relacl IS NOT NULL AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    UNION ALL SELECT 'schema', nspname || ' ' || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'function', p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) FROM pg_proc p WHERE pronamespace::regnamespace::text IN ('public', 'ledger')
    ORDER BY 1, 2`);
}
