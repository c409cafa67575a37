import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import type { ConnectorConfig } from '#connectors/index.ts';
import { waitFor } from '#stack/index.ts';
import { briefly, findingOf, startDoctorBench, type DoctorBench, type DoctorDatabase, type Setup } from '#test/support/doctor.ts';
import { waysOf } from '#test/support/remedies.ts';
import { testStack } from '#test/support/stack.ts';

let bench: DoctorBench;

before(async () => {
  bench = await startDoctorBench();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Findings for the shipped connector file on this database; without Connect unless its address is given. */
async function listed(db: DoctorDatabase, overrides: ConnectorConfig = {}, setup: Setup = {}): Promise<readonly string[]> {
  return briefly(await db.examine(['log'], { files: [await db.file(overrides)], ...setup }));
}

async function prepared(overrides: ConnectorConfig = {}): Promise<DoctorDatabase> {
  const db = await bench.database();
  await db.prepare(await db.file(overrides));
  return db;
}

const orders = { 'table.include.list': 'public.orders,cdc.heartbeat' };

test('nothing is found on a source that is prepared, and looking changes nothing in it', async () => {
  await using db = await prepared();
  const position = 'SELECT pg_snapshot_xmax(pg_current_snapshot()) AS next';
  const atFirst = await db.run(position);
  assert.deepEqual(await listed(db), []);
  assert.deepEqual(await db.run(position), atFirst);
});

test('of a source that nobody has prepared everything that lacks is reported in one pass, and preparing fixes it', async () => {
  await using db = await bench.database();
  await db.run(`CREATE TABLE notes (text text); ALTER TABLE notes OWNER TO legacy_owner`);
  const file = await db.file({ 'table.include.list': 'public.orders,public.notes,cdc.heartbeat' });
  assert.deepEqual(briefly(await db.examine(['log'], { files: [file] })), [
    'error HEARTBEAT_TABLE_MISSING cdc.heartbeat',
    'error PUBLICATION_MISSING cdc_publication',
    'error SELECT_MISSING public.notes',
    'warning IDENTITY_WILL_BREAK_WRITES public.notes',
    'warning SIGNAL_TABLE_UNUSABLE cdc.signal',
    'info BEFORE_IMAGE_MISSING public.orders',
    'info TOAST_WITHOUT_IDENTITY public.orders',
  ]);
  await db.prepare(file);
  assert.deepEqual(briefly(await db.examine(['log'], { files: [file] })), []);
});

test('it takes no lock that anybody else would wait for, and gives up waiting for others soon: that look is unknown', async () => {
  await using db = await prepared();
  const holder = new Client(db.login('owner'));
  await holder.connect();
  try {
    const found = async (): Promise<readonly string[]> => (await listed(db)).filter((one) => !one.includes('TRANSACTION_'));
    await holder.query('BEGIN; LOCK TABLE orders, cdc.heartbeat IN EXCLUSIVE MODE');
    assert.deepEqual(await found(), []);
    await holder.query('COMMIT; BEGIN; LOCK TABLE orders, cdc.heartbeat IN ACCESS EXCLUSIVE MODE');
    await db.run('ALTER ROLE cdc_replicator NOREPLICATION');
    assert.deepEqual(await found(), [
      'error REPLICATION_MISSING cdc_replicator',
      'unknown PROBE_REFUSED publications',
      'unknown PROBE_REFUSED rows of cdc.heartbeat',
    ]);
    const report = await db.examine(['log'], { files: [await db.file()] });
    assert.match(findingOf(report, 'PROBE_REFUSED')?.cause ?? '', /lock timeout/);
  } finally {
    await db.run('ALTER ROLE cdc_replicator REPLICATION');
    await holder.end();
  }
});

test('server settings that do not do are reported, before a slot is asked for', async () => {
  await bench.server.restart({ wal_level: 'replica', max_slot_wal_keep_size: '-1', max_replication_slots: '0' });
  try {
    await using db = await prepared();
    assert.deepEqual(await listed(db), [
      `error NO_SLOT_LEFT ${db.name}`,
      'error WAL_LEVEL wal_level',
      'warning WAL_RETENTION_UNBOUNDED max_slot_wal_keep_size',
    ]);
    const report = await db.examine(['log'], { files: [await db.file()] });
    assert.match(findingOf(report, 'WAL_LEVEL')?.remedy ?? '', /^ALTER SYSTEM SET wal_level = logical; then restart/);
    const query = await db.examine(['query', 'log'], { files: [await db.file()] });
    assert.match(query.advice[0]?.reasons.join() ?? '', /the log is not ready: NO_SLOT_LEFT, WAL_LEVEL/);
  } finally {
    await bench.server.restart({});
  }
});

test('slots that are all taken, and each that nobody reads, are reported', async () => {
  await using db = await prepared();
  const names = ['one', 'two', 'three', 'four'].map((name) => `${name}_${db.name}`);
  for (const name of names) await db.run(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  assert.deepEqual(await listed(db), [`error NO_SLOT_LEFT ${db.name}`, ...names.map((name) => `warning SLOT_INACTIVE ${name}`).toSorted()]);
  await db.run(`SELECT pg_drop_replication_slot('${names[0]}')`);
  assert.deepEqual(
    (await listed(db)).filter((one) => one.startsWith('error')),
    [],
  );
});

test('WAL senders that are all in use are reported', async () => {
  await using db = await prepared();
  const clients = [1, 2, 3, 4].map(() => replicationClient(db));
  try {
    for (const client of clients) await client.connect();
    assert.deepEqual(await listed(db), ['error NO_WAL_SENDER_LEFT max_wal_senders']);
  } finally {
    for (const client of clients) await client.end();
  }
});

test('a slot that is lost, or about to be, is reported', async () => {
  await bench.server.restart({ max_slot_wal_keep_size: '16MB', max_wal_size: '1GB' });
  try {
    await using db = await prepared();
    await db.run(`SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
    for (let segment = 0; segment < 4; segment += 1)
      await db.run(`SELECT pg_logical_emit_message(false, 'x', 'y'); SELECT pg_switch_wal()`);
    const atRisk = [`warning SLOT_AT_RISK ${db.name}`, `warning SLOT_INACTIVE ${db.name}`];
    assert.deepEqual(await listed(db), atRisk);
    await db.run('CHECKPOINT');
    assert.deepEqual(await listed(db), [`error SLOT_LOST ${db.name}`]);
  } finally {
    await bench.server.restart({});
  }
});

test('a slot that is read: by whom is unknown without Connect, and by somebody else when Connect has no such connector', async () => {
  await using db = await prepared();
  await db.run(`SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  const reader = replicationClient(db);
  await reader.connect();
  try {
    // Ends with the connection only.
    void reader
      .query(`START_REPLICATION SLOT "${db.name}" LOGICAL 0/0 (proto_version '1', publication_names 'cdc_publication')`)
      .catch(() => undefined);
    await waitFor(async () => (await db.run(`SELECT FROM pg_replication_slots WHERE slot_name = '${db.name}' AND active`)).length === 1, {
      signal: AbortSignal.timeout(60_000),
      timeoutMs: 60_000,
      describe: 'the slot is read',
    });
    assert.deepEqual(await listed(db), [`unknown SLOT_HOLDER_UNKNOWN ${db.name}`]);
    const { connect } = await testStack();
    const report = await db.examine(['log'], { files: [await db.file()], connectUrl: connect?.url ?? '' });
    assert.deepEqual(
      briefly(report).filter((one) => !/SETTINGS|CONNECT_OPEN/.test(one)),
      [`error SLOT_BUSY ${db.name}`],
    );
    assert.match(findingOf(report, 'SLOT_BUSY')?.cause ?? '', /cdc_replicator, some reader/);
  } finally {
    await reader.end();
  }
});

test('a slot of that name that is no such slot is reported: physical, or of another database', async () => {
  await using db = await prepared();
  await db.run(`SELECT pg_create_physical_replication_slot('${db.name}')`);
  assert.deepEqual(await listed(db), [`error SLOT_MISMATCH ${db.name}`]);
  await db.run(`SELECT pg_drop_replication_slot('${db.name}')`);
  await bench.server.run(`SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`, 'legacy');
  assert.deepEqual(await listed(db), [`error SLOT_MISMATCH ${db.name}`]);
  await db.run(`SELECT pg_drop_replication_slot('${db.name}')`);
});

test('rights that the replicator lacks are reported, each with the statement that gives it back', async () => {
  await using db = await prepared(orders);
  await db.run(`ALTER ROLE cdc_replicator NOREPLICATION; REVOKE SELECT ON orders FROM cdc_replicator;
    REVOKE UPDATE (beat_at) ON cdc.heartbeat FROM cdc_replicator; REVOKE INSERT ON cdc.signal FROM cdc_replicator`);
  const report = await db.examine(['log'], { files: [await db.file(orders)] });
  assert.deepEqual(briefly(report), [
    'error HEARTBEAT_UPDATE_MISSING cdc.heartbeat',
    'error REPLICATION_MISSING cdc_replicator',
    'error SELECT_MISSING public.orders',
    'warning SIGNAL_TABLE_UNUSABLE cdc.signal',
  ]);
  for (const { remedy } of report.findings) {
    for (const sql of waysOf(remedy.replace(/\(Amazon.*\)/, ''))[0] ?? []) await db.run(sql);
  }
  await db.run('GRANT INSERT ON cdc.signal TO cdc_replicator');
  assert.deepEqual(await listed(db, orders), []);
});

test('an owner who cannot prepare is reported: no CREATE on the database, tables of another, a role that does not exist', async () => {
  await using db = await bench.database();
  const errors = async (setup: Setup = {}): Promise<readonly string[]> =>
    (await listed(db, orders, setup)).filter((one) => one.includes('OWNER'));
  assert.deepEqual(await errors(), []);
  await db.run(`ALTER DATABASE ${db.name} OWNER TO postgres; ALTER TABLE orders OWNER TO legacy_app`);
  assert.deepEqual(await errors(), ['error OWNER_LACKS_CREATE legacy_owner', 'error OWNER_NOT_OWNER public.orders']);
  assert.deepEqual(await errors({ roles: { owner: { user: 'nobody_here' } } }), ['error OWNER_MISSING nobody_here']);
});

test('a publication that does not hold all is reported: tables, operations, rows, columns, partitions', async () => {
  await using db = await prepared();
  await db.run(
    `ALTER PUBLICATION cdc_publication DROP TABLE customers; ALTER PUBLICATION cdc_publication SET (publish = 'insert, update, delete')`,
  );
  assert.deepEqual(await listed(db), ['error TABLE_NOT_PUBLISHED public.customers', 'warning PUBLICATION_OPERATIONS cdc_publication']);
  await db.run(`DROP PUBLICATION cdc_publication;
    CREATE PUBLICATION cdc_publication FOR TABLE customers (id, name, tier, email, credit_limit), orders WHERE (id > 5), cdc.heartbeat, cdc.signal WITH (publish = 'insert')`);
  const two = { 'table.include.list': 'public.customers,public.orders,cdc.heartbeat' };
  assert.deepEqual(await listed(db, two), [
    'warning PUBLICATION_FILTERED public.customers',
    'warning PUBLICATION_FILTERED public.orders',
    'warning PUBLICATION_OPERATIONS cdc_publication',
  ]);
  await db.run(`CREATE TABLE events (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); GRANT SELECT ON events TO cdc_replicator;
    ALTER TABLE events REPLICA IDENTITY FULL; ALTER TABLE events_2026 REPLICA IDENTITY FULL;
    DROP PUBLICATION cdc_publication; CREATE PUBLICATION cdc_publication FOR TABLE events, cdc.heartbeat, cdc.signal`);
  const partitioned = { 'table.include.list': 'public.events,cdc.heartbeat' };
  const report = await db.examine(['log'], { files: [await db.file(partitioned)] });
  const left = ['info PARTITION_TRUNCATE public.events', 'info VALUES_LOST_AT_EDGES public.events'];
  assert.deepEqual(briefly(report), ['error PARTITIONS_SEPARATE public.events', ...left]);
  await db.run(findingOf(report, 'PARTITIONS_SEPARATE')?.remedy ?? '');
  assert.deepEqual(await listed(db, partitioned), left);
});

test('a connector that is to make its publication itself is reported', async () => {
  await using db = await prepared();
  assert.deepEqual(await listed(db, { 'publication.autocreate.mode': 'all_tables' }), [`error PUBLICATION_AUTOCREATED ${db.name}`]);
  assert.deepEqual(await listed(db, { 'publication.autocreate.mode': 'filtered' }), [`warning PUBLICATION_AUTOCREATED ${db.name}`]);
});

test('a heartbeat that does not beat, or is not published, is reported', async () => {
  await using db = await prepared();
  assert.deepEqual(await listed(db, { 'heartbeat.interval.ms': '0' }), [`warning HEARTBEAT_OFF ${db.name}`]);
  await db.run('ALTER PUBLICATION cdc_publication DROP TABLE cdc.heartbeat');
  assert.deepEqual(await listed(db), ['error HEARTBEAT_NOT_PUBLISHED cdc.heartbeat']);
  await db.run('ALTER PUBLICATION cdc_publication ADD TABLE cdc.heartbeat; DELETE FROM cdc.heartbeat');
  assert.deepEqual(await listed(db), ['warning HEARTBEAT_ROW_MISSING cdc.heartbeat']);
  await db.run('DROP TABLE cdc.heartbeat');
  assert.deepEqual(await listed(db), ['error HEARTBEAT_TABLE_MISSING cdc.heartbeat']);
});

test('a replica identity that breaks the writes of the application is reported, before and after it does', async () => {
  await using db = await prepared(orders);
  await db.run(
    `CREATE TABLE notes (text text); INSERT INTO notes VALUES ('a'); GRANT SELECT, UPDATE ON notes TO legacy_app, cdc_replicator`,
  );
  await db.run('ALTER TABLE customers REPLICA IDENTITY NOTHING; GRANT UPDATE ON customers TO legacy_app');
  const wider = { 'table.include.list': 'public.notes,public.customers,cdc.heartbeat' };
  const foretold = (await listed(db, wider)).filter((one) => one.includes('IDENTITY'));
  assert.deepEqual(foretold, ['error IDENTITY_WILL_BREAK_WRITES public.customers', 'warning IDENTITY_WILL_BREAK_WRITES public.notes']);
  await db.run('ALTER PUBLICATION cdc_publication ADD TABLE notes, customers');
  const broken = ['error IDENTITY_BREAKS_WRITES public.customers', 'error IDENTITY_BREAKS_WRITES public.notes'];
  const report = await db.examine(['log'], { files: [await db.file(wider)] });
  assert.deepEqual(briefly(report), broken);
  // So it is, and the connector of another file is reported too, since its publication does it.
  await assert.rejects(runAs(db, `UPDATE notes SET text = 'b'`), /does not have a replica identity/);
  assert.deepEqual(await listed(db, orders), broken);
  assert.match(report.findings[1]?.blastRadius ?? '', /^UPDATE and DELETE on public\.notes fail in your application/);
  for (const { remedy } of report.findings) await db.run(remedy.split(' or at once')[0] ?? '');
  await runAs(db, `UPDATE notes SET text = 'b'`);
  assert.deepEqual(await listed(db, wider), []);
});

test('an identity index that was dropped, and a deferrable primary key, break writes as well', async () => {
  await using db = await prepared();
  await db.run(`CREATE TABLE a (id int NOT NULL); CREATE UNIQUE INDEX a_id ON a (id); ALTER TABLE a REPLICA IDENTITY USING INDEX a_id; DROP INDEX a_id;
    CREATE TABLE b (id int PRIMARY KEY DEFERRABLE); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);
    ALTER PUBLICATION cdc_publication ADD TABLE a, b; GRANT SELECT, UPDATE ON a, b TO legacy_app`);
  assert.deepEqual(await listed(db), ['error IDENTITY_BREAKS_WRITES public.a', 'error IDENTITY_BREAKS_WRITES public.b']);
  for (const table of ['a', 'b']) await assert.rejects(runAs(db, `UPDATE ${table} SET id = 2`), /does not have a replica identity/);
});

test('large values without full identity are reported, as a warning once there are some', async () => {
  await using db = await prepared();
  await db.run('ALTER TABLE orders REPLICA IDENTITY DEFAULT');
  assert.deepEqual(await listed(db), ['info BEFORE_IMAGE_MISSING public.orders', 'info TOAST_WITHOUT_IDENTITY public.orders']);
  await db.run(`INSERT INTO customers (email, name) VALUES ('a', 'a');
    INSERT INTO orders (customer_id, note) SELECT id, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) n) FROM customers`);
  assert.deepEqual(await listed(db), ['warning TOAST_WITHOUT_IDENTITY public.orders', 'info BEFORE_IMAGE_MISSING public.orders']);
});

test('unlogged tables, views and row-level security are reported', async () => {
  await using db = await prepared();
  await db.run(`CREATE UNLOGGED TABLE quick (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS id; GRANT SELECT ON quick, seen TO cdc_replicator;
    ALTER TABLE quick REPLICA IDENTITY FULL; ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE quick OWNER TO legacy_owner`);
  const tables = { 'table.include.list': 'public.quick,public.seen,public.orders,public.nowhere,cdc.heartbeat' };
  assert.deepEqual(
    (await listed(db, tables)).filter((one) => !one.includes('NOT_PUBLISHED')),
    [
      'error TABLE_KIND public.seen',
      'error TABLE_UNKNOWN public.nowhere',
      'error TABLE_UNLOGGED public.quick',
      'warning ROW_SECURITY public.orders',
    ],
  );
});

test('transactions for which a new slot would wait are reported: open in any database, or prepared', async () => {
  await using db = await prepared();
  await using elsewhere = await bench.database();
  const writer = new Client({ ...elsewhere.login('owner'), application_name: 'night run' });
  await writer.connect();
  try {
    const options = { oldSeconds: 0 };
    await writer.query(`BEGIN; SELECT count(*) FROM orders`);
    assert.deepEqual(await listed(db, {}, { options }), [], 'one that only reads blocks no slot');
    await writer.query(`INSERT INTO customers (email, name) VALUES ('w', 'w')`);
    const hidden = await db.examine(['log'], { files: [await db.file()] });
    assert.deepEqual(
      hidden.findings.map(({ severity, code }) => `${severity} ${code}`),
      ['unknown TRANSACTION_HIDDEN'],
    );
    await db.run('GRANT pg_read_all_stats TO cdc_replicator');
    const report = await db.examine(['log'], { files: [await db.file()], options });
    assert.deepEqual(
      report.findings.map(({ severity, code }) => `${severity} ${code}`),
      ['error TRANSACTION_BLOCKS_SLOT'],
    );
    assert.match(
      findingOf(report, 'TRANSACTION_BLOCKS_SLOT')?.cause ?? '',
      new RegExp(`legacy_owner in database ${elsewhere.name} \\(night run, pid`),
    );
    await writer.query(`PREPARE TRANSACTION 'stuck'`);
    assert.deepEqual(await listed(db, {}, { options }), ['error PREPARED_BLOCKS_SLOT stuck']);
    // So it is: the slot is not made while that transaction is prepared.
    await assert.rejects(
      db.run(`SET statement_timeout = '500ms'; SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`),
      /statement timeout/,
    );
    await elsewhere.run(`ROLLBACK PREPARED 'stuck'`);
    assert.deepEqual(await listed(db, {}, { options }), []);
  } finally {
    await db.run('REVOKE pg_read_all_stats FROM cdc_replicator');
    await writer.end();
  }
});

test('connector files that do not fit the pipeline are reported', async () => {
  await using db = await prepared();
  assert.deepEqual(await listed(db, { 'topic.prefix': 'elsewhere', 'database.dbname': 'postgres' }), [
    `error CONNECTOR_DATABASE_DIFFERS ${db.name}`,
    `error TOPIC_PREFIX_DIFFERS ${db.name}`,
  ]);
  assert.deepEqual(await listed(db, { 'table.include.list': 'public.*' }), [`unknown TABLES_BY_PATTERN ${db.name}`]);
  assert.deepEqual(await listed(db, { 'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector' }), [
    `unknown CONNECTOR_NOT_POSTGRES ${db.name}`,
  ]);
});

test('without a replicator to look as, what it may do is unknown; a login that is refused is an error', async () => {
  await using db = await prepared();
  assert.deepEqual(await listed(db, {}, { roles: { replicator: undefined } }), ['unknown ROLE_NOT_CONFIGURED legacyDb.roles.replicator']);
  assert.deepEqual(await listed(db, {}, { roles: { replicator: { user: 'cdc_replicator', password: 'wrong' } } }), [
    'error LEGACY_LOGIN_REFUSED cdc_replicator',
  ]);
  const unset = { roles: { replicator: { user: 'cdc_replicator', password: '' } } };
  const report = await db.examine(['log'], { files: [await db.file()], ...unset });
  assert.deepEqual(briefly(report), ['error LEGACY_LOGIN_REFUSED cdc_replicator']);
  assert.match(findingOf(report, 'LEGACY_LOGIN_REFUSED')?.cause ?? '', /it asks for a password, and none is set\.$/);
});

function replicationClient(db: DoctorDatabase): Client {
  const settings = { replication: 'database', application_name: 'some reader' };
  const client = new Client({ ...db.login('replicator'), ...settings });
  client.on('error', () => undefined);
  return client;
}

async function runAs(db: DoctorDatabase, sql: string): Promise<void> {
  const client = new Client(db.login('application'));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
