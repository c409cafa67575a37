import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readPublished } from '#test/support/published.ts';
import { readToEnd } from '#kafka/index.ts';
import { schemaIdOf } from '#test/support/schema-scene.ts';
import { readStatus } from '#cdc-poller/index.ts';
import { spawnPoller, untilPublished, untilStatus, type PollerProcess } from '#test/support/poller.ts';
import { assertExactTable, createPollerScene, type PollerScene } from '#test/support/poller-scene.ts';
import { race } from '#test/support/race.ts';

/** Many more than one connection reads before threads are started, and while they start. */
const rows = 250_000;
const byThreads = /further pages of the load are read by threads/;

/** Names and orders that a load meets: two timestamps of which one may be null, a key of several columns in the database's own collation. */
const oddTable = `
  CREATE TABLE odd_orders (
    "Group" text NOT NULL, "order?" int NOT NULL, value numeric, "created at" timestamptz NOT NULL, changed timestamptz, note text,
    PRIMARY KEY ("Group", "order?"));
  CREATE INDEX ON odd_orders ((coalesce(changed, "created at")), "Group", "order?");`;
const oddRows = `
  INSERT INTO odd_orders
    SELECT chr(97 + n % 7) || chr(228) || '''\\', n, n / 7.0, timestamptz '2026-03-29 01:00:00Z' - make_interval(secs => n % 900), CASE WHEN n % 3 = 0 THEN timestamptz '2026-03-29 01:00:00Z' - make_interval(secs => n % 50) END,
           CASE WHEN n % 5 > 0 THEN repeat('x', n % 90) || E'\\t"\\n' END
    FROM generate_series($1::int, $2::int) AS n`;
const oddColumns = { table: 'public.odd_orders', timestampColumn: ['changed', 'created at'], incrementingColumn: 'order?' };

const raceTable = `
  CREATE TABLE race (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON race (updated_at, id);
  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
  CREATE TRIGGER stamp BEFORE UPDATE ON race FOR EACH ROW EXECUTE FUNCTION stamp();`;
const raceRows =
  'INSERT INTO race (value, updated_at) SELECT md5(n::text), now() - make_interval(secs => n % 5000) FROM generate_series($1::int, $2::int) AS n';

/** Makes rows in short transactions: what is committed during a long one, the loads of other tests of the server leave to a repair. */
async function fill(scene: PollerScene, insert: string, count: number = rows): Promise<void> {
  for (let from = 1; from <= count; from += 10_000) await scene.database.query(insert, [from, Math.min(count, from + 9999)]);
}

/** Waits until the poller's threads read; false where the load had ended before. */
async function threadsRead(scene: PollerScene, poller: PollerProcess): Promise<boolean> {
  const deadline = performance.now() + 60_000;
  for (let look = 1; !byThreads.test(poller.log()); look += 1) {
    assert.equal(poller.child.exitCode, null, poller.log());
    assert.ok(performance.now() < deadline, `no threads read:\n${poller.log()}`);
    await delay(5);
    if (look % 50 > 0 || scene.config.poller === undefined) continue;
    const [status] = await readStatus(scene.config.kafka, scene.config.poller);
    if (status?.phase === 'polling') return byThreads.test(poller.log());
  }
  return true;
}

/** How many rows the threads have read, as the log says when they end. */
function rowsByThreads(poller: PollerProcess): number {
  return Number(/"rows":(?<rows>\d+),"msg":"the threads of the load have ended"/.exec(poller.log())?.groups?.['rows'] ?? 0);
}

/** Waits until all is published that has been committed, and stops the poller. */
async function publishAll(scene: PollerScene, poller: PollerProcess, config = scene.config): Promise<void> {
  try {
    await untilPublished(scene.kafka, config, scene.database, 60_000);
  } catch (error) {
    throw new Error(`the poller said:\n${poller.log()}`, { cause: error });
  }
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
}

/** Events as texts, without what differs from database to database: the transaction, and whether another one that was open left a row to a repair. */
async function eventsOf(scene: PollerScene, table: string): Promise<readonly string[]> {
  const published = await readPublished(scene.kafka, scene.topic(table), scene.config.schemaRegistry);
  return published.map(({ key, event: { after, source } }) =>
    JSON.stringify([key, after, source.ts_ms], (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  );
}

/** Ids of the schemas that a topic's values are written by; null for none. */
async function schemasOf(scene: PollerScene, table: string): Promise<ReadonlySet<number | null>> {
  const found = new Set<number | null>();
  await readToEnd(scene.kafka, scene.topic(table), ({ value }) => found.add(schemaIdOf(value)));
  return found;
}

for (const format of ['json', 'avro', 'json-schema'] as const)
  test(`a load by threads publishes what a load by one connection does, whatever its order is made of, as ${format}`, async () => {
    const loads: (readonly string[])[] = [];
    for (const loadWorkers of [1, 3]) {
      await using scene = await createPollerScene(oddTable, [oddColumns], { loadWorkers, pageRows: 3000, format });
      await fill(scene, oddRows);
      await using poller = await spawnPoller(scene.config);
      await publishAll(scene, poller);
      assert.equal(rowsByThreads(poller) > 0, loadWorkers === 3, poller.log());
      assert.equal((await schemasOf(scene, 'odd_orders')).size, 1, 'all by one schema, or none');
      loads.push(await eventsOf(scene, 'odd_orders'));
      assert.equal(loads.at(-1)?.length, rows);
    }
    const [alone = [], threads = []] = loads;
    assert.deepEqual([...new Set(alone).symmetricDifference(new Set(threads))].slice(0, 4), []);
    assert.equal(new Set(threads).size, rows, 'each row once');
  });

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`${client}: killed again and again while threads load and others write, no final row version is lost and none is published twice`, async () => {
    await using scene = await createPollerScene(raceTable, [{ table: 'public.race' }], { loadWorkers: 3, pageRows: 2000 });
    await fill(scene, raceRows);
    const config = { ...scene.config, kafka: { ...scene.config.kafka, client } };
    const over = new AbortController();
    const load = (async () => {
      while (!over.signal.aborted) await race(scene.database, { writers: 4, seconds: 1 });
    })();
    let amidThreads = 0;
    try {
      for (let kill = 0; kill < 4; kill += 1) {
        await using poller = await spawnPoller(config);
        if (await threadsRead(scene, poller)) amidThreads += 1;
        await delay(Math.random() * 60);
        await poller.kill('SIGKILL');
      }
    } finally {
      over.abort();
      await load;
    }
    assert.ok(amidThreads > 0, 'no kill met threads');
    await using poller = await spawnPoller(config);
    await publishAll(scene, poller, config);
    await assertExactTable(scene, 'race');
  });
}

test('when the connection of a thread is cut, one connection goes on behind the last page that came', async () => {
  // Small pages: the load must still run when the test has seen that it is read by threads.
  await using scene = await createPollerScene(raceTable, [{ table: 'public.race' }], { loadWorkers: 2, pageRows: 100 });
  await fill(scene, raceRows, 400_000);
  await using poller = await spawnPoller(scene.config);
  assert.ok(await threadsRead(scene, poller), poller.log());
  await scene.database.queryAs(
    scene.database.superuser,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '% load' AND datname = current_database()`,
  );
  await publishAll(scene, poller);
  assert.match(poller.log(), /the load goes on with one connection, for one of its threads failed: /);
  await assertExactTable(scene, 'race');
});

test('by ids, and told to stop while threads load: it ends, leaves no connection, and goes on where it was', async () => {
  await using scene = await createPollerScene(raceTable, [{ table: 'public.race', mode: 'incrementing' }], {
    loadWorkers: 3,
    pageRows: 1000,
  });
  await fill(scene, raceRows);
  {
    await using poller = await spawnPoller(scene.config);
    assert.ok(await threadsRead(scene, poller), poller.log());
    assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
  }
  const deadline = performance.now() + 10_000;
  const sessions = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'cdc-poller%' AND datname = current_database()";
  // A server process has still to end when its connection is closed.
  while ((await scene.database.query(sessions)).length > 0) assert.ok(performance.now() < deadline, 'a connection is left');
  await using poller = await spawnPoller(scene.config);
  await untilStatus(scene.config, ({ phase }) => phase === 'polling');
  await publishAll(scene, poller);
  await assertExactTable(scene, 'race');
});

test('what a repair is to publish, threads leave to it: rows that were written while a transaction was open when the load began', async () => {
  await using scene = await createPollerScene(raceTable, [{ table: 'public.race' }], { loadWorkers: 2, pageRows: 2000 });
  await fill(scene, raceRows);
  const open = await scene.connect();
  await open.query("BEGIN; INSERT INTO race (value, updated_at) VALUES ('late', now() - interval '1 hour')");
  // Of later transactions than the open one, and everywhere in the order of the load.
  await scene.query(
    'INSERT INTO race (value, updated_at) SELECT md5(n::text), now() - make_interval(secs => n) FROM generate_series(1, 4000) AS n',
  );
  await using poller = await spawnPoller(scene.config);
  assert.ok(await threadsRead(scene, poller), poller.log());
  await untilStatus(scene.config, ({ phase }) => phase !== 'loading');
  await open.query('COMMIT');
  await publishAll(scene, poller);
  assert.ok(rowsByThreads(poller) > 0, poller.log());
  await assertExactTable(scene, 'race');
});
