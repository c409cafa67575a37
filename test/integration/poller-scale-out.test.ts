import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createTableMonitor, type TableMonitor, type TablePhase } from '#cdc-poller/metrics/table-monitor.ts';
import { createTopicGuard } from '#cdc-poller/supervisor/topic-guard.ts';
import { positionTopic, readPositionTopic } from '#cdc-poller/position/position-topic.ts';
import type { PollerContext } from '#cdc-poller/supervisor/context.ts';
import { runTable } from '#cdc-poller/supervisor/table-runner.ts';
import type { Kafka } from '#kafka/index.ts';
import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { keepWriting } from '#test/support/keep-writing.ts';
import { spawnPoller, untilPublished, type PollerProcess } from '#test/support/poller.ts';
import { assertExact, readPublished, versionsOf } from '#test/support/published.ts';
import { uniqueName } from '#test/support/stack.ts';

const tables = ['a', 'b', 'c', 'd', 'e', 'f'];
let database: LegacyDatabase;
let kafka: Kafka;

before(async () => {
  database = await createLegacyDatabase({ empty: true });
  kafka = await testKafka();
  for (const table of tables) {
    await database.query(`
      CREATE TABLE ${table} (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
      CREATE INDEX ON ${table} (updated_at, id);
      INSERT INTO ${table} (value) SELECT 'loaded' FROM generate_series(1, 2000);
      GRANT SELECT ON ${table} TO cdc_poller;`);
  }
});

after(async () => {
  await database[Symbol.asyncDispose]();
});

function scaleOutConfig(name: string, settings: Readonly<Record<string, unknown>> = {}): Promise<PipelineConfig> {
  return testPipelineConfig(database, {
    name,
    sharing: 'group',
    pollIntervalMs: 100,
    ...settings,
    tables: tables.map((table) => ({ table: `public.${table}` })),
  });
}

/** The tables that a process last said to have. */
function tablesOf(poller: PollerProcess): readonly string[] {
  const last = poller
    .log()
    .split('\n')
    .findLast((line) => line.includes('"tables of this process"'));
  const { tables: mine = [] }: { readonly tables?: readonly string[] } = last === undefined ? {} : JSON.parse(last);
  return mine;
}

/** Waits until the processes have these numbers of tables, in any order, and each table is had once. */
async function untilShared(pollers: readonly PollerProcess[], counts: readonly number[], timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const shares = pollers.map(tablesOf);
    const sizes = shares.map(({ length }) => length).toSorted((x, y) => x - y);
    if (sizes.join() === counts.join() && new Set(shares.flat()).size === tables.length) return;
    if (performance.now() > deadline) {
      const logs = pollers.map((poller) => poller.log()).join('\n\n');
      assert.fail(`not shared as ${counts.join()} within ${timeoutMs} ms: ${JSON.stringify(shares)}\n${logs}`);
    }
    await delay(50);
  }
}

async function stopAll(pollers: readonly PollerProcess[]): Promise<void> {
  await Promise.all(pollers.map(async (poller) => assert.equal(await poller.kill('SIGTERM'), 0, poller.log())));
}

async function assertAllExact(name: string): Promise<void> {
  await Promise.all(tables.map((table) => assertExact(kafka, database, table, `${name}.public.${table}`)));
}

/** Nobody takes a table from another any more. */
async function assertSettled(pollers: readonly PollerProcess[]): Promise<void> {
  const takenBefore = pollers.map(taken);
  await delay(1500);
  assert.deepEqual(pollers.map(taken), takenBefore, 'tables go to and fro');
}

const taken = (poller: PollerProcess): number => poller.log().split('another process has taken this table').length - 1;

/** Whether a table's session ended with its producer: fenced, or its request went unanswered; or the group took the table away before it wrote. */
function hasLost(log: string, table: string): boolean {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .some((line) => {
      const said: { readonly table?: string; readonly code?: string; readonly msg: string; readonly tables?: readonly string[] } =
        JSON.parse(line);
      if (said.table === table) return said.code === 'KAFKA_UNREACHABLE' || said.msg.includes('another process has taken this table');
      return said.msg === 'tables of this process' && said.tables?.includes(table) === false;
    });
}

test('three processes share six tables; one killed, its tables move within seconds; one more joins and takes its share; nothing lost, nothing twice', async () => {
  const name = uniqueName('share');
  const config = await scaleOutConfig(name);
  await using writing = keepWriting((sql) => database.query(sql), tables);
  await using first = await spawnPoller(config);
  await using second = await spawnPoller(config);
  await using third = await spawnPoller(config);
  await untilShared([first, second, third], [2, 2, 2]);
  await untilPublished(kafka, config, database);
  const kept = [tablesOf(second), tablesOf(third)];
  await first.kill('SIGKILL');
  // After the six seconds of a session and a rebalance, which takes thirty at most; a transaction would time out after a minute.
  await untilShared([second, third], [3, 3], 45_000);
  await untilPublished(kafka, config, database);
  for (const [index, poller] of [second, third].entries()) {
    assert.ok(
      kept[index]?.every((table) => tablesOf(poller).includes(table)),
      'who lives keeps what it has',
    );
  }
  await using fourth = await spawnPoller(config);
  await untilShared([second, third, fourth], [2, 2, 2]);
  await untilPublished(kafka, config, database);
  await assertSettled([second, third, fourth]);
  await writing[Symbol.asyncDispose]();
  await untilPublished(kafka, config, database);
  await stopAll([second, third, fourth]);
  await assertAllExact(name);
});

test('a process that was away (SIGSTOP) finds its tables taken, publishes nothing of them, and joins again', async () => {
  const name = uniqueName('zombie');
  const config = await scaleOutConfig(name);
  await using writing = keepWriting((sql) => database.query(sql), tables);
  await using zombie = await spawnPoller(config);
  await using other = await spawnPoller(config);
  await untilShared([zombie, other], [3, 3]);
  await untilPublished(kafka, config, database);
  const had = tablesOf(zombie);
  const logged = zombie.log().length;
  zombie.child.kill('SIGSTOP');
  try {
    await untilShared([other], [6]);
    await untilPublished(kafka, config, database);
  } finally {
    zombie.child.kill('SIGCONT');
  }
  await untilShared([zombie, other], [3, 3]);
  // Kafka refuses what it writes late, or its old connection is dead by then: which of the two comes first is Kafka's affair. Either ends the table's session.
  for (const table of had) {
    assert.ok(hasLost(zombie.log().slice(logged), table), `the zombie went on with ${table} as if nothing had happened:\n${zombie.log()}`);
  }
  await untilPublished(kafka, config, database);
  await assertSettled([zombie, other]);
  await writing[Symbol.asyncDispose]();
  await untilPublished(kafka, config, database);
  await stopAll([zombie, other]);
  await assertAllExact(name);
});

test('a table that was taken is not taken back before the group has confirmed that it may be', async () => {
  const name = uniqueName('confirm');
  const config = await scaleOutConfig(name);
  const { poller } = config;
  const [table] = poller?.tables ?? [];
  assert.ok(poller && table);
  const stop = new AbortController();
  const begin = (owner: string, confirmed: () => Promise<void>) => {
    const monitor = createTableMonitor(table.table, 60_000);
    const own = new AbortController();
    const signal = AbortSignal.any([stop.signal, own.signal]);
    const context: PollerContext = {
      config,
      poller,
      kafka,
      owner,
      once: false,
      logger: silentLogger,
      signal,
      governor: null,
      sessions: null,
      registrar: null,
      takingOver: (work) => work(),
      loadThreadsPlace: { taken: false },
      readPositions: (until) => readPositionTopic(kafka, poller.name, until),
      topics: createTopicGuard(kafka, positionTopic(poller.name)),
      refused: new Map(),
    };
    return { monitor, stop: own, ended: runTable(context, { table, monitor, signal, confirmed }) };
  };
  const untilPhase = async (monitor: TableMonitor, phase: TablePhase): Promise<void> => {
    await waitFor(
      async () => {
        await database.query("INSERT INTO a (value) VALUES ('x')");
        return monitor.figures().phase === phase;
      },
      { signal: stop.signal, timeoutMs: 60_000, describe: `the phase is ${phase}` },
    );
  };
  const confirmation = Promise.withResolvers<void>();
  try {
    await using admin = await kafka.admin();
    await admin.ensureTopics(
      [`cdc-poller.${name}.positions`, `${name}.public.a`, `${name}.cdc.heartbeat`].map((topic) => ({
        topic,
        partitions: 1,
        replicationFactor: 1,
      })),
    );
    const first = begin('first', () => confirmation.promise);
    await untilPhase(first.monitor, 'polling');
    const second = begin('second', async () => undefined);
    await untilPhase(first.monitor, 'waiting');
    await untilPhase(second.monitor, 'polling');
    const polls = { first: first.monitor.figures().polls, second: second.monitor.figures().polls };
    const until = performance.now() + 1000;
    while (performance.now() < until || second.monitor.figures().polls < polls.second + 15) {
      await database.query("INSERT INTO a (value) VALUES ('x')");
      // Neither polls for long enough to be counted where they take the table from one another.
      assert.equal(first.monitor.figures().phase, 'waiting');
      assert.equal(second.monitor.figures().phase, 'polling');
    }
    assert.equal(first.monitor.figures().polls, polls.first, 'the first polled again');
    second.stop.abort();
    await second.ended;
    confirmation.resolve();
    await untilPhase(first.monitor, 'polling');
    stop.abort();
    await first.ended;
    const versions = versionsOf(await readPublished(kafka, `${name}.public.a`));
    assert.equal(new Set(versions).size, versions.length, 'published twice');
  } finally {
    stop.abort();
  }
});
