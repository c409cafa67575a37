import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { silentLogger } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { bothStrategiesConfig } from '#test/support/both-strategies.ts';
import { launchChromium } from '#test/support/chromium.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { openStream } from '#test/support/event-stream.ts';
import { apiSettings, createGatewayParts, loggedIn, passwords, programToken, type GatewayParts } from '#test/support/gateway.ts';
import { deleteTopicsOf, testKafkaConfig } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { orderServicesOf } from '#test/support/order-service.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { get, queryApisOf } from '#test/support/query-api.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

/**
 * The whole circle, every part real: a person at the gateway gives a command; the order service changes the legacy database; a strategy captures it into
 * Kafka; the read model applies it; the query API answers the person. Once for each strategy.
 */

const resources = new AsyncDisposableStack();
const models = ['log_model', 'query_model'] as const;
let legacy: LegacyDatabase;
let gateway: GatewayParts;
let browser: Browser;
const apis: Partial<Record<(typeof models)[number], RunningService>> = {};

function urlOf(model: (typeof models)[number]): string {
  return apis[model]?.url ?? assert.fail(`no API of ${model}`);
}

before(async () => {
  browser = await launchChromium();
  resources.defer(() => browser.close());
  legacy = resources.use(await createLegacyDatabase());
  const read = resources.use(await createReadDatabase());
  await legacy.query(`
    INSERT INTO customers (id, email, name) VALUES (1, 'ada@example.test', 'Ada Example');
    INSERT INTO products (id, sku, name, price) VALUES (1, 's1', 'one', 19.90);
    INSERT INTO orders (customer_id) VALUES (1), (1)`);
  const connector = resources.use(await startTestConnector({ database: legacy, overrides: { 'heartbeat.interval.ms': '200' } }));
  const name = uniqueName('circle');
  const config = bothStrategiesConfig({
    database: legacy,
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

  // The order service asks the query API for prices.
  await eventually(
    () => read.query('SELECT id FROM log_model.products'),
    (rows) => rows.length > 0,
  );

  gateway = resources.use(await createGatewayParts());
  const tokens = apiSettings(gateway);
  for (const model of models) {
    const served = resources.use(await queryApisOf(read, config, model));
    apis[model] = await served.start({ ...tokens, positionWaitMs: 60_000 });
  }
  const orders = resources.use(await orderServicesOf({ config: legacy.config, maintain: (sql) => legacy.queryAs(legacy.superuser, sql) }));
  const { url } = await orders.start({ ...tokens, prices: { url: urlOf('log_model') } });
  await gateway.start({
    upstreams: { 'query-api': { urls: [urlOf('log_model')] }, orders: { urls: [url] } },
    routes: [
      { prefix: '/v1', methods: ['GET'], upstream: 'query-api' },
      { prefix: '/v1/orders', methods: ['POST', 'PUT', 'PATCH', 'DELETE'], upstream: 'orders' },
    ],
    page: {},
  });
});
after(() => resources.disposeAsync());

test('a person’s command is read back through the gateway, with both strategies, by its position', async () => {
  const { client, csrfToken } = await loggedIn(gateway);
  const write = async (method: string, path: string, body: unknown): ReturnType<typeof client.ask> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await client.ask(`${gateway.url}${path}`, {
      method,
      headers: { 'content-type': type, 'x-csrf-token': csrfToken, origin: gateway.url, 'idempotency-key': uniqueName('key') },
      body: JSON.stringify(body),
    });
    assert.ok(answer.status < 300, answer.text);
    return answer;
  };
  const authorization = `Bearer ${await programToken(gateway)}`;
  /** By the log's model through the gateway, by the query's from its API. */
  const readBack = async (path: string, position: string | null): Promise<readonly string[]> => {
    const headers = { 'min-position': position ?? 'none' };
    const byLog = await client.ask(`${gateway.url}${path}`, { headers });
    const byQuery = await get({ url: urlOf('query_model') }, path, { ...headers, authorization });
    return [byLog, byQuery].map(({ status, text }) => `${status} ${text.trim()}`);
  };
  const placed = await write('POST', '/v1/orders', { customer_id: '1', items: [{ product_id: '1', quantity: 2 }] });
  const { id } = JSON.parse(placed.text);
  const fields = `/v1/orders/${String(id)}?fields=status`;
  assert.deepEqual(await readBack(fields, placed.headers.get('min-position')), ['200 {"status":"new"}', '200 {"status":"new"}']);
  const [view] = await readBack(`/v1/order_view/${String(id)}?fields=total`, placed.headers.get('min-position'));
  assert.equal(view, '200 {"total":"39.80"}', 'the price is the query API’s');
  const changed = await write('PATCH', `/v1/orders/${String(id)}`, { status: 'paid' });
  assert.deepEqual(await readBack(fields, changed.headers.get('min-position')), ['200 {"status":"paid"}', '200 {"status":"paid"}']);
});

test('what the old application changes reaches a stream that comes through the gateway', async () => {
  const token = await programToken(gateway);
  using stream = await openStream(`${gateway.url}/v1/orders/2`, { authorization: `Bearer ${token}` });
  await stream.until((events) => events.some(({ event }) => event === 'current'));
  await legacy.query("UPDATE orders SET status = 'shipped' WHERE id = 2");
  await stream.until((events) => events.some(({ event, data }) => event === 'row' && data.includes('"shipped"')));
});

test('on the page: an order is changed, the change goes through the legacy system and arrives, and the orders are said to be up to date', async () => {
  const page: Page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(gateway.url);
  await page.getByLabel('Name').fill('alice');
  await page.getByLabel('Password').fill(passwords.alice);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${gateway.url}/`);
  const row = page.locator('tbody tr[data-id="1"]');
  await row.locator('.status', { hasText: 'new' }).waitFor();
  await page.getByLabel('Status of order 1').selectOption('packed');
  await page.getByLabel('Change order 1').click();
  await row.locator('.status', { hasText: 'packed' }).waitFor();
  await row.getByText(/Arrived after/).waitFor();
  assert.deepEqual(await legacy.query('SELECT status FROM orders WHERE id = 1'), [{ status: 'packed' }]);
  await page.locator('#freshness[data-state=fresh]', { hasText: 'Up to date' }).waitFor();
});
