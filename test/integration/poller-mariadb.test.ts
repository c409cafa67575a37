import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { PublishedEvent } from '#test/support/published.ts';
import { startTestPoller, type TestPoller } from '#test/support/poller.ts';
import { createMariadbScene, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { valuesOf } from '#test/support/poller-scene.ts';
import getPort from 'get-port';

const why = await whyNoMariadb();
const stamped = 'updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)';

/** Row versions that were published more than once: key and content name them. */
function repeated(events: readonly PublishedEvent[]): readonly string[] {
  const versions = events.map(
    ({ key, event }) =>
      `${key} ${JSON.stringify(event.after, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`,
  );
  return versions.filter((version, index) => versions.indexOf(version) !== index);
}

function published(events: readonly PublishedEvent[], value: string): boolean {
  return valuesOf(events, 'value').includes(value);
}

suite('MariaDB', { skip: why ?? false }, () => {
  let scene: MariadbScene;
  let poller: TestPoller;
  let port: number;
  /** Longer than anything here takes on a busy machine; and for the row that is to be lost, short. */
  // A slow machine takes its time between a row and its commit.
  const overlapMs = 300_000;
  const shortMs = 300;

  before(async () => {
    port = await getPort();
    scene = await createMariadbScene(
      [
        `CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50), ${stamped}, KEY (updated_at, id))`,
        `CREATE TABLE codes (code binary(4) PRIMARY KEY, value varchar(50), updated_at datetime NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp, KEY (updated_at, code))`,
        `CREATE TABLE hurried (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50), ${stamped}, KEY (updated_at, id))`,
        `CREATE TABLE ids (id bigint PRIMARY KEY AUTO_INCREMENT, value varchar(50))`,
        `CREATE TABLE few (id int PRIMARY KEY, value varchar(50))`,
        `CREATE VIEW shown AS SELECT id, UPPER(value) AS value, updated_at FROM orders`,
        "INSERT INTO orders (value, updated_at) SELECT CONCAT('loaded ', seq), '2026-01-01 00:00:00' FROM seq_1_to_20",
        "INSERT INTO codes (code, value) SELECT UNHEX(LPAD(HEX(seq * 1000), 8, '0')), CONCAT('loaded ', seq) FROM seq_1_to_20",
        "INSERT INTO ids (value) SELECT CONCAT('loaded ', seq) FROM seq_1_to_20",
        "INSERT INTO few VALUES (1, 'one'), (2, 'two'), (3, 'three')",
      ],
      {
        pageRows: 3,
        http: { port },
        tables: [
          { table: 'orders', overlapMs },
          { table: 'hurried', overlapMs: shortMs },
          { table: 'codes', mode: 'timestamp', timeZone: 'UTC', overlapMs },
          { table: 'ids', mode: 'incrementing', overlapIds: 10 },
          { table: 'few', mode: 'bulk', pollIntervalMs: 300 },
          { table: 'shown', mode: 'timestamp', key: ['id'], overlapMs },
          {
            table: 'chosen',
            query: "SELECT id, value, updated_at, value = '?' AS is_question FROM orders WHERE value <> 'hidden'",
            key: ['id'],
            overlapMs,
          },
        ],
      },
    );
    poller = startTestPoller(scene.config);
  });

  after(async () => {
    await poller.stop();
    await scene[Symbol.asyncDispose]();
  });

  test('equal timestamps across page borders: every row is loaded, once, as a read', async () => {
    for (const table of ['orders', 'codes', 'ids', 'shown', 'chosen']) {
      const events = await scene.until(table, (all) => all.length >= 20, 'twenty loaded rows');
      assert.equal(new Set(events.map(({ key }) => key)).size, 20, table);
      assert.equal(events.length, 20, table);
      assert.ok(
        events.every(({ event }) => event.source.txId === null && event.before === null),
        table,
      );
    }
    const [first] = await scene.published('orders');
    assert.equal(first?.event.op, 'r');
    assert.equal(first?.event.source.db, scene.database);
    assert.equal(first?.event.source.schema, scene.database);
  });

  test('inserts and updates are seen once, also many at one moment', async () => {
    await scene.query("INSERT INTO orders (value) SELECT CONCAT('new ', seq) FROM seq_1_to_20");
    await scene.query("INSERT INTO codes (code, value) SELECT UNHEX(LPAD(HEX(seq), 8, 'a')), CONCAT('new ', seq) FROM seq_1_to_20");
    await scene.query("INSERT INTO ids (value) SELECT CONCAT('new ', seq) FROM seq_1_to_20");
    await scene.query("UPDATE orders SET value = 'changed' WHERE id <= 10");
    await scene.query("UPDATE codes SET value = 'changed' WHERE code <= UNHEX('00002710')");
    for (const [table, count] of [
      ['orders', 50],
      ['codes', 50],
      ['ids', 40],
      ['shown', 50],
      ['chosen', 50],
    ] as const) {
      const events = await scene.until(table, (all) => all.length >= count, `${count} events`);
      assert.deepEqual(repeated(events), [], table);
      assert.equal(events.length, count, table);
    }
  });

  test('what commits late, but within the window, is published, once; and the figures say how late it came', async () => {
    const late = await scene.connect();
    await late.query('START TRANSACTION');
    await late.query("INSERT INTO orders (value) VALUES ('late')");
    await late.query("INSERT INTO codes (code, value) VALUES ('late', 'late')");
    await late.query("INSERT INTO ids (value) VALUES ('late')");
    for (const table of ['orders', 'ids']) await scene.query(`INSERT INTO ${table} (value) VALUES ('meanwhile')`);
    await scene.query("INSERT INTO codes (code, value) VALUES ('mean', 'meanwhile')");
    for (const table of ['orders', 'codes', 'ids', 'shown'])
      await scene.until(table, (all) => published(all, table === 'shown' ? 'MEANWHILE' : 'meanwhile'), 'the row that overtook it');
    await late.query('COMMIT');
    for (const table of ['orders', 'codes', 'ids', 'chosen']) {
      assert.deepEqual(repeated(await scene.until(table, (all) => published(all, 'late'), 'the late row')), [], table);
    }
    assert.deepEqual(repeated(await scene.until('shown', (all) => published(all, 'LATE'), 'the late row')), []);
    const endpoint = pollerEndpoint(port, scene.name);
    const { window } = await endpoint.until(`${scene.database}.orders`, (figures) => (figures.window?.latest ?? 0) > 0);
    assert.equal(window?.width, overlapMs / 1000);
    assert.ok(window.latest < overlapMs / 1000);
    assert.deepEqual((await endpoint.table(`${scene.database}.ids`)).window, { unit: 'ids', width: 10, latest: 1 });
    assert.match((await endpoint.get('/metrics')).text, /cdc_poller_window_latest\{table="scene_[^"]*\.ids"\} 1/);
  });

  test('the documented limit: what commits later than the window is lost', async () => {
    const late = await scene.connect();
    await late.query('START TRANSACTION');
    await late.query("INSERT INTO ids (value) VALUES ('too late')");
    await scene.query("INSERT INTO ids (value) SELECT CONCAT('ahead ', seq) FROM seq_1_to_20");
    await scene.until('ids', (all) => published(all, 'ahead 20'), 'twenty ids above it');
    await late.query("INSERT INTO hurried (value) VALUES ('too late')");
    // Each poll's floor is what the next one begins at: when two have begun a window's length later, the row is behind it.
    const [[due = null] = []] = await scene.query(`SELECT UNIX_TIMESTAMP(NOW(6)) + ${shortMs / 1000}`);
    const isDue = async (): Promise<boolean> => (await scene.query(`SELECT UNIX_TIMESTAMP(NOW(6)) > ${due}`))[0]?.[0] === '1';
    const endpoint = pollerEndpoint(port, scene.name);
    const hurried = `${scene.database}.hurried`;
    while (!(await isDue())) await endpoint.until(hurried, ({ polls }) => polls > 0);
    const { polls: pollsBefore } = await endpoint.table(hurried);
    await endpoint.until(hurried, ({ polls }) => polls > pollsBefore + 2);
    await late.query('COMMIT');
    for (const table of ['hurried', 'ids']) {
      await scene.query(`INSERT INTO ${table} (value) VALUES ('after')`);
      const events = await scene.until(table, (all) => published(all, 'after'), 'a row after it');
      assert.ok(!published(events, 'too late'), `${table}: it is seen after all: mend the documentation`);
    }
  });

  test('mode bulk publishes the whole table at every poll', async () => {
    await scene.until('few', (all) => all.length >= 9, 'three rounds');
  });

  test('a column added and one changed while it runs: the next events have the new shape', async () => {
    await scene.query('ALTER TABLE orders ADD COLUMN note varchar(10), MODIFY value varchar(80)');
    await scene.query("INSERT INTO orders (value, note) VALUES ('shaped', 'noted')");
    const events = await scene.until('orders', (all) => published(all, 'shaped'), 'the row in the new shape');
    const shaped = events.filter(({ event }) => event.after?.['value'] === 'shaped');
    assert.deepEqual(
      shaped.map(({ event }) => event.after?.['note']),
      ['noted'],
    );
  });

  test('TRUNCATE in mode incrementing: ids begin again, and the new rows are published', async () => {
    await scene.query('TRUNCATE ids');
    await scene.query("INSERT INTO ids (value) VALUES ('again')");
    await scene.until('ids', (all) => published(all, 'again'), 'the row with an id that was there before');
  });

  test('a restart, and a connection that is killed, repeat nothing', async () => {
    await poller.stop();
    await scene.query("INSERT INTO orders (value) VALUES ('while away')");
    poller = startTestPoller(scene.config);
    await scene.until('orders', (all) => published(all, 'while away'), 'what came while it was away');
    await scene.asRoot(`KILL USER ${scene.config.legacyDb.roles.poller.user}`);
    await scene.query("INSERT INTO orders (value) VALUES ('reconnected')");
    const events = await scene.until('orders', (all) => published(all, 'reconnected'), 'the row after the connection was lost');
    assert.deepEqual(repeated(events), []);
    assert.deepEqual(repeated(await scene.published('codes')), []);
  });
});
