import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { migrate as migrateLegacy } from '#legacy-db/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { bothStrategiesConfig } from '#test/support/both-strategies.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteTopicsOf, testKafkaConfig } from '#test/support/kafka.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { orderServicesOf, send, type OrderServices, type Sent } from '#test/support/order-service.ts';
import { startOwnPostgres } from '#test/support/own-postgres.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { get, queryApisOf, type Answered } from '#test/support/query-api.ts';
import { createReadDatabase } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

const resources = new AsyncDisposableStack();
const warnings: string[] = [];
process.on('warning', ({ name }) => warnings.push(name));
const models = ['log_model', 'query_model'] as const;
const apis = new Map<string, RunningService>();
let services: OrderServices;
let service: RunningService;

before(async () => {
  const source = resources.use(await startOwnPostgres({ wal_level: 'logical', max_wal_senders: '4', max_replication_slots: '4' }));
  const read = resources.use(await createReadDatabase());
  const { roles } = await testStack();
  const location = { host: source.host, port: source.port, database: 'legacy' };
  const owner = postgresClientConfig(location, roles.owner, 'test owner');
  await migrateLegacy(owner, {
    ledger: false,
    roles: { application: roles.application.user, poller: roles.poller.user, replicator: roles.replicator.user },
  });
  await source.run(
    `INSERT INTO customers (id, email, name) VALUES (1, 'a@example.test', 'a');
     INSERT INTO products (id, sku, name, price) VALUES (1, 's1', 'one', 19.90), (9007199254740995, 's2', 'two', 9999999999.99)`,
    'legacy',
  );
  const connector = resources.use(
    await startTestConnector({
      database: { name: 'legacy', owner, replicator: postgresClientConfig(location, roles.replicator, 'test replicator') },
      overrides: { 'heartbeat.interval.ms': '200' },
    }),
  );
  const name = uniqueName('circle');
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
  resources.use(await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal }));
  for (const model of models) {
    const served = resources.use(await queryApisOf(read, config, model));
    apis.set(model, await served.start({ positionWaitMs: 60_000 }));
  }
  services = resources.use(await orderServicesOf({ config: { ...location, roles }, maintain: (sql) => source.run(sql, 'legacy') }));
  service = await services.start({ prices: { url: apiOf('log_model').url } });
});
after(() => resources.disposeAsync());

function apiOf(model: string): RunningService {
  const api = apis.get(model);
  assert.ok(api);
  return api;
}

type Command = Awaited<ReturnType<typeof send>>;

async function done(method: string, path: string, sent: Sent = {}): Promise<Command> {
  const answer = await send(service, method, path, sent);
  assert.ok(answer.status < 300, answer.text);
  return answer;
}

/** What a client reads that sends the position of its command. */
function readAfter({ headers }: Command, model: string, path: string): Promise<Answered> {
  return get(apiOf(model), path, { 'min-position': headers.get('min-position') ?? 'none' });
}

const item = { product_id: '1', quantity: 2, unit_price: '1.50' };

for (const model of models) {
  test(`${model}: each command is read back at once, place, change and replace`, async () => {
    for (let round = 0; round < 3; round += 1) {
      const placed = await done('POST', '/v1/orders', { body: { customer_id: '1', note: `round ${round}`, items: [item, item] } });
      const path = `/v1/orders/${String(placed.json['id'])}`;
      const fields = '?fields=status,note';
      assert.equal((await readAfter(placed, model, path + fields)).text, `{"status":"new","note":"round ${round}"}\n`);
      const patched = await done('PATCH', path, { body: { status: 'paid' } });
      assert.equal((await readAfter(patched, model, path + fields)).text, `{"status":"paid","note":"round ${round}"}\n`);
      const replaced = await done('PUT', path, { body: { customer_id: '1', items: [{ ...item, quantity: 9 }] } });
      assert.equal((await readAfter(replaced, model, path + fields)).text, '{"status":"new","note":null}\n');
      const items = Array.isArray(replaced.json['items']) ? replaced.json['items'] : [];
      const read = await readAfter(replaced, model, `/v1/order_items/${String(items[0]?.id)}?fields=order_id,quantity,unit_price`);
      assert.equal(read.text, `{"order_id":"${String(placed.json['id'])}","quantity":9,"unit_price":"1.50"}\n`);
    }
  });

  test(`${model}: the answer to a repeated command has a position that is waited for as well`, async () => {
    const headers = { 'idempotency-key': uniqueName('key') };
    const body = { customer_id: '1', items: [item] };
    await done('POST', '/v1/orders', { body, headers });
    const again = await done('POST', '/v1/orders', { body, headers });
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.equal((await readAfter(again, model, `/v1/orders/${String(again.json['id'])}`)).status, 200);
  });
}

test('a delete is read back where the log feeds the model; plain polling cannot see it, and the answer there does not say so', async () => {
  const placed = await done('POST', '/v1/orders', { body: { customer_id: '1', items: [item] } });
  const path = `/v1/orders/${String(placed.json['id'])}`;
  for (const model of models) assert.equal((await readAfter(placed, model, path)).status, 200);
  const deleted = await done('DELETE', path);
  assert.equal((await readAfter(deleted, 'log_model', path)).status, 404);
  assert.equal((await readAfter(deleted, 'query_model', path)).status, 200, 'a ghost: cdc verify lists them, the key sweep removes them');
});

test('an item without a price has the list price of the query API, every digit; a product that it does not have is named', async () => {
  const placed = await done('POST', '/v1/orders', {
    body: { customer_id: '1', items: [{ product_id: '9007199254740995', quantity: 1 }, { product_id: '1', quantity: 1 }, item] },
  });
  const items = Array.isArray(placed.json['items']) ? placed.json['items'] : [];
  assert.deepEqual(
    items.map(({ unit_price }) => unit_price),
    ['9999999999.99', '19.90', '1.50'],
  );
  const refused = await send(service, 'POST', '/v1/orders', { body: { customer_id: '1', items: [{ product_id: '4242', quantity: 1 }] } });
  assert.equal(refused.status, 422);
  assert.match(refused.text, /reference-unknown.*no product 4242/);
});

test('no request leaves a listener on its connection', () => {
  assert.ok(!warnings.includes('MaxListenersExceededWarning'));
});
