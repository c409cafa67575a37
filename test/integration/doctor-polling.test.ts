import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { briefly, findingOf, startDoctorBench, type DoctorBench } from '#test/support/doctor.ts';

let bench: DoctorBench;

before(async () => {
  bench = await startDoctorBench();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

const only = (table: string, settings: object = {}): { tables: object[] } => ({ tables: [{ table, ...settings }] });

test('nothing is found on a healthy source, and looking changes nothing in it', async () => {
  await using db = await bench.database();
  const position = 'SELECT pg_snapshot_xmax(pg_current_snapshot()) AS next';
  const [atFirst] = await db.run(position);
  const report = await db.examine(['query']);
  assert.deepEqual(briefly(report), []);
  // No transaction has taken an id, so none has written, created or locked a row.
  assert.deepEqual(await db.run(position), [atFirst]);
  assert.deepEqual(
    report.advice.map(({ table, advice }) => `${table} ${advice}`),
    ['public.customers query', 'public.products query', 'public.orders query', 'public.order_items query'],
  );
});

test('it waits for nobody and nobody for it: a table that is locked whole is examined all the same', async () => {
  await using db = await bench.database();
  const holder = new Client(db.login('owner'));
  await holder.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE orders, customers, products, order_items IN SHARE UPDATE EXCLUSIVE MODE');
    const found = async (): Promise<readonly string[]> =>
      briefly(await db.examine(['query'])).filter((one) => !one.includes('TRANSACTION_'));
    assert.deepEqual(await found(), []);
    await holder.query('COMMIT; BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
    // A question that waited for it would be ended after two seconds, and reported.
    assert.deepEqual(await found(), []);
  } finally {
    await holder.end();
  }
});

test('a table that does not exist is reported, with the one that was meant', async () => {
  await using db = await bench.database();
  const report = await db.examine(['query'], only('public.order'));
  assert.deepEqual(briefly(report), ['error TABLE_UNKNOWN public.order']);
  assert.match(findingOf(report, 'TABLE_UNKNOWN')?.remedy ?? '', /Did you mean public\.order_items or public\.orders\?/);
});

test('missing USAGE and missing SELECT are reported with the grant that fixes them, and the grant does', async () => {
  await using db = await bench.database();
  await db.run('REVOKE SELECT ON orders FROM cdc_poller; CREATE SCHEMA hidden; CREATE TABLE hidden.things (LIKE orders INCLUDING ALL)');
  await db.run(`CREATE TRIGGER touch BEFORE UPDATE ON hidden.things FOR EACH ROW EXECUTE FUNCTION touch_updated_at()`);
  const tables = { tables: [{ table: 'public.orders' }, { table: 'hidden.things' }] };
  const report = await db.examine(['query'], tables);
  const listed = ['error SCHEMA_USAGE_MISSING hidden.things', 'error SELECT_MISSING hidden.things', 'error SELECT_MISSING public.orders'];
  assert.deepEqual(briefly(report), listed);
  for (const { remedy } of report.findings) await db.run(remedy);
  assert.deepEqual(briefly(await db.examine(['query'], tables)), []);
});

test('rights on the columns that are read are enough', async () => {
  await using db = await bench.database();
  await db.run('REVOKE SELECT ON orders FROM cdc_poller; GRANT SELECT (id, status, updated_at, xmin) ON orders TO cdc_poller');
  assert.deepEqual(briefly(await db.examine(['query'], only('public.orders', { includeColumns: ['id', 'status'] }))), []);
  const report = await db.examine(['query'], only('public.orders', { includeColumns: ['id', 'note'] }));
  assert.deepEqual(briefly(report), ['error SELECT_MISSING public.orders']);
  assert.equal(findingOf(report, 'SELECT_MISSING')?.remedy, 'GRANT SELECT (id, note, updated_at, xmin) ON public.orders TO cdc_poller;');
});

test('columns that cannot track changes are reported: missing, of a wrong type, nullable, unindexed, not unique', async () => {
  await using db = await bench.database();
  await db.run(`CREATE TABLE loose (id text, changed timestamp, updated_at timestamptz, at date NOT NULL, number bigint);
    GRANT SELECT ON loose TO cdc_poller`);
  const listed = async (settings: object): Promise<readonly string[]> =>
    briefly(await db.examine(['query'], only('public.loose', settings))).filter((one) => !one.includes('TIMESTAMP_NOT_MOVED'));
  assert.deepEqual(await listed({ timestampColumn: 'modified', incrementingColumn: 'nr' }), [
    'error COLUMN_UNKNOWN public.loose.modified',
    'error COLUMN_UNKNOWN public.loose.nr',
  ]);
  assert.deepEqual(await listed({ incrementingColumn: 'number' }), [
    'error COLUMN_NULLABLE public.loose.number',
    'error COLUMN_NULLABLE public.loose.updated_at',
    'error KEY_UNFIT public.loose',
    'warning COLUMN_UNINDEXED public.loose',
  ]);
  assert.deepEqual(await listed({ timestampColumn: 'at', mode: 'timestamp' }), [
    'error COLUMN_TYPE_UNFIT public.loose.at',
    'error KEY_UNFIT public.loose',
    'warning COLUMN_UNINDEXED public.loose',
  ]);
  const local = await db.examine(['query'], only('public.loose', { timestampColumn: 'changed', mode: 'timestamp' }));
  assert.match(findingOf(local, 'COLUMN_TYPE_UNFIT')?.remedy ?? '', /^Set timeZone/);
});

test('a timestamp that no trigger moves is reported, and one that a trigger may move is unknown', async (t) => {
  await using db = await bench.database();
  const listed = async (): Promise<readonly string[]> => briefly(await db.examine(['query'], only('public.orders')));
  const notMoved = ['warning TIMESTAMP_NOT_MOVED public.orders.updated_at'];
  const unclear = ['unknown TIMESTAMP_TRIGGER_UNCLEAR public.orders.updated_at'];
  await t.test('disabled', async () => {
    await db.run('ALTER TABLE orders DISABLE TRIGGER touch_updated_at');
    assert.deepEqual(await listed(), notMoved);
    await db.run('ALTER TABLE orders ENABLE TRIGGER touch_updated_at');
  });
  await t.test('on INSERT only', async () => {
    await db.run('CREATE OR REPLACE TRIGGER touch_updated_at BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch_updated_at()');
    assert.deepEqual(await listed(), notMoved);
  });
  await t.test('after the update', async () => {
    await db.run('CREATE OR REPLACE TRIGGER touch_updated_at AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch_updated_at()');
    assert.deepEqual(await listed(), notMoved);
  });
  await t.test('on another column', async () => {
    await db.run(`CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.placed_at := now(); /* NEW.updated_at := now(); */ RETURN NEW; END $$;
      CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION other()`);
    assert.deepEqual(await listed(), notMoved);
  });
  await t.test('of one column only', async () => {
    await db.run(
      'CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION touch_updated_at()',
    );
    assert.deepEqual(await listed(), unclear);
  });
  await t.test('for changed rows only, which is all of them that matter', async () => {
    await db.run(
      'CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at()',
    );
    assert.deepEqual(await listed(), []);
  });
});

test('a sequence that hands out blocks is reported, as an error where ids bound the scan', async () => {
  await using db = await bench.database();
  await db.run('ALTER SEQUENCE orders_id_seq CACHE 50');
  assert.deepEqual(briefly(await db.examine(['query'], only('public.orders'))), ['info SEQUENCE_CACHE public.orders.id']);
  const byId = only('public.orders', { mode: 'incrementing' });
  const report = await db.examine(['query'], byId);
  assert.deepEqual(briefly(report), ['error SEQUENCE_UNFIT public.orders.id']);
  await db.run(findingOf(report, 'SEQUENCE_UNFIT')?.remedy.split('\n')[0] ?? '');
  assert.deepEqual(briefly(await db.examine(['query'], byId)), []);
  await db.run('CREATE TABLE drawn (id bigint PRIMARY KEY); GRANT SELECT ON drawn TO cdc_poller');
  assert.deepEqual(briefly(await db.examine(['query'], only('public.drawn', { mode: 'incrementing' }))), [
    'error SEQUENCE_UNFIT public.drawn.id',
  ]);
});

test('row-level security that hides rows from the role is reported, and its remedy ends it: a policy, or BYPASSRLS past a restrictive one', async () => {
  await using db = await bench.database();
  const listed = async (): Promise<readonly string[]> => briefly(await db.examine(['query'], only('public.orders')));
  await db.run('ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY cdc_read ON orders FOR SELECT USING (id > 10)');
  const remedy = async (): Promise<string> => findingOf(await db.examine(['query'], only('public.orders')), 'ROW_SECURITY')?.remedy ?? '';
  assert.deepEqual(await listed(), ['error ROW_SECURITY public.orders']);
  assert.equal(await remedy(), 'CREATE POLICY cdc_read_2 ON public.orders FOR SELECT TO cdc_poller USING (true);');
  await db.run(await remedy());
  assert.deepEqual(await listed(), []);
  await db.run('CREATE POLICY less ON orders AS RESTRICTIVE FOR SELECT TO cdc_poller USING (id > 10)');
  assert.deepEqual(await listed(), ['error ROW_SECURITY public.orders']);
  assert.equal(await remedy(), 'ALTER ROLE cdc_poller BYPASSRLS;');
  await db.run(await remedy());
  assert.deepEqual(await listed(), []);
  await db.run('ALTER ROLE cdc_poller NOBYPASSRLS; DROP POLICY less ON orders; DROP POLICY cdc_read_2 ON orders');
  await db.run('CREATE POLICY others ON orders FOR SELECT TO legacy_app USING (true)');
  assert.deepEqual(await listed(), ['error ROW_SECURITY public.orders'], 'a policy that is for another role shows this one nothing');
});

test('what happens and no poll sees is reported: deletes, which turn the advice to a sweep, and updates where only ids are followed', async () => {
  await using db = await bench.database();
  await db.run(
    `INSERT INTO customers (email, name) VALUES ('a', 'a'), ('b', 'b'); DELETE FROM customers WHERE email = 'a'; SELECT pg_stat_force_next_flush()`,
  );
  const report = await db.examine(['query'], only('public.customers'));
  assert.deepEqual(briefly(report), ['info DELETES_INVISIBLE public.customers']);
  assert.deepEqual(
    report.advice.map(({ advice }) => advice),
    ['query + sweep'],
  );
  await db.run(`UPDATE customers SET name = 'c'`);
  assert.deepEqual(briefly(await db.examine(['query'], only('public.customers', { mode: 'incrementing' }))), [
    'info DELETES_INVISIBLE public.customers',
    'info UPDATES_INVISIBLE public.customers',
  ]);
});

test('an old transaction is reported with its session; one whose age the role may not see is unknown, never well', async () => {
  await using db = await bench.database();
  const holder = new Client({ ...db.login('application'), application_name: 'till' });
  await holder.connect();
  try {
    await holder.query('BEGIN; SELECT count(*) FROM orders');
    const report = await db.examine(['query'], { options: { oldSeconds: 0.1 } });
    assert.deepEqual(
      report.findings.map(({ severity, code }) => `${severity} ${code}`),
      ['unknown TRANSACTION_HIDDEN'],
    );
    assert.match(findingOf(report, 'TRANSACTION_HIDDEN')?.cause ?? '', /legacy_app in database .* \(till, pid \d+\)/);
    await db.run('GRANT pg_read_all_stats TO cdc_poller');
    const seen = await db.examine(['query'], { options: { oldSeconds: 0.1 } });
    assert.deepEqual(
      seen.findings.map(({ severity, code }) => `${severity} ${code}`),
      ['warning TRANSACTION_HOLDS_FLOOR'],
    );
    assert.deepEqual(briefly(await db.examine(['query'], { options: { oldSeconds: 600 } })), []);
  } finally {
    await db.run('REVOKE pg_read_all_stats FROM cdc_poller');
    await holder.end();
  }
});

test('a prepared transaction is reported', async () => {
  await using db = await bench.database();
  await db.run(`BEGIN; INSERT INTO customers (email, name) VALUES ('p', 'p'); PREPARE TRANSACTION 'left over'`);
  assert.deepEqual(briefly(await db.examine(['query'], { options: { oldSeconds: 0 } })), ['warning PREPARED_HOLDS_FLOOR left over']);
  await db.run(`ROLLBACK PREPARED 'left over'`);
});

test('clocks that differ are reported, by how much and in which direction', async () => {
  await using db = await bench.database();
  const behind = await db.examine(['query'], { options: { now: () => Date.now() + 3_600_000 } });
  assert.deepEqual(
    briefly(behind).map((one) => one.split(' ').slice(0, 2).join(' ')),
    ['warning CLOCK_OFFSET'],
  );
  assert.match(findingOf(behind, 'CLOCK_OFFSET')?.cause ?? '', /is 60 min behind this host's/);
});

test('a view and a query are polled without fence, which is reported', async () => {
  await using db = await bench.database();
  await db.run('CREATE VIEW busy AS SELECT id, updated_at FROM orders; GRANT SELECT ON busy TO cdc_poller');
  const key = ['id'];
  assert.deepEqual(briefly(await db.examine(['query'], only('public.busy', { key }))), ['warning NO_FENCE public.busy']);
  assert.deepEqual(briefly(await db.examine(['query'], only('public.busy', { mode: 'incrementing' }))), ['error TABLE_KIND public.busy']);
  assert.deepEqual(briefly(await db.examine(['query'], only('public.x', { query: 'SELECT 1 AS id, now() AS updated_at', key }))), [
    'unknown POLLED_QUERY public.x',
  ]);
});

test('a pattern means the tables that it matches', async () => {
  await using db = await bench.database();
  await db.run('ALTER TABLE products DISABLE TRIGGER ALL');
  const report = await db.examine(['query'], only('public.*', { exclude: ['public.order*'] }));
  assert.deepEqual(briefly(report), ['warning TIMESTAMP_NOT_MOVED public.products.updated_at']);
  assert.deepEqual(
    report.advice.map(({ table }) => table),
    ['public.customers', 'public.products'],
  );
});

test('a login that is refused, a database that is missing and a server that is not there are findings', async () => {
  await using db = await bench.database();
  const wrong = await db.examine(['query'], { roles: { poller: { user: 'cdc_poller', password: 'wrong-secret' } } });
  assert.deepEqual(briefly(wrong), ['error LEGACY_LOGIN_REFUSED cdc_poller']);
  assert.ok(!JSON.stringify(wrong).includes('wrong-secret'));
  await db.run('ALTER ROLE cdc_poller NOLOGIN');
  assert.deepEqual(briefly(await db.examine(['query'])), ['error LEGACY_LOGIN_REFUSED cdc_poller']);
  await db.run('ALTER ROLE cdc_poller LOGIN');
  assert.deepEqual(briefly(await db.examine(['query'], { location: { database: 'not_there' } })), ['error LEGACY_DB_MISSING not_there']);
  const away = await db.examine(['query'], { location: { port: 1 } });
  assert.deepEqual(briefly(away), ['error LEGACY_DB_UNREACHABLE 127.0.0.1:1']);
  assert.deepEqual(away.advice, []);
});

test('what the role may not look at is unknown, and everything else is examined all the same', async () => {
  await using db = await bench.database();
  await db.run('REVOKE SELECT ON pg_prepared_xacts FROM PUBLIC; ALTER TABLE orders DISABLE TRIGGER ALL');
  const report = await db.examine(['query']);
  assert.deepEqual(briefly(report), ['warning TIMESTAMP_NOT_MOVED public.orders.updated_at', 'unknown PROBE_REFUSED open transactions']);
  assert.match(findingOf(report, 'PROBE_REFUSED')?.cause ?? '', /permission denied for view pg_prepared_xacts/);
});

test('a standby is reported as what it is', async () => {
  await bench.server.restart({}, { standby: true });
  try {
    const { server } = bench;
    assert.deepEqual(await server.run('SELECT pg_is_in_recovery() AS standby'), [{ standby: 't' }]);
    await using db = bench.existing('legacy');
    assert.deepEqual(
      briefly(await db.examine(['query'])).filter((one) => !one.startsWith('info')),
      [`error SOURCE_IS_STANDBY ${server.host}:${server.port}`],
    );
  } finally {
    await bench.server.restart({});
  }
});

test('what the poller refuses is reported, and what it polls in part', async () => {
  await using db = await bench.database();
  await db.run(`CREATE TABLE parent (id bigint PRIMARY KEY, updated_at timestamptz NOT NULL); CREATE INDEX ON parent (updated_at, id);
    CREATE TRIGGER touch BEFORE UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
    CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent); GRANT SELECT ON parent, child TO cdc_poller`);
  const listed = async (table: string, settings: object = {}): Promise<readonly string[]> =>
    briefly(await db.examine(['query'], only(table, settings)));
  assert.deepEqual(await listed('public.parent'), ['error TABLE_INHERITED public.parent']);
  assert.deepEqual(await listed('public.parent', { only: true }), ['warning CHILDREN_NOT_POLLED public.parent']);
  await db.run(
    'CREATE TABLE called (id bigint PRIMARY KEY, by regproc, updated_at timestamptz NOT NULL); GRANT SELECT ON called TO cdc_poller',
  );
  const errors = async (settings: object): Promise<readonly string[]> =>
    (await listed('public.called', settings)).filter((one) => one.startsWith('error'));
  assert.deepEqual(await errors({}), ['error COLUMN_TYPE_UNKNOWN public.called']);
  assert.deepEqual(await errors({ excludeColumns: ['by'] }), []);
  assert.deepEqual(await listed('public.nothing*'), ['warning PATTERN_TAKES_NONE public.nothing*']);
  assert.deepEqual(await listed('public.x', { query: 'SELECT no FROM such', key: ['id'] }), ['error QUERY_INVALID public.x']);
  await db.run('CREATE TABLE worded (id text PRIMARY KEY, updated_at timestamptz NOT NULL); GRANT SELECT ON worded TO cdc_poller');
  assert.deepEqual(
    (await listed('public.worded', { mode: 'timestamp', sweep: {} })).filter((one) => one.startsWith('error')),
    ['error SWEEP_KEY_UNFIT public.worded'],
  );
});
