import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { migrate as migrateLegacy } from '#legacy-db/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { startReadModel, type RunningReadModel } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { bothStrategiesConfig } from '#test/support/both-strategies.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteTopicsOf, testKafkaConfig } from '#test/support/kafka.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { get, queryApisOf, type QueryApis } from '#test/support/query-api.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

const resources = new AsyncDisposableStack();
const apis = new Map<string, RunningService>();
const models = ['log_model', 'query_model'] as const;
let source: OwnPostgres;
let running: RunningReadModel;
let served: QueryApis;

before(async () => {
  source = resources.use(await startOwnPostgres({ wal_level: 'logical', max_wal_senders: '4', max_replication_slots: '4' }));
  const read = resources.use(await createReadDatabase());
  const { roles } = await testStack();
  const location = { host: source.host, port: source.port, database: 'legacy' };
  const owner = postgresClientConfig(location, roles.owner, 'test owner');
  await migrateLegacy(owner, {
    ledger: false,
    roles: { application: roles.application.user, poller: roles.poller.user, replicator: roles.replicator.user },
  });
  const connector = resources.use(
    await startTestConnector({
      database: { name: 'legacy', owner, replicator: postgresClientConfig(location, roles.replicator, 'test replicator') },
      overrides: { 'heartbeat.interval.ms': '200' },
    }),
  );
  const name = uniqueName('served');
  const config = bothStrategiesConfig({
    database: { config: { ...location, roles } },
    read,
    kafka: await testKafkaConfig(),
    name,
    connectorPrefix: connector.prefix,
    poller: { pollIntervalMs: 50, heartbeatMs: 200 },
  });
  resources.defer(() => deleteTopicsOf(name));
  for (const schema of models) await migrateOrders(read.owner, schema);
  await connector.streaming();
  resources.use(startTestPoller(config));
  running = resources.use(await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal }));
  for (const model of models) {
    served = resources.use(await queryApisOf(read, config, model));
    apis.set(model, await served.start({ positionWaitMs: 60_000 }));
  }
});
after(() => resources.disposeAsync());

function apiOf(model: string): RunningService {
  const api = apis.get(model);
  assert.ok(api);
  return api;
}

/** Commits a customer in the source and gives the source's clock after it, as a writer would. */
async function writeCustomer(name: string): Promise<{ readonly id: string; readonly at: string }> {
  const [written] = await source.run(
    `INSERT INTO customers (email, name) VALUES ('${uniqueName('e')}@example.test', '${name}') RETURNING id::text`,
    'legacy',
  );
  const [clock] = await source.run(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`, 'legacy');
  return { id: written?.['id'] ?? '', at: clock?.['at'] ?? '' };
}

for (const model of models) {
  test(`${model}: who waits for the time of a write reads it, each time`, async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, at } = await writeCustomer(`round ${round}`);
      const { status, text, headers } = await get(apiOf(model), `/v1/customers/${id}?fields=name`, { 'min-position': at });
      assert.deepEqual([status, text], [200, `{"name":"round ${round}"}\n`]);
      assert.ok((headers.get('as-of') ?? '') >= at, `${headers.get('as-of')} is not before ${at}`);
      assert.equal(headers.get('freshness'), 'fresh');
    }
  });

  test(`${model}: the position of an answer is reached at every other API of the model, and one beyond it is not`, async () => {
    await get(apiOf(model), '/v1/customers?limit=1', { 'min-position': (await writeCustomer('position')).at });
    const { headers } = await get(apiOf(model), '/v1/customers?limit=1');
    const position = headers.get('position') ?? '';
    assert.match(position, /^[\w.-]+:\d+=\d+/);
    assert.equal((await get(apiOf(model), '/v1/customers?limit=1', { 'min-position': position })).status, 200);
  });
}

test('a model that has stopped is not waited for beyond the bound: 503 with Retry-After, or an older answer that says so', async () => {
  const impatient = await served.start({ positionWaitMs: 200 });
  await running[Symbol.asyncDispose]();
  const { id, at } = await writeCustomer('not seen');
  const refused = await get(impatient, '/v1/customers', { 'min-position': at });
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  assert.match(refused.text, /position-not-reached/);
  const stale = await get(impatient, `/v1/customers?limit=1&min-position=${encodeURIComponent(at)}&if-behind=stale`);
  assert.deepEqual([stale.status, stale.headers.get('position-reached')], [200, 'false']);
  assert.equal((await get(impatient, `/v1/customers/${id}`)).status, 404);
  const position = stale.headers.get('position') ?? '';
  const beyond = position.replace(/=\d+/, '=999999999');
  assert.equal((await get(impatient, '/v1/customers', { 'min-position': beyond })).status, 503);
  assert.equal((await get(impatient, '/v1/customers', { 'min-position': 'other.topic:0=1' })).status, 400);
  const first = Number((await get(impatient, '/v1/customers')).headers.get('staleness-ms'));
  await eventually(
    async () => Number((await get(impatient, '/v1/customers')).headers.get('staleness-ms')),
    (staleness) => staleness > first,
  );
});
