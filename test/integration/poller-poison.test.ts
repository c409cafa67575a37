import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readToEnd } from '#kafka/index.ts';
import { startTestPoller, type TestPoller } from '#test/support/poller.ts';
import { createPollerScene, standingVersions, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { versionsOf } from '#test/support/published.ts';

/** Topics take 20,000 bytes; a poison row has some 48,000 that hardly compress. */
let scene: PollerScene;
let poller: TestPoller;

const poison = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1500))";
const tables = ['letters', 'skipped', 'failing', 'steady'] as const;

before(async () => {
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
    { pageRows: 500 },
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
  const standing = await standingVersions(scene, table, `'{"id":' || id || '}'`);
  const missing = standing.filter((version) => !versions.includes(version)).map((version) => Number(/\d+/.exec(version)?.[0]));
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

test('poison rows while polling, among others of their transaction: told once, and not again after a restart', async () => {
  for (const table of ['letters', 'skipped']) {
    await scene.query(
      `INSERT INTO ${table} (value) SELECT CASE WHEN n % 20 = 0 THEN ${poison} || n ELSE 'polled ' || n END FROM generate_series(1, 41) AS n`,
    );
    await untilLast(table, 'polled 41');
  }
  await poller.stop();
  poller = startTestPoller(scene.config);
  for (const table of ['letters', 'skipped']) {
    await scene.query(`INSERT INTO ${table} (value) VALUES ('after')`);
    await untilLast(table, 'after');
    await assertAllBut(table, [7, 1500, 2020, 2040]);
  }
  assert.equal((await deadLetters()).length, 4);
});

test('told to fail, a poison row makes its table wait, by name and key, while others go on; mended, nothing is lost or repeated', async () => {
  await untilLast('failing', 'fine 2000');
  await scene.query(`INSERT INTO failing (value) VALUES ('before'), (${poison}), ('behind')`);
  await delay(500);
  await scene.query("INSERT INTO steady (value) VALUES ('on')");
  await untilLast('steady', 'on');
  assert.ok(!valuesOf(await scene.published('failing'), 'value').includes('behind'));
  await scene.query("UPDATE failing SET value = 'mended', updated_at = clock_timestamp() WHERE id = 2002");
  await untilLast('failing', 'mended');
  await untilLast('failing', 'behind');
  await assertAllBut('failing', []);
});
