import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { heartbeatTopic } from '#change-events/index.ts';
import { migrate as migrateLegacy } from '#legacy-db/index.ts';
import { postgresClientConfig, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { bothStrategiesConfig } from '#test/support/both-strategies.ts';
import { startTestConnector, type TestConnector } from '#test/support/connect.ts';
import { deleteTopicsOf, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { startTestPoller, type TestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

/** A model is called stale after this long; heartbeats come every 200 ms, on a busy machine every few seconds. */
const staleAfterMs = 6000;
const models = ['log_model', 'query_model'] as const;
type Model = (typeof models)[number];

const resources = new AsyncDisposableStack();
let source: OwnPostgres;
let read: ReadDatabase;
let config: PipelineConfig;
let connector: TestConnector;
let poller: TestPoller;

/** Customers that have committed, with the source's clock after the commit. */
const committed: { readonly id: string; readonly at: string }[] = [];

before(async () => {
  source = resources.use(await startOwnPostgres({ wal_level: 'logical', max_wal_senders: '4', max_replication_slots: '4' }));
  read = resources.use(await createReadDatabase());
  const { roles } = await testStack();
  const location = { host: source.host, port: source.port, database: 'legacy' };
  const owner = postgresClientConfig(location, roles.owner, 'test owner');
  await migrateLegacy(owner, {
    ledger: false,
    roles: { application: roles.application.user, poller: roles.poller.user, replicator: roles.replicator.user },
  });
  connector = await startTestConnector({
    database: { name: 'legacy', owner, replicator: postgresClientConfig(location, roles.replicator, 'test replicator') },
    overrides: { 'heartbeat.interval.ms': '200', 'retriable.restart.connector.wait.ms': '500', 'slot.retry.delay.ms': '500' },
  });
  resources.use(connector);
  const name = uniqueName('fresh');
  const whole = bothStrategiesConfig({
    database: { config: { ...location, roles } },
    read,
    kafka: await testKafkaConfig(),
    name,
    connectorPrefix: connector.prefix,
    poller: { pollIntervalMs: 50, heartbeatMs: 200, statementTimeoutMs: 2000 },
    model: { staleAfterMs },
  });
  config = whole;
  resources.defer(() => deleteTopicsOf(name));
  for (const schema of models) await migrateOrders(read.owner, schema);
  await connector.streaming();
  poller = startTestPoller(config);
  resources.defer(() => poller[Symbol.asyncDispose]());
  resources.use(await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal }));
});

after(() => resources.disposeAsync());

type Row = { readonly model: string; readonly lag: string; readonly freshness: { readonly state: string; readonly asOf: string | null } };

async function statusRows(): Promise<{ readonly rows: readonly Row[]; readonly exitCode: number }> {
  const { printed: text, exitCode } = await terminal(readModelOf, config).run('status', '--json');
  const rows: readonly Row[] = JSON.parse(text);
  return { rows, exitCode };
}

async function statesOf(): Promise<Readonly<Record<string, string>>> {
  const { rows, exitCode } = await statusRows();
  assert.equal(exitCode, rows.some(({ freshness }) => freshness.state === 'stale') ? 1 : 0);
  return Object.fromEntries(rows.map(({ model, freshness }) => [model, freshness.state]));
}

/** Waits until `cdc read-model status` says of each model what is expected. */
async function untilStates(expected: Readonly<Record<Model, 'fresh' | 'stale'>>): Promise<void> {
  await eventually(statesOf, (found) => models.every((model) => found[model] === expected[model]), 90_000);
}

/** What is stale has nothing left to consume: no consumer lag would show it. */
async function assertNoLag(model: Model): Promise<void> {
  const { rows } = await statusRows();
  for (const { lag } of rows.filter((row) => row.model === model)) assert.equal(lag, '0');
}

async function insertCustomer(): Promise<void> {
  const id = committed.length + 1;
  await source.run(`INSERT INTO customers (id, email, name) VALUES (${id}, 'c${id}@example.org', 'C')`, 'legacy');
  const [row] = await source.run('SELECT to_char(clock_timestamp() AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') AS at');
  committed.push({ id: String(id), at: row?.['at'] ?? '' });
}

/** In one look at a model: everything that had committed before its `as_of` is there. */
async function assertNotOverstated(model: Model): Promise<void> {
  const known = committed.map(({ id }) => id);
  const times = committed.map(({ at }) => at);
  const missing = await read.query(
    `SELECT c.id, f.as_of FROM unnest($1::bigint[], $2::timestamptz[]) AS c (id, at), ${model}.freshness f
      WHERE c.at <= f.as_of AND NOT EXISTS (SELECT FROM ${model}.customers m WHERE m.id = c.id)`,
    [known, times],
  );
  assert.deepEqual(missing, [], `${model} claims to be complete up to ${missing[0]?.['as_of']}`);
}

async function asOf(model: Model): Promise<string> {
  const [row] = await read.query(`SELECT as_of FROM ${model}.freshness`);
  return row?.['as_of'] ?? '';
}

test('both models are fresh while everything runs, also while nothing changes; what they claim is in them', async () => {
  await insertCustomer();
  await untilStates({ log_model: 'fresh', query_model: 'fresh' });
  const earlier = await Promise.all(models.map(asOf));
  await eventually(
    () => Promise.all(models.map(asOf)),
    (times) => times.every((time, index) => time > (earlier[index] ?? '')),
  );
  for (const model of models) await assertNotOverstated(model);
});

test('topics of heartbeats are bounded, under both strategies', async () => {
  const topics = [
    ...models.map((model) => heartbeatTopic(config.readModel?.models[model]?.topicPrefix ?? '')),
    `__debezium-heartbeat.${connector.prefix}`,
  ];
  const { brokers } = await testKafkaConfig();
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { resources: found } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    });
    for (const { resourceName, configEntries } of found) {
      const of = (name: string): string | undefined => configEntries.find(({ configName }) => configName === name)?.configValue;
      assert.equal(of('cleanup.policy'), 'compact', resourceName);
      assert.equal(of('segment.ms'), '600000', resourceName);
      assert.equal(of('message.timestamp.type'), 'LogAppendTime', resourceName);
    }
    assert.deepEqual(found.map(({ resourceName }) => resourceName).toSorted(), topics.toSorted());
  } finally {
    await admin.disconnect();
  }
});

test('a model that cannot apply claims nothing beyond what it has applied, however much capture has proven', async () => {
  const blocked = new AbortController();
  const looking = Promise.all(models.map((model) => lookUntil(blocked.signal, () => assertNotOverstated(model))));
  const blocker = await read.pool.connect();
  await blocker.query('BEGIN');
  for (const model of models) await blocker.query(`LOCK TABLE ${model}.customers IN EXCLUSIVE MODE`);
  for (let row = 0; row < 5; row += 1) {
    await insertCustomer();
    await delay(300);
  }
  const during = await Promise.all(models.map(asOf));
  await blocker.query('COMMIT');
  blocker.release();
  await eventually(
    () => Promise.all(models.map(asOf)),
    (times) => times.every((time, index) => time > (during[index] ?? '')),
  );
  blocked.abort();
  await looking;
  assert.ok(during.every((time) => time !== ''));
});

async function lookUntil(signal: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await delay(20);
  }
}

test('a stopped connector makes its model stale and leaves the other fresh; resumed, it is fresh again', async () => {
  await connector.client.pause(connector.name);
  await untilStates({ log_model: 'stale', query_model: 'fresh' });
  await assertNoLag('log_model');
  await insertCustomer();
  await assertNotOverstated('log_model');
  await connector.client.resume(connector.name);
  await untilStates({ log_model: 'fresh', query_model: 'fresh' });
});

test('a stopped poller makes its model stale and leaves the other fresh; started again, it is fresh again', async () => {
  await poller.stop();
  await untilStates({ log_model: 'fresh', query_model: 'stale' });
  await assertNoLag('query_model');
  await insertCustomer();
  await assertNotOverstated('query_model');
  poller = startTestPoller(config);
  await untilStates({ log_model: 'fresh', query_model: 'fresh' });
});

test('a stopped legacy database makes both stale, and status says so in words with exit code 1', async () => {
  await source.stop();
  await untilStates({ log_model: 'stale', query_model: 'stale' });
  for (const model of models) await assertNoLag(model);
  const { printed: text, exitCode } = await terminal(readModelOf, config).run('status');
  assert.equal(exitCode, 1);
  for (const model of models) assert.match(text, new RegExp(`${model}: STALE, complete up to \\S+ \\S+ only`));
  await source.start();
  await untilStates({ log_model: 'fresh', query_model: 'fresh' });
});
