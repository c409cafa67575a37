import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readToEnd } from '#kafka/index.ts';
import getPort from 'get-port';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { terminal } from '#test/support/terminal.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller, type TestPoller } from '#test/support/poller.ts';
import { createPollerScene, presentVersions, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { versionsOf } from '#test/support/published.ts';

/** Topics take 20,000 bytes; a poison row has some 48,000 that hardly compress. */
let scene: PollerScene;
let poller: TestPoller;
let port: number;

const poison = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1500))";
const tables = ['letters', 'skipped', 'failing', 'steady'] as const;

before(async () => {
  port = await getPort({ host: '127.0.0.1' });
  scene = await createPollerScene(
    tables
      .map(
        (table) => `
        CREATE TABLE ${table} (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE INDEX ON ${table} (updated_at, id);
        INSERT INTO ${table} (value) SELECT CASE WHEN n IN (7, 1500) AND '${table}' IN ('letters', 'skipped') THEN ${poison} ELSE 'fine ' || n END
        FROM generate_series(1, 2000) AS n;`,
      )
      .join('\n'),
    [
      { table: 'public.letters', onTooLarge: 'dead-letter' },
      { table: 'public.skipped', onTooLarge: 'skip' },
      { table: 'public.failing' },
      { table: 'public.steady' },
    ],
    { pageRows: 500, http: { port } },
  );
  await using admin = await scene.kafka.admin();
  const config = { 'max.message.bytes': '20000', 'cleanup.policy': 'compact' };
  await admin.ensureTopics(tables.map((table) => ({ topic: scene.topic(table), partitions: 3, replicationFactor: 1, config })));
  poller = startTestPoller(scene.config);
});

after(async () => {
  await poller.stop();
  await scene[Symbol.asyncDispose]();
});

type Letter = { readonly key: string; readonly value: unknown };

async function deadLetters(): Promise<readonly Letter[]> {
  const letters: Letter[] = [];
  await readToEnd(scene.kafka, `${scene.name}.dead-letter`, ({ key, value }) => {
    letters.push({ key: String(key), value: JSON.parse(String(value)) });
  });
  return letters;
}

/** All rows but the poisonous ones (and their ids), each version once. */
async function assertAllBut(table: string, poisoned: readonly number[]): Promise<void> {
  const versions = versionsOf(await scene.published(table));
  assert.equal(new Set(versions).size, versions.length, 'published twice');
  const present = await presentVersions(scene, table, `'{"id":' || id || '}'`);
  const missing = present.filter((version) => !versions.includes(version)).map((version) => Number(/\d+/.exec(version)?.[0]));
  assert.deepEqual(
    missing.toSorted((a, b) => a - b),
    poisoned,
  );
}

async function untilLast(table: string, value: string): Promise<void> {
  await scene.until(table, (events) => valuesOf(events, 'value').includes(value), value);
}

test('poison rows in a load: dead letters name table, key and size; every other row is published once', async () => {
  for (const table of ['letters', 'skipped', 'steady']) await untilLast(table, 'fine 2000');
  await assertAllBut('letters', [7, 1500]);
  await assertAllBut('skipped', [7, 1500]);
  await assertAllBut('steady', []);
  const letters = await deadLetters();
  assert.deepEqual(letters.map(({ key }) => key).toSorted(), [
    '{"table":"public.letters","key":{"id":1500}}',
    '{"table":"public.letters","key":{"id":7}}',
  ]);
  for (const { value } of letters) {
    assert.ok(typeof value === 'object' && value !== null && 'bytes' in value && Number(value.bytes) > 48_000 && 'cause' in value);
    assert.equal(value.cause, 'KAFKA_MESSAGE_TOO_LARGE');
  }
});

/** What the running process says of the rows that it left out of a table. */
async function leftOut(
  table: string,
  published: number,
): Promise<readonly [skipped: number, deadLettered: number, lastKey: string | undefined]> {
  // It counts what it has committed, a moment after that may have been read.
  const found = await pollerEndpoint(port, scene.name).until(`public.${table}`, ({ rowsPublished }) => rowsPublished === published);
  return [found.leftOut.skipped, found.leftOut.deadLettered, found.leftOut.last?.key];
}

test('rows that were left out are counted, in metrics and status, and are not among the published', async () => {
  assert.deepEqual(await leftOut('letters', 1998), [0, 2, '{"id":1500}']);
  assert.deepEqual(await leftOut('skipped', 1998), [2, 0, '{"id":1500}']);
  assert.deepEqual(await leftOut('steady', 2000), [0, 0, undefined]);
  const { text: metrics } = await pollerEndpoint(port, scene.name).get('/metrics');
  assert.match(metrics, /^cdc_poller_rows_dead_lettered_total\{table="public\.letters"\} 2$/m);
  assert.match(metrics, /^cdc_poller_rows_skipped_total\{table="public\.skipped"\} 2$/m);
  assert.match(metrics, /^cdc_poller_rows_skipped_total\{table="public\.steady"\} 0$/m);
  for (const table of ['letters', 'skipped'])
    assert.match(metrics, new RegExp(`^cdc_poller_rows_published_total\\{table="public\\.${table}"\\} 1998$`, 'm'));
  const status = terminal(pollerCommand, scene.config);
  const { printed: text } = await status.run('status');
  assert.match(text, /public\.letters .*│ 2 dead letters, last \{"id":1500\} at \S+Z +│/);
  assert.match(text, /public\.skipped .*│ 2 skipped, last \{"id":1500\} at \S+Z +│/);
  const rows = JSON.parse((await status.run('status', '--json')).printed);
  const row = rows.find((each: { readonly table: string }) => each.table === 'public.letters');
  assert.equal(row.live.leftOut.deadLettered, 2);
  assert.ok(row.live.leftOut.last.bytes > 48_000);
});

test('poison rows while polling, among others of their transaction: reported once, and not again after a restart', async () => {
  for (const table of ['letters', 'skipped']) {
    await scene.query(
      `INSERT INTO ${table} (value) SELECT CASE WHEN n % 20 = 0 THEN ${poison} || n ELSE 'polled ' || n END FROM generate_series(1, 41) AS n`,
    );
    await untilLast(table, 'polled 41');
  }
  assert.deepEqual(await leftOut('letters', 2037), [0, 4, '{"id":2040}']);
  assert.deepEqual(await leftOut('skipped', 2037), [4, 0, '{"id":2040}']);
  await poller.stop();
  poller = startTestPoller(scene.config);
  for (const table of ['letters', 'skipped']) {
    await scene.query(`INSERT INTO ${table} (value) VALUES ('after')`);
    await untilLast(table, 'after');
    await assertAllBut(table, [7, 1500, 2020, 2040]);
  }
  assert.equal((await deadLetters()).length, 4);
  assert.deepEqual(await leftOut('letters', 1), [0, 0, undefined], 'counts are of the process');
});

test('with onTooLarge: fail a poison row makes its table wait, by name and key, while others go on; fixed, nothing is lost or repeated', async () => {
  await untilLast('failing', 'fine 2000');
  await scene.query(`INSERT INTO failing (value) VALUES ('before'), (${poison}), ('behind')`);
  await delay(500);
  await scene.query("INSERT INTO steady (value) VALUES ('on')");
  await untilLast('steady', 'on');
  assert.ok(!valuesOf(await scene.published('failing'), 'value').includes('behind'));
  await scene.query("UPDATE failing SET value = 'fixed', updated_at = clock_timestamp() WHERE id = 2002");
  await untilLast('failing', 'fixed');
  await untilLast('failing', 'behind');
  await assertAllBut('failing', []);
});
