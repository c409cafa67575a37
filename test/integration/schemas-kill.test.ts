import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { openRegistry } from '#change-events/index.ts';
import type { PipelineConfig, SchemaRegistryConfig } from '#pipeline/index.ts';
import { deleteTopicsOf, observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { startOwnRegistry } from '#test/support/own-registry.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { spawnPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createRaceTable, race } from '#test/support/race.ts';
import { eventually } from '#test/support/read-database.ts';
import { halted } from '#test/support/read-model-orders.ts';
import { assertAppliedOnce } from '#test/support/read-model-truth.ts';
import { appliedBatches, createReadModel, killed, type ReadModelFixture } from '#test/support/read-model.ts';
import { repeat } from '#test/support/repeat.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { readEvents } from '#test/support/schema-scene.ts';
import { uniqueName } from '#test/support/stack.ts';

const kafka = await testKafka();

const kills = process.env['TEST_NIGHTLY'] === '1' ? 20 : 6;

const stamp = "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";

/** A table under load, a poller that writes it in Avro, and a model that mirrors it: programs of their own, to be killed. */
type Scene = AsyncDisposable & {
  readonly database: LegacyDatabase;
  readonly config: PipelineConfig;
  readonly model: ReadModelFixture;
  readonly topic: string;
  /** A column that rows hold at once, so that the next events have another schema. */
  addColumn(name: string): Promise<void>;
  /** The end state is the source's, what led to it was published once and applied once, and each shape of the table registered once. */
  assertExact(): Promise<void>;
};

async function createScene(
  loaded: number,
  schemaRegistry: SchemaRegistryConfig,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createLegacyDatabase({ empty: true }));
  await createRaceTable(database);
  await database.query(`INSERT INTO race (value) SELECT md5(n::text) FROM generate_series(1, ${loaded}) AS n`);
  const name = uniqueName('avro_kill');
  stack.defer(() => deleteTopicsOf(name));
  const settings = { name, format: 'avro', sharing: 'takeover', pollIntervalMs: 20, pageRows: 500, tables: [{ table: 'public.race' }] };
  const config = { ...(await testPipelineConfig(database, { ...settings, ...more })), schemaRegistry };
  const topic = `${name}.public.race`;
  // A model that meets no topic looks again only some time later.
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1 }]);
  const model = stack.use(await createReadModel({ prefix: name, topics: false, schemaRegistry }));
  await model.read.query(`
    CREATE TABLE model.race (id bigint PRIMARY KEY, value text, updated_at timestamptz, _lsn bigint);
    INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('race', 'public', 'race')`);
  const added: string[] = [];
  const state = (schema: string): string =>
    `SELECT count(*), md5(string_agg(concat_ws('|', ${['id', 'value', stamp, ...added].join(', ')}), ',' ORDER BY id)) AS rows FROM ${schema}.race`;
  return {
    database,
    config,
    model,
    topic,
    addColumn: async (column) => {
      await database.query(
        `ALTER TABLE race ADD COLUMN ${column} text; UPDATE race SET ${column} = '${column} of ' || id WHERE id % 9 = 0`,
      );
      added.push(column);
    },
    assertExact: async () => {
      await assertExact(kafka, database, 'race', topic, schemaRegistry);
      const source = await database.query(state('public'));
      const mirror = await eventually(
        () => model.read.query(state('model')).catch(() => []),
        (rows) => JSON.stringify(rows) === JSON.stringify(source),
      );
      assert.deepEqual(mirror, source);
      await assertAppliedOnce(model.read, (await readEvents(kafka, topic, schemaRegistry)).length, topic);
      assert.deepEqual(await model.read.query('SELECT cause FROM model.parked_events'), []);
      const versions = [1, ...added.map((_, index) => index + 2)];
      assert.deepEqual(await openRegistry(schemaRegistry).versions(`${topic}-value`), versions);
      assert.deepEqual(await openRegistry(schemaRegistry).versions(`${topic}-key`), [1]);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('in Avro too: poller and read model killed again and again under load, while columns come: nothing lost, published twice or applied twice', async () => {
  await using scene = await createScene(20_000, await testRegistryConfig());
  const { database, config, model, topic } = scene;
  await using load = repeat(async () => {
    await race(database, { writers: 4, seconds: 1 });
  });
  const readersKilled: ChildProcess[] = [];
  await using readers = repeat(async () => {
    // A group of its own: Kafka would otherwise wait for the dead one's session. The stored offsets are the same.
    const reader = model.spawn({ groupId: uniqueName('kill') });
    const before = await appliedBatches(model);
    await eventually(
      () => appliedBatches(model),
      (count) => count > before,
    );
    await delay(Math.random() * 200);
    await killed(reader);
    readersKilled.push(reader);
  });
  await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
  const { messages } = observer;
  const moreThan = (seen: number): Promise<void> =>
    observer.until(
      () => messages.length > seen,
      () => `more than ${seen} events`,
      60_000,
    );
  const until = performance.now() + 600_000;
  for (let kill = 0; kill < kills || readersKilled.length < 2; kill += 1) {
    assert.ok(performance.now() < until, `${readersKilled.length} readers were killed during ${kill} kills of the poller`);
    const seen = messages.length;
    await using poller = await spawnPoller(config);
    // Some kills come at the moment when events have become visible, some while it starts, takes over and registers, some soon after a column came.
    if (kill % 3 === 1) await delay(Math.random() * 1500);
    else {
      await moreThan(seen);
      if (kill % 3 === 2) await scene.addColumn(`c${kill}`);
    }
    if (kill % 3 === 2) await moreThan(messages.length);
    await poller.kill('SIGKILL');
  }
  await using poller = await spawnPoller(config);
  // While there still is something to read: a reader is killed after some progress.
  await readers.stop();
  await load.stop();
  await untilPublished(kafka, config, database, 60_000);
  model.spawn();
  await scene.assertExact();
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
});

test('the registry killed under load: known schemas serve, a new shape waits, also in processes that are killed meanwhile; nothing is lost when it is back', async () => {
  // Long: a registry that answers late has registered the schema all the same, and gives a second try a version of its own.
  await using registry = await startOwnRegistry({ requestTimeoutMs: 15_000 });
  const port = await getPort();
  await using scene = await createScene(1000, registry.config, { http: { port } });
  const { database, config, model } = scene;
  const endpoint = pollerEndpoint(port, config.poller?.name ?? '');
  /** By its id: the load soon gives it another value. */
  const newRowIsMirrored = async (): Promise<void> => {
    const [row] = await database.query("INSERT INTO race (value) VALUES ('new') RETURNING id::text");
    await eventually(
      () => model.read.query('SELECT id FROM model.race WHERE id = $1', [row?.['id']]),
      (rows) => rows.length === 1,
    );
  };
  await using load = repeat(async () => {
    await race(database, { writers: 2, seconds: 1 });
  });
  const reader = model.spawn();
  {
    await using poller = await spawnPoller(config);
    await newRowIsMirrored();
    await registry.kill();
    await newRowIsMirrored();
    await killed(reader);
    const { rowsPublished } = await endpoint.table('public.race');
    await endpoint.until('public.race', (now) => now.rowsPublished > rowsPublished);
    await scene.addColumn('late');
    await endpoint.until('public.race', ({ phase, lastError }) => phase === 'waiting' && lastError?.code === 'REGISTRY_UNREACHABLE');
    await poller.kill('SIGKILL');
  }
  // These know nothing yet: the poller waits at its start, the reader with the first event that nobody has read.
  await using poller = await spawnPoller(config);
  model.spawn({ groupId: uniqueName('kill') });
  await eventually(
    async () => poller.log(),
    (log) => log.includes('REGISTRY_UNREACHABLE'),
  );
  await eventually(
    () => halted(model),
    (found) => found.some(({ halted: { code } }) => code === 'REGISTRY_UNREACHABLE'),
  );
  await registry.start();
  await load.stop();
  await untilPublished(kafka, config, database, 60_000);
  await scene.assertExact();
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
});
