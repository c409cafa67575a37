import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import getPort from 'get-port';
import type { RunningService } from '#services/index.ts';
import { createOrderScene, send, type OrderScene } from '#test/support/order-service.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { audience, startTokenIssuer } from '#test/support/token-issuer.ts';

let orders: OrderScene;
let served: QueryApiScene;
let api: RunningService;
let service: RunningService;
let port: number;

before(async () => {
  orders = await createOrderScene();
  served = await createQueryApiScene();
  await served.model.read.query(`INSERT INTO model.products (id, price) VALUES (1, 19.90)`);
  port = await getPort({ host: '127.0.0.1' });
  api = await served.start({ http: { port } });
  service = await orders.start({ prices: { url: api.url, failures: 2, probeAfterMs: 100, attempts: 2, retryDelayMs: 1 } });
});
after(async () => {
  await orders[Symbol.asyncDispose]();
  await served[Symbol.asyncDispose]();
});

/** Makes the model so old. The query API may go on for a moment with what it has read before. */
async function fresh(age = '0 s'): Promise<void> {
  await served.model.read.query(`UPDATE model.freshness SET as_of = clock_timestamp() - interval '${age}'`);
  await eventually(
    () => get(api, '/v1/products/1'),
    ({ headers }) => headers.get('freshness') === (age === '0 s' ? 'fresh' : 'stale'),
  );
}

const priced = { customer_id: '1', items: [{ product_id: '1', quantity: 1, unit_price: '5.00' }] };
const unpriced = { customer_id: '1', items: [{ product_id: '1', quantity: 1 }] };
const post = (body: unknown, headers: Readonly<Record<string, string>> = {}): ReturnType<typeof send> =>
  send(service, 'POST', '/v1/orders', { body, headers });

test('the list price, with the request id and trace context passed on', async () => {
  await fresh();
  const placed = await post(unpriced, { 'x-request-id': 'price-1' });
  assert.equal(placed.status, 201, placed.text);
  assert.match(placed.text, /"unit_price":"19.90"/);
  assert.match(served.log(), /"requestId":"price-1","method":"GET","path":"\/v1\/products\/1"/);
});

test('a price that is not fresh is none', async () => {
  await fresh('1 h');
  const refused = await post(unpriced);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  assert.match(refused.text, /price-unavailable.*is stale.*Send the items with unit_price/);
  await fresh();
});

test('the query API is stopped: only items without a price are refused, at once when the breaker is open; it comes back, and they are not', async () => {
  const key = { 'idempotency-key': 'before' };
  const done = await post(unpriced, key);
  await api[Symbol.asyncDispose]();
  for (let round = 0; round < 3; round += 1) {
    assert.match((await post(unpriced)).text, /price-unavailable/);
    assert.equal((await post(priced)).status, 201);
  }
  assert.match((await get(service, '/metrics')).text, /^cdc_order_service_breaker_state\{dependency="query API"\} [12]$/m);
  assert.match((await get(service, '/status')).text, /"ready":true.*"dependencies":\{"query API":\{"state":"(?:open|half-open)"/);
  assert.equal((await get(service, '/readyz')).status, 200);
  const again = await post(unpriced, key);
  assert.deepEqual([again.status, again.text], [201, done.text], 'what was done is not asked for a price again');
  api = await served.start({ http: { port } });
  await eventually(
    () => post(unpriced),
    ({ status }) => status === 201,
  );
  assert.match((await get(service, '/metrics')).text, /^cdc_order_service_breaker_state\{dependency="query API"\} 0$/m);
});

test('the caller’s token is passed on, and a product that it may not read has no price for it', async () => {
  await using issuer = await startTokenIssuer();
  const jwt = { auth: 'jwt', jwt: { issuer: issuer.issuer, audience, jwksUrl: issuer.jwksUrl } };
  const guarded = await served.start(jwt);
  const strict = await orders.start({ ...jwt, prices: { url: guarded.url } });
  const place = async (scope: string): Promise<number> => {
    const headers = { authorization: `Bearer ${await issuer.token({ scope })}` };
    return (await send(strict, 'POST', '/v1/orders', { body: unpriced, headers })).status;
  };
  await fresh();
  assert.deepEqual([await place('orders:write read:products'), await place('orders:write')], [201, 403]);
});
