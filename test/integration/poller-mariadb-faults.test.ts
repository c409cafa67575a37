import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import getPort from 'get-port';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { createMariadbScene, failureOf, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { valuesOf } from '#test/support/poller-scene.ts';

const stamped = 'updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)';

/** The start fails, and says how. */
async function refusal(config: PipelineConfig): Promise<string> {
  await using poller = startTestPoller({ ...config, kafka: { ...config.kafka, whenUnavailable: 'exit' } });
  const { code, message, remedy } = await failureOf(poller.ended);
  return `${code}: ${message} (${remedy})`;
}

async function refusalOf(scene: MariadbScene, table: Readonly<Record<string, unknown>>): Promise<string> {
  const { poller } = scene.config;
  assert.ok(poller);
  const [first] = poller.tables;
  assert.ok(first);
  return await refusal({ ...scene.config, poller: { ...poller, tables: [{ ...first, ...table }] } });
}

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('a server that cannot be used is refused with what is wrong, and without the password', async () => {
    await using scene = await createMariadbScene([`CREATE TABLE t (id int PRIMARY KEY, ${stamped})`], { tables: [{ table: 't' }] });
    const { legacyDb } = scene.config;
    const { poller } = legacyDb.roles;
    const refuse = (changed: Partial<typeof legacyDb>): Promise<string> =>
      refusal({ ...scene.config, legacyDb: { ...legacyDb, ...changed } });
    const wrong = await refuse({ roles: { poller: { ...poller, password: 'wrong-secret' } } });
    assert.match(
      wrong,
      /^LEGACY_LOGIN_REFUSED: the legacy database 127\.0\.0\.1:\d+\/scene_\w+ refused user cdc_poller .*Access denied.*roles\.poller/,
    );
    assert.ok(!wrong.includes('wrong-secret'));
    assert.match(await refuse({ port: await getPort() }), /^LEGACY_DB_UNREACHABLE: .* did not answer user cdc_poller .*ECONNREFUSED/);
    const denied = await refuse({ database: 'mysql' });
    assert.match(denied, /^SELECT_MISSING: .*Access denied .* to database 'mysql'/);
    assert.ok(denied.includes("GRANT SELECT ON `mysql`.* TO 'cdc_poller'@'%';"), denied);
    assert.match(await refuse({ dialect: 'postgres' }), /^LEGACY_DB_UNREACHABLE: /);
  });

  test('a table that cannot be polled is refused with every finding, each with SQL that mends it', async () => {
    await using scene = await createMariadbScene(
      [
        `CREATE TABLE t (id int PRIMARY KEY, local datetime NOT NULL, maybe timestamp NULL, note varchar(9) NOT NULL, ${stamped})`,
        `CREATE TABLE keyless (id int, ${stamped})`,
        'CREATE VIEW v AS SELECT * FROM t',
      ],
      { tables: [{ table: 't' }] },
    );
    const { database } = scene;
    const hidden = `${database}_hidden`;
    await scene.asRoot(`CREATE DATABASE ${hidden}`);
    await scene.asRoot(`CREATE TABLE ${hidden}.t (id int PRIMARY KEY, ${stamped})`);
    try {
      const role = `'cdc_poller'@'%'`;
      const denied = await refusalOf(scene, { table: `${hidden}.t` });
      assert.match(denied, /^SELECT_MISSING: role cdc_poller@% may not read table/);
      assert.ok(denied.includes(`GRANT SELECT ON \`${hidden}\`.\`t\` TO ${role};`), denied);
      await scene.asRoot(`GRANT SELECT (id) ON ${hidden}.t TO cdc_poller`);
      assert.match(await refusalOf(scene, { table: `${hidden}.t` }), /^(?:SELECT_MISSING|COLUMN_UNKNOWN)/);
    } finally {
      await scene.asRoot(`DROP DATABASE ${hidden}`);
    }
    assert.match(
      await refusalOf(scene, { table: `${database}.tt` }),
      new RegExp(`^TABLE_UNKNOWN: .*Did you mean ${database}\\.keyless or`),
    );
    assert.match(
      await refusalOf(scene, { timestampColumn: 'changed' }),
      /^COLUMN_UNKNOWN: .*Set timestampColumn to one of maybe, updated_at/,
    );
    assert.match(await refusalOf(scene, { timestampColumn: 'note' }), /^COLUMN_TYPE_UNFIT: .*has type varchar .*of type timestamp/);
    assert.match(await refusalOf(scene, { timestampColumn: 'local' }), /^COLUMN_TYPE_UNFIT: .*no time zone.*Set timeZone/);
    assert.match(await refusalOf(scene, { timestampColumn: 'maybe' }), /^COLUMN_NULLABLE: /);
    assert.match(await refusalOf(scene, { table: `${database}.keyless`, mode: 'timestamp' }), /^KEY_UNFIT: .*no primary key/);
    assert.match(await refusalOf(scene, { mode: 'incrementing' }), /^SEQUENCE_UNFIT: /);
    assert.match(await refusalOf(scene, { table: `${database}.v` }), /^KEY_UNFIT: .*is a view/);
    assert.match(await refusalOf(scene, { query: 'SELECT nonsense FROM t', key: ['id'] }), /^QUERY_INVALID: .*Unknown column 'nonsense'/);
  });

  test('a right that is taken away: the table waits and says so, and goes on where it stood when it is granted again', async () => {
    const port = await getPort();
    await using scene = await createMariadbScene([`CREATE TABLE t (id int PRIMARY KEY, value varchar(20), ${stamped})`], {
      tables: [{ table: 't' }],
      http: { port },
    });
    // A connection keeps its rights to a whole database until it ends.
    await scene.asRoot(`REVOKE SELECT ON ${scene.database}.* FROM cdc_poller`);
    await scene.asRoot(`GRANT SELECT ON ${scene.database}.t TO cdc_poller`);
    await using poller = startTestPoller(scene.config);
    await scene.query("INSERT INTO t (id, value) VALUES (1, 'first')");
    await scene.until('t', (events) => events.length === 1, 'a row');
    await scene.asRoot(`REVOKE SELECT ON ${scene.database}.t FROM cdc_poller`);
    const endpoint = pollerEndpoint(port, scene.name);
    await endpoint.until(`${scene.database}.t`, ({ errors }) => (errors['SELECT_MISSING'] ?? 0) > 0);
    await scene.query("INSERT INTO t (id, value) VALUES (2, 'meanwhile')");
    await scene.asRoot(`GRANT SELECT ON ${scene.database}.t TO cdc_poller`);
    const events = await scene.until('t', (all) => all.length >= 2, 'the row that came meanwhile');
    assert.deepEqual(valuesOf(events, 'value').toSorted(), ['first', 'meanwhile']);
    await poller.stop();
  });

  test('a key whose columns change their order: the table waits, as for any other key, and nothing goes out under either', async () => {
    const port = await getPort();
    await using scene = await createMariadbScene([`CREATE TABLE t (a int, b int, value varchar(20), ${stamped}, PRIMARY KEY (a, b))`], {
      tables: [{ table: 't', mode: 'timestamp' }],
      http: { port },
    });
    await using poller = startTestPoller(scene.config);
    await scene.query("INSERT INTO t (a, b, value) VALUES (1, 2, 'first')");
    await scene.until('t', (events) => events.length === 1, 'a row');
    await scene.query('ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)');
    await scene.query("INSERT INTO t (a, b, value) VALUES (3, 4, 'turned round')");
    const endpoint = pollerEndpoint(port, scene.name);
    await endpoint.until(`${scene.database}.t`, ({ errors }) => (errors['TABLE_CHANGED'] ?? 0) > 0);
    assert.deepEqual(valuesOf(await scene.published('t'), 'value'), ['first']);
    await scene.query('ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)');
    const events = await scene.until('t', (all) => all.length >= 2, 'the row, when the key is put back');
    assert.deepEqual(events.map(({ key }) => key).toSorted(), ['{"a":1,"b":2}', '{"a":3,"b":4}']);
    await poller.stop();
  });

  test('a session can neither write nor run for longer than it may, whatever its rights', async () => {
    await using scene = await createMariadbScene(['CREATE TABLE t (id int PRIMARY KEY)'], {
      tables: [{ table: 't', mode: 'bulk', pollIntervalMs: 1000 }],
    });
    const { legacyDb } = scene.config;
    await scene.asRoot(`GRANT ALL PRIVILEGES ON ${scene.database}.* TO cdc_poller`);
    await using session = await mariadb.openSession(legacyDb, 'test', 200);
    await assert.rejects(session.query('INSERT INTO t VALUES (1)'), { code: 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION' });
    await assert.rejects(
      session.query('SELECT COUNT(*) FROM seq_1_to_30000 AS a JOIN seq_1_to_30000 AS b ON a.seq + b.seq = 7'),
      /max_statement_time exceeded|Lock wait timeout/,
    );
    const writer = await scene.connect();
    await writer.query('LOCK TABLES t WRITE');
    await assert.rejects(session.query('SELECT * FROM t'), /max_statement_time exceeded|Lock wait timeout/);
  });
});
