import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Kafka } from '#kafka/index.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { observeTopics, testKafka, type TopicObserver } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished, untilStatus } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createRaceTable } from '#test/support/race.ts';
import { uniqueName } from '#test/support/stack.ts';

type Scene = AsyncDisposable & {
  readonly database: LegacyDatabase;
  readonly kafka: Kafka;
  readonly config: PipelineConfig;
  readonly topic: string;
  /** A further connection as the owner; closed with the scene. */
  connect(database?: string): Promise<Client>;
  insert(value: string): Promise<unknown>;
};

/**
 * A table `race` of its own, polled every 20 ms. The clock margin is small, so that nothing but the fence keeps rows that come later than
 * that; without any, a server process that the scheduler holds between reading the clock and taking its virtual id would be missed.
 */
async function createScene(settings: Readonly<Record<string, unknown>> = {}): Promise<Scene> {
  const database = await createLegacyDatabase({ empty: true });
  await createRaceTable(database);
  const name = uniqueName('fence');
  const config = await testPipelineConfig(database, {
    name,
    pollIntervalMs: 20,
    clockMarginMs: 100,
    ...settings,
    tables: [{ table: 'public.race' }],
  });
  const clients: Client[] = [];
  return {
    database,
    kafka: await testKafka(),
    config,
    topic: `${name}.public.race`,
    async connect(other) {
      const client = new Client({
        ...database.owner,
        application_name: 'fence writer',
        ...(other === undefined ? {} : { database: other }),
      });
      clients.push(client);
      await client.connect();
      return client;
    },
    insert: (value) => database.query('INSERT INTO race (value) VALUES ($1)', [value]),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.end()));
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Commits a row every 30 ms, so that transaction ids and horizon move on. */
async function keepBusy(scene: Scene, ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until;) {
    await scene.insert('busy');
    await delay(30);
  }
}

async function untilObserved(observer: TopicObserver, values: readonly string[]): Promise<void> {
  const missing = (): readonly string[] =>
    values.filter((value) => !observer.messages.some((message) => String(message.value).includes(`"${value}"`)));
  await observer.until(
    () => missing().length === 0,
    () => `${missing().join(', ')} published`,
  );
}

async function observe(scene: Scene): Promise<TopicObserver> {
  await untilStatus(scene.config, ({ phase }) => phase === 'polling');
  return await observeTopics(scene.kafka, [scene.topic], uniqueName('group'));
}

test('a transaction that wrote before the load and commits after it is published by the repair', async () => {
  await using scene = await createScene();
  const late = await scene.connect();
  await scene.insert('early');
  await late.query("BEGIN; INSERT INTO race (value) VALUES ('late')");
  await keepBusy(scene, 400);
  await using poller = startTestPoller(scene.config);
  await untilStatus(scene.config, ({ phase, repairPending }) => phase === 'polling' && repairPending);
  await keepBusy(scene, 200);
  await late.query('COMMIT');
  await untilPublished(scene.kafka, scene.config, scene.database);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('a transaction that stays open while the floor moves on is published when it commits', async () => {
  await using scene = await createScene();
  await using poller = startTestPoller(scene.config);
  await using observer = await observe(scene);
  const late = await scene.connect();
  await late.query("BEGIN; INSERT INTO race (value) VALUES ('late')");
  await keepBusy(scene, 600);
  await late.query('COMMIT');
  await untilObserved(observer, ['late']);
  await untilPublished(scene.kafka, scene.config, scene.database);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('a transaction that first writes long after it began is published, though its rows carry its beginning', async () => {
  await using scene = await createScene();
  await using poller = startTestPoller(scene.config);
  await using observer = await observe(scene);
  const late = await scene.connect();
  await late.query('BEGIN; SELECT now()');
  await keepBusy(scene, 600);
  await late.query("INSERT INTO race (value) VALUES ('late'); COMMIT");
  await untilObserved(observer, ['late']);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('a prepared transaction, which has given up its virtual id, is published when it is committed', async () => {
  await using scene = await createScene();
  await using poller = startTestPoller(scene.config);
  await using observer = await observe(scene);
  const late = await scene.connect();
  const gid = uniqueName('gid');
  // Begun before, but without a transaction id until after, the moments that are to become the floor.
  await late.query('BEGIN; SELECT now()');
  await keepBusy(scene, 400);
  await late.query(`INSERT INTO race (value) VALUES ('prepared'); PREPARE TRANSACTION '${gid}'`);
  await keepBusy(scene, 600);
  await late.query(`COMMIT PREPARED '${gid}'`);
  await untilObserved(observer, ['prepared']);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('long read-only transactions, here and in another database, keep nothing from being published', async () => {
  await using scene = await createScene();
  await using poller = startTestPoller(scene.config);
  await using observer = await observe(scene);
  const here = await scene.connect();
  const elsewhere = await scene.connect('legacy');
  for (const client of [here, elsewhere]) await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT now()');
  await scene.insert('while they read');
  await untilObserved(observer, ['while they read']);
  await untilPublished(scene.kafka, scene.config, scene.database);
  await Promise.all([here, elsewhere].map((client) => client.query('COMMIT')));
  await poller.stop();
});

test('rows of one timestamp that straddle page borders are all published', async () => {
  await using scene = await createScene({ pageRows: 3 });
  await scene.database.query("INSERT INTO race (value) SELECT 'loaded' FROM generate_series(1, 20)");
  await using poller = startTestPoller(scene.config);
  await untilStatus(scene.config, ({ phase }) => phase === 'polling');
  await scene.database.query("INSERT INTO race (value) SELECT 'polled' FROM generate_series(1, 20)");
  await untilPublished(scene.kafka, scene.config, scene.database);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('what was published past an open transaction is not published again after a restart', async () => {
  await using scene = await createScene();
  const open = await scene.connect();
  {
    await using poller = startTestPoller(scene.config);
    await using observer = await observe(scene);
    await open.query("BEGIN; INSERT INTO race (value) VALUES ('open')");
    await scene.insert('remembered 1');
    await scene.insert('remembered 2');
    await untilObserved(observer, ['remembered 1', 'remembered 2']);
    await poller.stop();
  }
  await using poller = startTestPoller(scene.config);
  await scene.insert('after the restart');
  await open.query('COMMIT');
  await untilPublished(scene.kafka, scene.config, scene.database);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});

test('past the cap of remembered keys rows wait for the oldest transaction, and none is lost or published twice', async () => {
  await using scene = await createScene({ rememberedKeysMax: 5 });
  await using poller = startTestPoller(scene.config);
  await using observer = await observe(scene);
  const open = await scene.connect();
  await open.query("BEGIN; INSERT INTO race (value) VALUES ('open')");
  for (let row = 0; row < 20; row += 1) await scene.insert(`row ${row}`);
  await untilObserved(observer, ['row 0', 'row 4']);
  await delay(200);
  const published = observer.messages.filter(({ value }) => String(value).includes('"row ')).length;
  assert.equal(published, 5);
  await open.query('COMMIT');
  await untilPublished(scene.kafka, scene.config, scene.database);
  await assertExact(scene.kafka, scene.database, 'race', scene.topic);
  await poller.stop();
});
