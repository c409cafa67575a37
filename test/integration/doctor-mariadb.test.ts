import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import getPort from 'get-port';
import { createConnection } from 'mysql2/promise';
import type { Finding } from '#doctor/finding.ts';
import { doctorCommand } from '#doctor/index.ts';
import { waitFor } from '#stack/index.ts';
import { briefly, findingOf } from '#test/support/doctor.ts';
import { healthyTable, startMariadbDoctor, type MariadbDoctor, type MariadbSetup } from '#test/support/doctor-mariadb.ts';
import { whyNoMariadb } from '#test/support/mariadb.ts';
import { createOwnMariadb, rootUser } from '#test/support/own-mariadb.ts';
import { terminal, type Terminal } from '#test/support/terminal.ts';

const replicator = "cdc_replicator@'127.0.0.1'";
const moved = 'timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)';
const polled = (table: string, settings: Readonly<Record<string, unknown>> = {}): MariadbSetup => ({
  tables: [{ table: `shop.${table}`, ...settings }],
});

suite('doctor on MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  let doctor: MariadbDoctor;

  before(async () => {
    doctor = await startMariadbDoctor(['--binlog-ignore-db=unlogged']);
    await doctor.run('CREATE DATABASE unlogged', `CREATE TABLE unlogged.notes (${healthyTable})`);
  });

  after(async () => {
    await doctor[Symbol.asyncDispose]();
  });

  const log = async (setup: MariadbSetup = {}): Promise<readonly string[]> => briefly(await doctor.examine(['log'], setup));
  const run = (words: readonly string[], setup: MariadbSetup): ReturnType<Terminal['run']> =>
    terminal(doctorCommand, { ...doctor.pipeline(setup), connect: undefined }).run(...words);
  /** The statements that a remedy prints, each on a line of its own. */
  const statements = async (setup: MariadbSetup, code: Finding['code']): Promise<readonly string[]> =>
    (findingOf(await doctor.examine(['query'], setup), code)?.remedy ?? '').split('\n').filter((line) => line.endsWith(';'));
  const query = async (setup: MariadbSetup = {}): Promise<readonly string[]> => briefly(await doctor.examine(['query'], setup));

  test('nothing is found on a healthy server, and looking writes nothing into its binlog', async () => {
    const position = (): Promise<unknown> => doctor.server.query('SELECT @@gtid_binlog_pos');
    const old = await position();
    const report = await doctor.examine(['query', 'log']);
    assert.deepEqual(briefly(report), []);
    assert.deepEqual(
      report.advice.map(({ table, advice }) => `${table} ${advice}`),
      ['shop.orders log'],
    );
    assert.deepEqual(await position(), old);
  });

  test('settings of the server: each is reported, with SQL that mends it', async (t) => {
    const cases = [
      ["SET GLOBAL binlog_format = 'MIXED'", 'error BINLOG_FORMAT binlog_format'],
      ["SET GLOBAL binlog_row_image = 'MINIMAL'", 'error BINLOG_ROW_IMAGE binlog_row_image'],
      ['SET GLOBAL binlog_expire_logs_seconds = 3600', 'warning BINLOG_KEPT_BRIEFLY binlog_expire_logs_seconds'],
      ['SET GLOBAL server_id = 184054', 'error SERVER_ID_CLASH legacy-mariadb'],
    ] as const;
    const healthy = [
      "SET GLOBAL binlog_format = 'ROW'",
      "SET GLOBAL binlog_row_image = 'FULL'",
      'SET GLOBAL binlog_expire_logs_seconds = 0',
      'SET GLOBAL server_id = 1',
    ];
    for (const [sql, told] of cases) {
      await t.test(told, async () => {
        await doctor.run(sql);
        assert.deepEqual(await log(), [told]);
        await doctor.run(...healthy);
      });
    }
    await doctor.run('SET GLOBAL binlog_row_image = MINIMAL');
    const report = await doctor.examine(['log']);
    const remedy = findingOf(report, 'BINLOG_ROW_IMAGE')?.remedy ?? '';
    await doctor.run(remedy.slice(0, remedy.indexOf(';')));
    assert.deepEqual(await log(), []);
  });

  test('a server that is read_only, or that replicates from another one', async () => {
    await doctor.run('SET GLOBAL read_only = ON');
    const name = doctor.server.location;
    assert.deepEqual(briefly(await doctor.examine(['query', 'log'])), [
      `warning SOURCE_IS_REPLICA ${name.host}:${name.port}`,
      `warning SOURCE_IS_REPLICA ${name.host}:${name.port}`,
    ]);
    await doctor.run('SET GLOBAL read_only = OFF', "CHANGE MASTER TO master_host = '127.0.0.1', master_port = 1");
    assert.deepEqual(await query(), []);
    await doctor.run("GRANT REPLICA MONITOR ON *.* TO cdc_poller@'127.0.0.1'");
    assert.deepEqual(await query(), [`warning SOURCE_IS_REPLICA ${name.host}:${name.port}`]);
    await doctor.run('RESET SLAVE ALL', "REVOKE REPLICA MONITOR ON *.* FROM cdc_poller@'127.0.0.1'");
  });

  test('a transaction that has been open for longer than the window is wide, to whom may see it', async () => {
    const writer = await createConnection(doctor.server.login(rootUser).connection);
    const reader = await createConnection(doctor.server.login(rootUser).connection);
    const brief = polled('orders', { overlapMs: 1000 });
    try {
      await reader.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      await writer.query('BEGIN');
      await writer.query("UPDATE shop.orders SET value = 'late' WHERE id = 1");
      assert.deepEqual(await query(brief), []);
      await doctor.run("GRANT PROCESS ON *.* TO cdc_poller@'127.0.0.1'");
      const told = `warning TRANSACTION_OUTLASTS_WINDOW connection ${writer.threadId}`;
      await waitFor(async () => ((await query(brief)).includes(told) ? true : null), {
        signal: AbortSignal.timeout(60_000),
        timeoutMs: 60_000,
        describe: told,
      });
      assert.deepEqual(await query(brief), [told]);
      assert.deepEqual(await query(), [], 'the window of a minute is wide enough');
      const remedy = findingOf(await doctor.examine(['query'], brief), 'TRANSACTION_OUTLASTS_WINDOW')?.remedy ?? '';
      await doctor.run(/KILL \d+/.exec(remedy)?.[0] ?? assert.fail(remedy));
      await waitFor(async () => ((await query(brief)).length === 0 ? true : null), {
        signal: AbortSignal.timeout(60_000),
        timeoutMs: 60_000,
        describe: 'it has ended',
      });
    } finally {
      await doctor.run("REVOKE PROCESS ON *.* FROM cdc_poller@'127.0.0.1'");
      writer.destroy();
      reader.destroy();
    }
  });

  test('a replica that has the connector’s number, to whom may see the replicas', async () => {
    const { host, port } = doctor.server.location;
    await using own = await createOwnMariadb();
    await using replica = await own.start(await getPort(), ['--server-id=184054', '--report-host=replica.example']);
    const { user, password } = rootUser;
    await replica.query(
      `CHANGE MASTER TO master_host = '${host}', master_port = ${port}, master_user = '${user}', master_password = '${password}', master_use_gtid = current_pos, master_ssl = 0`,
    );
    await replica.query('START SLAVE');
    await waitFor(async () => ((await doctor.server.query('SHOW SLAVE HOSTS')).length > 0 ? true : null), {
      signal: AbortSignal.timeout(60_000),
      timeoutMs: 60_000,
      describe: 'the replica is connected',
    });
    assert.deepEqual(await log(), []);
    await doctor.run(`GRANT REPLICATION MASTER ADMIN ON *.* TO ${replicator}`);
    assert.deepEqual(await log(), ['error SERVER_ID_CLASH legacy-mariadb']);
    assert.match(findingOf(await doctor.examine(['log']), 'SERVER_ID_CLASH')?.cause ?? '', /184054.*replica\.example:\d+/);
    assert.deepEqual(await log({ overrides: { 'database.server.id': '184055' } }), []);
    await doctor.run(`REVOKE REPLICATION MASTER ADMIN ON *.* FROM ${replicator}`);
  });

  test('a database that the server leaves out of its binlog, or the connector file leaves out', async () => {
    await doctor.run(`GRANT SELECT ON unlogged.* TO ${replicator}`);
    const include = { 'table.include.list': 'shop.orders,unlogged.notes,cdc.heartbeat' };
    assert.deepEqual(await log({ overrides: { ...include, 'database.include.list': 'shop,unlogged,cdc' } }), [
      'error BINLOG_FILTERED unlogged',
    ]);
    assert.deepEqual(await log({ overrides: { 'database.include.list': 'shop' } }), [
      'error DATABASE_NOT_INCLUDED cdc.heartbeat',
      'error DATABASE_NOT_INCLUDED cdc.signal',
    ]);
  });

  test('rights that the connector lacks, each by itself; a binlog that may not be seen', async (t) => {
    const cases = [
      ['REPLICATION SLAVE ON *.*', ['error GLOBAL_RIGHT_MISSING cdc_replicator']],
      ['BINLOG MONITOR ON *.*', ['error GLOBAL_RIGHT_MISSING cdc_replicator']],
      ['RELOAD ON *.*', ['error GLOBAL_RIGHT_MISSING cdc_replicator']],
      ['SELECT ON shop.orders', ['error SELECT_MISSING shop.orders']],
      ['SELECT ON cdc.heartbeat', ['error HEARTBEAT_TABLE_UNUSABLE cdc.heartbeat']],
      ['UPDATE (beat_at) ON cdc.heartbeat', ['error HEARTBEAT_TABLE_UNUSABLE cdc.heartbeat']],
      ['INSERT ON cdc.`signal`', ['warning SIGNAL_TABLE_UNUSABLE cdc.signal']],
    ] as const;
    for (const [right, told] of cases) {
      await t.test(right, async () => {
        await doctor.run(`REVOKE ${right} FROM ${replicator}`);
        const report = await doctor.examine(['log']);
        assert.deepEqual(briefly(report), told);
        const [finding] = report.findings;
        if (finding?.code === 'GLOBAL_RIGHT_MISSING') await doctor.run(finding.remedy.slice(0, finding.remedy.indexOf(';')));
        else await doctor.run(`GRANT ${right} TO ${replicator}`);
        assert.deepEqual(await log(), []);
      });
    }
    await doctor.run(`REVOKE RELOAD ON *.* FROM ${replicator}`);
    assert.deepEqual(await log({ overrides: { 'snapshot.locking.mode': 'none' } }), []);
    await doctor.run(`GRANT LOCK TABLES ON shop.* TO ${replicator}`);
    assert.deepEqual(await log(), []);
    await doctor.run(`REVOKE LOCK TABLES ON shop.* FROM ${replicator}`, `GRANT RELOAD ON *.* TO ${replicator}`);
  });

  test('heartbeat and signal tables that are not there, or empty, or that the connector file does without', async () => {
    await doctor.run('DELETE FROM cdc.heartbeat');
    const report = await doctor.examine(['log']);
    assert.match(findingOf(report, 'HEARTBEAT_TABLE_UNUSABLE')?.cause ?? '', /it is empty/);
    await doctor.run('INSERT INTO cdc.heartbeat (id) VALUES (1)', 'RENAME TABLE cdc.heartbeat TO cdc.h, cdc.`signal` TO cdc.s');
    assert.deepEqual(await log(), ['error HEARTBEAT_TABLE_UNUSABLE cdc.heartbeat', 'warning SIGNAL_TABLE_UNUSABLE cdc.signal']);
    await doctor.run('RENAME TABLE cdc.h TO cdc.heartbeat, cdc.s TO cdc.`signal`');
    assert.deepEqual(await log({ overrides: { 'heartbeat.interval.ms': '0' } }), ['warning HEARTBEAT_OFF legacy-mariadb']);
  });

  test('tables that the connector cannot key or cannot read, a view, a name that is none', async () => {
    await doctor.run(
      'CREATE TABLE shop.keyless (id int)',
      'CREATE TABLE shop.addresses (id int PRIMARY KEY, address inet6)',
      'CREATE VIEW shop.seen AS SELECT * FROM shop.orders',
      `GRANT SELECT ON shop.* TO ${replicator}`,
    );
    assert.deepEqual(await log({ captured: ['keyless', 'addresses', 'seen', 'order'] }), [
      'error COLUMN_UNREADABLE shop.addresses.address',
      'error TABLE_KIND shop.seen',
      'error TABLE_UNKNOWN shop.order',
      'warning TABLE_KEYLESS shop.keyless',
    ]);
    const report = await doctor.examine(['query', 'log'], { captured: ['addresses'], tables: [{ table: 'shop.orders' }] });
    assert.deepEqual(
      report.advice.map(({ table, advice, before: first }) => `${table} ${advice} ${first.join()}`),
      ['shop.addresses log COLUMN_UNREADABLE', 'shop.orders log '],
    );
    await doctor.run(`REVOKE SELECT ON shop.* FROM ${replicator}`);
    assert.deepEqual(await log({ captured: ['keyless'] }), ['error SELECT_MISSING shop.keyless']);
  });

  test('connector files against each other, and of other databases', async () => {
    const file = await doctor.file();
    const told = await log({
      files: [file, { ...file, name: 'twin' }, { name: 'pg', config: { 'connector.class': 'PostgresConnector' } }],
    });
    assert.deepEqual(told, ['error SERVER_ID_CLASH legacy-mariadb', 'error SERVER_ID_CLASH twin', 'unknown CONNECTOR_NOT_MARIADB pg']);
    assert.deepEqual(await log({ overrides: { 'gtid.source.includes': '0-1' } }), ['warning GTID_STRICT_OFF gtid_strict_mode']);
    await doctor.run('SET GLOBAL gtid_strict_mode = ON');
    assert.deepEqual(await log({ overrides: { 'gtid.source.includes': '0-1' } }), []);
    await doctor.run('SET GLOBAL gtid_strict_mode = OFF');
    assert.deepEqual(await log({ overrides: { 'table.include.list': 'shop.*' } }), ['unknown TABLES_BY_PATTERN legacy-mariadb']);
  });

  test('a column that polling needs: not there, null, without index, of a type without order, not unique, a float as key', async () => {
    await doctor.run(
      'CREATE TABLE shop.plain (id int PRIMARY KEY, value int)',
      `CREATE TABLE shop.nulls (id bigint PRIMARY KEY AUTO_INCREMENT, updated_at timestamp(6) NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id))`,
      `CREATE TABLE shop.slow (id bigint PRIMARY KEY AUTO_INCREMENT, updated_at ${moved})`,
      `CREATE TABLE shop.texts (id bigint PRIMARY KEY AUTO_INCREMENT, updated_at varchar(30) NOT NULL, KEY (updated_at, id))`,
      `CREATE TABLE shop.double_ids (id bigint NOT NULL, n int, updated_at ${moved}, KEY (updated_at, id), KEY (id))`,
      `CREATE TABLE shop.floats (id float PRIMARY KEY, updated_at ${moved}, KEY (updated_at, id))`,
      `CREATE TABLE shop.float_keys (id bigint NOT NULL, f float, updated_at ${moved}, PRIMARY KEY (f), KEY (updated_at, id, f))`,
      `CREATE TABLE shop.given (id bigint PRIMARY KEY, updated_at ${moved}, KEY (updated_at, id))`,
    );
    assert.deepEqual(await query(polled('plain')), ['error COLUMN_UNKNOWN shop.plain.updated_at']);
    assert.deepEqual(await query(polled('nulls')), ['error COLUMN_NULLABLE shop.nulls.updated_at']);
    assert.deepEqual(await query(polled('slow')), ['warning COLUMN_UNINDEXED shop.slow']);
    assert.deepEqual(await query(polled('texts')), ['error COLUMN_TYPE_UNFIT shop.texts.updated_at']);
    assert.deepEqual(await query(polled('double_ids')), ['error KEY_UNFIT shop.double_ids']);
    assert.deepEqual(await query(polled('floats')), ['error COLUMN_TYPE_UNFIT shop.floats.id']);
    assert.deepEqual(await query(polled('float_keys')), ['error KEY_UNFIT shop.float_keys']);
    assert.deepEqual(await query(polled('given', { mode: 'incrementing' })), ['error SEQUENCE_UNFIT shop.given.id']);
    assert.deepEqual(await query(polled('given', { mode: 'incrementing', idsAscend: true })), []);
    await doctor.run(`CREATE TABLE shop.no_key (updated_at ${moved}, KEY (updated_at))`);
    assert.deepEqual(await query(polled('no_key', { mode: 'timestamp' })), ['error KEY_UNFIT shop.no_key']);
    await doctor.run(...(await statements(polled('slow'), 'COLUMN_UNINDEXED')));
    assert.deepEqual(await query(polled('slow')), []);
  });

  test('a column that nothing moves is told for certain to who may see triggers, else as unknown; a trigger that sets it is enough', async () => {
    await doctor.run(
      'CREATE TABLE shop.still (id bigint PRIMARY KEY AUTO_INCREMENT, updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (updated_at, id))',
    );
    assert.deepEqual(await query(polled('still')), ['unknown TIMESTAMP_TRIGGER_UNCLEAR shop.still.updated_at']);
    await doctor.run("GRANT TRIGGER ON shop.* TO cdc_poller@'127.0.0.1'");
    assert.deepEqual(await query(polled('still')), ['warning TIMESTAMP_NOT_MOVED shop.still.updated_at']);
    await doctor.run('CREATE TRIGGER shop.other BEFORE UPDATE ON shop.still FOR EACH ROW SET @seen = NEW.updated_at');
    assert.deepEqual(await query(polled('still')), ['warning TIMESTAMP_NOT_MOVED shop.still.updated_at']);
    await doctor.run('CREATE TRIGGER shop.touch BEFORE UPDATE ON shop.still FOR EACH ROW SET NEW.updated_at = current_timestamp(6)');
    assert.deepEqual(await query(polled('still')), []);
    await doctor.run('DROP TRIGGER shop.touch');
    await doctor.run(...(await statements(polled('still'), 'TIMESTAMP_NOT_MOVED')));
    assert.deepEqual(await query(polled('still', { timestampColumn: 'cdc_updated_at' })), []);
    // Nobody who reads or writes without naming columns sees the new one.
    await doctor.run('INSERT INTO shop.still VALUES (7, now(6))', 'CREATE TABLE shop.copy AS SELECT * FROM shop.still');
    const [shown] = await doctor.server.query('SELECT * FROM shop.copy WHERE id = 7');
    assert.equal(Object.keys(shown ?? {}).length, 2);
    await doctor.run("REVOKE TRIGGER ON shop.* FROM cdc_poller@'127.0.0.1'");
  });

  test('dates that are none, by a default or by a row; a clock column in another zone than the server writes it', async () => {
    await doctor.run(
      "SET sql_mode = ''",
      "CREATE TABLE shop.dated (id bigint PRIMARY KEY AUTO_INCREMENT, paid_on date, due datetime NOT NULL DEFAULT '0000-00-00 00:00:00')",
      "INSERT INTO shop.dated (paid_on) VALUES ('2026-02-00')",
      `CREATE TABLE shop.local (id bigint PRIMARY KEY AUTO_INCREMENT, updated_at datetime(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (updated_at, id))`,
    );
    assert.deepEqual(await query(polled('dated', { mode: 'bulk', pollIntervalMs: 60_000 })), [
      'warning ZERO_DATES shop.dated.due',
      'warning ZERO_DATES shop.dated.paid_on',
    ]);
    assert.deepEqual(await query(polled('local')), ['error COLUMN_TYPE_UNFIT shop.local.updated_at']);
    assert.deepEqual(await query(polled('local', { timeZone: 'UTC' })), []);
    assert.deepEqual(await query(polled('local', { timeZone: 'Asia/Tokyo' })), ['warning TIME_ZONE_DIFFERS shop.local.updated_at']);
    await doctor.run("SET GLOBAL time_zone = '+09:00'");
    assert.deepEqual(await query(polled('local', { timeZone: 'Asia/Tokyo' })), []);
    await doctor.run("SET GLOBAL time_zone = 'SYSTEM'");
  });

  test('what the poller may not read, does not find, or cannot be told of; patterns; views; the clock', async () => {
    await doctor.run('CREATE DATABASE hidden', 'CREATE TABLE hidden.t (id int PRIMARY KEY)');
    assert.deepEqual(await query({ tables: [{ table: 'hidden.t' }] }), ['error SELECT_MISSING hidden.t']);
    const report = await doctor.examine(['query'], polled('order'));
    assert.deepEqual(briefly(report), ['error TABLE_UNKNOWN shop.order']);
    assert.deepEqual(
      await query({ tables: [{ table: 'shop.q', query: 'SELECT 1 AS id, now(6) AS updated_at', key: ['id'], timeZone: 'UTC' }] }),
      ['unknown POLLED_QUERY shop.q'],
    );
    assert.deepEqual(await query({ tables: [{ table: 'shop.order?' }] }), []);
    assert.deepEqual(await query({ tables: [{ table: 'shop.nothing*' }] }), ['warning PATTERN_TAKES_NONE shop.nothing*']);
    assert.deepEqual(await query(polled('seen', { mode: 'incrementing' })), ['error TABLE_KIND shop.seen']);
    assert.deepEqual(await query(polled('seen', { mode: 'timestamp', key: ['id'] })), []);
    assert.deepEqual(await query({ options: { now: () => Date.now() - 60_000 } }), [
      `warning CLOCK_OFFSET ${doctor.server.location.host}:${doctor.server.location.port}`,
    ]);
  });

  test('a table that somebody holds whole is unknown, and the rest is told all the same', async () => {
    const holder = await createConnection({ ...doctor.server.login(rootUser).connection });
    await holder.query('LOCK TABLES shop.orders WRITE');
    const told = await query({ tables: [{ table: 'shop.orders' }, { table: 'shop.plain' }] });
    await holder.end();
    assert.deepEqual(told, ['error COLUMN_UNKNOWN shop.plain.updated_at', 'unknown PROBE_REFUSED table shop.orders']);
  });

  test('a login that is refused, a server that does not answer, a role that is not configured', async () => {
    const roles = { poller: { user: 'nobody', password: 'x' } };
    assert.deepEqual(await query({ roles }), ['error LEGACY_LOGIN_REFUSED nobody']);
    const port = await getPort();
    assert.deepEqual(await log({ port }), [`error LEGACY_DB_UNREACHABLE 127.0.0.1:${port}`]);
    assert.deepEqual(await log({ roles: { replicator: undefined } }), ['unknown ROLE_NOT_CONFIGURED legacyDb.roles.replicator']);
  });

  test('the poller is advised where the log is not ready, or not examined', async () => {
    await doctor.run("SET GLOBAL binlog_format = 'MIXED'");
    const { advice } = await doctor.examine(['query', 'log']);
    assert.deepEqual(
      advice.map(({ table, advice: strategy }) => `${table} ${strategy}`),
      ['shop.orders query'],
    );
    await doctor.run("SET GLOBAL binlog_format = 'ROW'");
    const [alone] = (await doctor.examine(['query'], polled('plain'))).advice;
    assert.equal(alone?.advice, 'log');
    assert.match(alone.reasons.join('; '), /has no column updated_at .*; whether the log can be read was not examined/);
  });

  test('the command: exit codes and --json', async () => {
    assert.equal((await run([], {})).exitCode, 0);
    assert.equal((await run([], polled('local', { timeZone: 'Asia/Tokyo' }))).exitCode, 2);
    const { printed, exitCode } = await run(['--json'], polled('plain'));
    assert.equal(exitCode, 1);
    const report: unknown = JSON.parse(printed);
    assert.ok(typeof report === 'object' && report !== null && 'summary' in report && 'format' in report);
    assert.deepEqual([report.format, report.summary], [1, { error: 1, warning: 0, unknown: 0, info: 0 }]);
  });
});

test('a server without binlog', { skip: (await whyNoMariadb()) ?? false }, async () => {
  await using doctor = await startMariadbDoctor(['--skip-log-bin']);
  const { host, port } = doctor.server.location;
  assert.deepEqual(briefly(await doctor.examine(['log'])), [`error BINLOG_OFF ${host}:${port}`]);
});
