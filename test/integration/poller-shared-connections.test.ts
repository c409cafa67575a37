import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from '#kafka/index.ts';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { deleteTopicsOf, testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { uniqueName } from '#test/support/stack.ts';

/** Twelve tables over two connections: everything is published once, with sessions that are killed meanwhile and one table that is loaded. */

const most = 2;
const tables = Array.from({ length: 12 }, (_, index) => `t${index}`);
const resources = new AsyncDisposableStack();
let database: LegacyDatabase;
let kafka: Kafka;
let config: PipelineConfig;
const name = uniqueName('shared');

before(async () => {
  kafka = await testKafka();
  database = resources.use(await createLegacyDatabase({ empty: true }));
  for (const table of tables)
    await database.query(`
      CREATE TABLE ${table} (id bigserial PRIMARY KEY, value int NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
      CREATE INDEX ON ${table} (updated_at, id);
      GRANT SELECT ON ${table} TO cdc_poller;
      INSERT INTO ${table} (value) SELECT n FROM generate_series(1, ${table === 't0' ? 20_000 : 10}) AS n`);
  config = pipelineSchema.parse({
    legacyDb: database.config,
    kafka: await testKafkaConfig(),
    poller: {
      name,
      topicPrefix: name,
      pollIntervalMs: 20,
      connections: most,
      tables: tables.map((table) => ({ table: `public.${table}` })),
    },
  });
  resources.defer(() => deleteTopicsOf(name));
});
after(() => resources.disposeAsync());

test('with fewer connections than tables every version is published once, though sessions are killed under load', async () => {
  await using poller = startTestPoller(config);
  const ended = new AbortController();
  let largest = 0;
  let seen = 0;
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const [row] = await database.query(
        'SELECT count(*)::text AS sessions FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
        [`cdc-poller ${name}`],
      );
      const sessions = Number(row?.['sessions']);
      largest = Math.max(largest, sessions);
      if (sessions > 0) seen += 1;
      await delay(10);
    }
  })();
  for (let round = 0; round < 30; round += 1) {
    for (const table of tables) {
      await database.query(`INSERT INTO ${table} (value) VALUES (1), (2)`);
      await database.query(`UPDATE ${table} SET value = value + 1, updated_at = clock_timestamp() WHERE id % 3 = 0 AND id < 20`);
    }
    if (round % 10 === 5)
      await database.queryAs(
        database.superuser,
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
        [`cdc-poller ${name}`],
      );
  }
  await untilPublished(kafka, config, database);
  await poller.stop();
  ended.abort();
  await watching;
  for (const table of tables) await assertExact(kafka, database, table, `${name}.public.${table}`);
  assert.ok(seen > 0, 'no session was seen: the watcher looks for the wrong ones');
  // One session of this name is opened for a moment at start, to look for the tables. One that is ended may be seen a little longer.
  assert.ok(largest <= 2 * most + 1, `${largest} sessions at a time`);
  assert.ok(largest < tables.length);
});
