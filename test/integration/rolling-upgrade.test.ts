import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from '#kafka/index.ts';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { startVersion, twoVersions, versionBefore, whyNoVersionBefore, type VersionProcess } from '#test/support/version-before.ts';

/**
 * docs/release.md, "Rolling upgrade": processes of the version before, and of this one, share tables and partitions while the source is written to.
 * Each is replaced, by SIGTERM or by kill -9.
 */
const tables = ['a', 'b', 'c', 'd'];
/** The model, and its schema. */
const schema = 'upgraded';
const skip = (await whyNoVersionBefore()) ?? false;

/** Only what the version before knows. */
function settings(database: LegacyDatabase, read: ReadDatabase, brokers: string, name: string): unknown {
  return {
    legacyDb: { ...database.location, roles: database.config.roles },
    kafka: { brokers, partitions: 4, replicationFactor: 1 },
    poller: {
      name,
      topicPrefix: name,
      sharing: 'group',
      pollIntervalMs: 100,
      tables: tables.map((table) => ({ table: `public.${table}` })),
    },
    readModel: { ...read.config, models: { [schema]: { topicPrefix: name, groupId: name, projections: [] } } },
  };
}

async function createTables(database: LegacyDatabase): Promise<void> {
  for (const table of tables) {
    await database.query(`
      CREATE TABLE ${table} (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
      CREATE INDEX ON ${table} (updated_at, id);
      INSERT INTO ${table} (value) SELECT 'loaded' FROM generate_series(1, 1000);
      GRANT SELECT ON ${table} TO cdc_poller;`);
  }
}

/** Inserts and updates in all tables until disposed. `written` counts rounds over all tables. */
function keepWriting(database: LegacyDatabase): AsyncDisposable & { readonly written: () => number } {
  const over = new AbortController();
  let rounds = 0;
  const writing = (async () => {
    for (; !over.signal.aborted; rounds += 1) {
      for (const table of tables) {
        await database.query(`INSERT INTO ${table} (value) VALUES ('written')`);
        await database.query(
          `UPDATE ${table} SET value = value || '.', updated_at = clock_timestamp() WHERE id = 1 + floor(random() * 1000)::int`,
        );
      }
      await delay(20);
    }
  })();
  writing.catch(() => undefined);
  return {
    written: () => rounds,
    async [Symbol.asyncDispose]() {
      over.abort();
      await writing;
    },
  };
}

/** Everything that was committed before the call is in the mirrors. New rows go on coming. */
async function untilApplied({ database, read }: Scene): Promise<void> {
  for (const table of tables) {
    const [row] = await database.query(`SELECT max(id)::text AS id, max(updated_at)::text AS at FROM ${table}`);
    const query = `SELECT count(*)::text AS n FROM ${schema}.${table} WHERE id >= $1 OR updated_at >= $2`;
    await eventually(
      // The mirror is made with the first start.
      () => read.query(query, [row?.['id'], row?.['at']]).catch(() => []),
      ([found]) => Number(found?.['n'] ?? 0) > 0,
      120_000,
    );
  }
}

type Scene = {
  readonly database: LegacyDatabase;
  readonly read: ReadDatabase;
  readonly kafka: Kafka;
  readonly pipeline: PipelineConfig;
};

/** What the logs say goes into the failure: which process did not do its part. */
async function orLogs(work: Promise<unknown>, processes: readonly VersionProcess[]): Promise<void> {
  try {
    await work;
  } catch (error) {
    const logs = processes.map((one) => one.log().slice(-4000)).join('\n\n');
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${logs}`, { cause: error });
  }
}

test(
  `a rolling upgrade from ${versionBefore.slice(0, 7)}: pollers and read models are replaced one by one under load; nothing is lost, nothing is published twice, and the mirrors equal the source`,
  { skip },
  async () => {
    const name = uniqueName('upgrade');
    const kafka = await testKafka();
    await using database = await createLegacyDatabase({ empty: true });
    await using read = await createReadDatabase();
    await createTables(database);
    const config = settings(database, read, (await testStack()).kafka.brokers, name);
    const scene: Scene = { database, read, kafka, pipeline: pipelineSchema.parse(config) };
    await using versions = await twoVersions(config);
    const start = (folder: string, ...words: readonly string[]): VersionProcess => startVersion(folder, versions.config, ...words);
    const succeeds = async (folder: string, ...words: readonly string[]): Promise<void> => {
      await using command = start(folder, ...words);
      assert.equal(await command.exited, 0, command.log());
    };
    const running: VersionProcess[] = [];
    await using processes = new AsyncDisposableStack();
    const begin = (folder: string, what: 'poller' | 'read-model'): VersionProcess => {
      const process = processes.use(start(folder, what, 'start'));
      running.push(process);
      return process;
    };
    const wellAgain = async (): Promise<void> => {
      await orLogs(untilPublished(kafka, scene.pipeline, database), running);
      await orLogs(untilApplied(scene), running);
    };

    await succeeds(versions.before, 'read-model', 'migrate');
    await using writing = keepWriting(database);
    const oldPollers = [begin(versions.before, 'poller'), begin(versions.before, 'poller')] as const;
    const oldModels = [begin(versions.before, 'read-model'), begin(versions.before, 'read-model')] as const;
    await wellAgain();

    await succeeds(versions.now, 'read-model', 'migrate');
    await wellAgain();

    const newPoller = begin(versions.now, 'poller');
    await oldPollers[0].end('SIGKILL');
    const newModel = begin(versions.now, 'read-model');
    assert.equal(await oldModels[0].end('SIGTERM'), 0, oldModels[0].log());
    await wellAgain();
    assert.deepEqual([oldPollers[1].child.exitCode, oldModels[1].child.exitCode], [null, null], 'the version before goes on beside it');

    await oldModels[1].end('SIGKILL');
    const secondModel = begin(versions.now, 'read-model');
    assert.equal(await oldPollers[1].end('SIGTERM'), 0, oldPollers[1].log());
    const secondPoller = begin(versions.now, 'poller');
    await wellAgain();

    const rounds = writing.written();
    assert.ok(rounds > 0);
    await writing[Symbol.asyncDispose]();
    await orLogs(untilPublished(kafka, scene.pipeline, database), running);
    for (const table of tables) {
      const rows = `SELECT id::text, value, (updated_at AT TIME ZONE 'UTC')::text AS at FROM`;
      const source = await database.query(`${rows} ${table} ORDER BY id`);
      await orLogs(
        eventually(
          () => read.query(`${rows} ${schema}.${table} ORDER BY id`),
          (mirror) => JSON.stringify(mirror) === JSON.stringify(source),
        ),
        running,
      );
      await assertExact(kafka, database, table, `${name}.public.${table}`);
    }
    for (const process of [newPoller, secondPoller, newModel, secondModel]) {
      assert.equal(await process.end('SIGTERM'), 0, process.log());
    }
  },
);
