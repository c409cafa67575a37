import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { startOrderService, type RunningService } from '#services/index.ts';
import { orderServiceDocument, orderServiceDocumentFile, referenceSettings } from '#services/orders/http/openapi.ts';
import { createOrderScene, send, type OrderScene } from '#test/support/order-service.ts';
import { get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

let scene: OrderScene;
let service: RunningService;

before(async () => {
  scene = await createOrderScene();
  service = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

const item = { product_id: '1', quantity: 2, unit_price: '19.90' };
const order = { customer_id: '1', items: [item] };

const bad: Readonly<Record<string, readonly [body: unknown, status: number, what: RegExp]>> = {
  'no JSON': ['{', 400, /bad-request/],
  'a prototype': ['{"__proto__": {"customer_id": "1"}}', 400, /bad-request/],
  nothing: ['null', 422, /body-invalid/],
  'a list': [[order], 422, /body-invalid/],
  'an id as a number': [{ ...order, customer_id: 1 }, 422, /"pointer":"\/customer_id","detail":"expected a string of digits/],
  'an id that no bigint is': [{ ...order, customer_id: '9223372036854775808' }, 422, /larger than any id/],
  'a price as a number': [{ ...order, items: [{ ...item, unit_price: 19.9 }] }, 422, /\/items\/0\/unit_price.*money is text/],
  'a price that would be rounded': [{ ...order, items: [{ ...item, unit_price: '19.999' }] }, 422, /unit_price/],
  'a price that is too large': [{ ...order, items: [{ ...item, unit_price: '10000000000.00' }] }, 422, /unit_price/],
  'a price of NaN': [{ ...order, items: [{ ...item, unit_price: 'NaN' }] }, 422, /unit_price/],
  'a quantity of none': [{ ...order, items: [{ ...item, quantity: 0 }] }, 422, /\/items\/0\/quantity/],
  'half a quantity': [{ ...order, items: [{ ...item, quantity: 1.5 }] }, 422, /quantity/],
  'no items': [{ ...order, items: [] }, 422, /\/items/],
  'too many items': [{ ...order, items: Array.from({ length: 101 }, () => item) }, 422, /\/items/],
  'an unknown member': [{ ...order, 'a/b~c': 1 }, 422, /"pointer":"\/a~1b~0c","detail":"there is no such member"/],
  'a status of its own': [{ ...order, status: 'lost' }, 422, /\/status/],
  'a NUL': [{ ...order, note: 'a\u0000b' }, 422, /\/note/],
  'half a character': ['{"customer_id":"1","note":"\\ud800","items":[{"product_id":"1","quantity":2,"unit_price":"1"}]}', 422, /\/note/],
  'an unknown customer': [{ ...order, customer_id: '4242' }, 422, /reference-unknown.*4242/],
  'an unknown product': [{ ...order, items: [{ ...item, product_id: '4242' }] }, 422, /reference-unknown.*4242/],
  'no price, and nobody to ask': [{ ...order, items: [{ product_id: '1', quantity: 1 }] }, 422, /no address of list prices/],
  'an id for a new item': [{ ...order, items: [{ ...item, id: '1' }] }, 422, /\/items\/0\/id/],
};
for (const [what, [body, status, why]] of Object.entries(bad)) {
  test(`a new order with ${what} is refused, and nothing is done`, async () => {
    const answer = await send(service, 'POST', '/v1/orders', { body });
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/problem+json; charset=utf-8'], answer.text);
    assert.match(answer.text, why);
    assert.deepEqual(await scene.legacy.query('SELECT FROM orders'), []);
  });
}

/** What comes back for what no HTTP client would send. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.setEncoding('utf8').on('data', (data: string) => (answer += data));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('a body that is too large, of another type, or never comes', async () => {
  const strict = await scene.start({ requestTimeoutMs: 500, maxBodyBytes: 1000 });
  const huge = await send(strict, 'POST', '/v1/orders', { body: { ...order, note: 'x'.repeat(2000) } });
  assert.deepEqual([huge.status, /request-too-large/.test(huge.text)], [413, true]);
  const chunked = `${'a'.repeat(400)}\r\n`;
  assert.match(
    await raw(
      strict.url,
      `POST /v1/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${`190\r\n${chunked}`.repeat(4)}0\r\n\r\n`,
    ),
    /^HTTP\/1.1 413 /,
  );
  for (const type of ['text/plain', 'application/xml', 'application/json-patch+json'])
    assert.equal((await send(strict, 'PATCH', '/v1/orders/1', { body: '{}', headers: { 'content-type': type } })).status, 415, type);
  assert.match(
    await raw(strict.url, 'POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{'),
    /^HTTP\/1.1 408 [^]*request-timeout/,
  );
});

test('methods and addresses that are not served: 405 with those that are, 404', async () => {
  const put = await send(service, 'PUT', '/v1/orders', { body: order });
  assert.deepEqual([put.status, put.headers.get('allow')], [405, 'POST']);
  const post = await send(service, 'POST', '/v1/orders/1', { body: order });
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, PUT, PATCH, DELETE']);
  for (const id of ['0', '-1', 'a', '1e3', '9223372036854775808', '99999999999999999999999', "1'--"])
    assert.equal((await send(service, 'GET', `/v1/orders/${encodeURIComponent(id)}`)).status, 404, id);
});

test('a request id goes through to answer and log; one that could forge a line does not', async () => {
  const given = await get(service, '/v1/orders/5', { 'x-request-id': 'abc-123' });
  assert.equal(given.headers.get('x-request-id'), 'abc-123');
  assert.match(scene.log(), /"requestId":"abc-123","method":"GET"/);
  const forged = await get(service, '/v1/orders/5', { 'x-request-id': 'a"b{c' });
  assert.match(forged.headers.get('x-request-id') ?? '', /^[\da-f-]{36}$/);
});

const documentShape = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.union([
        z.array(z.object({ name: z.string(), example: z.string() })),
        z.object({
          requestBody: z.object({ content: z.record(z.string(), z.object({ example: z.unknown() })) }).optional(),
          responses: z.record(z.string(), z.unknown()),
        }),
      ]),
    ),
  ),
});

test('the OpenAPI document is the one that is kept in docs/reference (npm run docs:openapi writes it), and is served', async () => {
  const kept: unknown = JSON.parse(await readFile(orderServiceDocumentFile, 'utf8'));
  assert.deepEqual(JSON.parse(JSON.stringify(orderServiceDocument(referenceSettings))), kept);
  const served: unknown = JSON.parse((await get(service, '/openapi.json')).text);
  assert.deepEqual(served, JSON.parse(JSON.stringify(orderServiceDocument({ ...referenceSettings, auth: 'none' }))));
});

test('each example of the OpenAPI document is a request that this service does', async () => {
  const { paths } = documentShape.parse(orderServiceDocument(referenceSettings));
  const done: string[] = [];
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (Array.isArray(operation)) continue;
      const bodies = Object.entries(operation.requestBody?.content ?? { '': { example: undefined } });
      for (const [type, { example }] of bodies) {
        const placed = await send(service, 'POST', '/v1/orders', { body: order });
        const address = path.replace('{id}', String(placed.json['id']));
        const answer = await send(service, method.toUpperCase(), address, {
          body: example,
          headers: type === '' ? {} : { 'content-type': type },
        });
        assert.ok(answer.status < 300 && operation.responses[String(answer.status)] !== undefined, `${method} ${path}: ${answer.text}`);
        done.push(`${method} ${answer.status}`);
      }
    }
  }
  assert.deepEqual(done, ['post 201', 'get 200', 'put 200', 'patch 200', 'patch 200', 'delete 204']);
});

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof CdcError && error.code === code;
}

test('the role does what commands need, and nothing else; each right is needed, and a stronger role is refused', async () => {
  const { legacy, role } = scene;
  const as = (sql: string): Promise<unknown> => legacy.queryAs(legacy.superuser, sql);
  const rights = await legacy.query(
    `SELECT c.relname, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type) AS may
       FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname = $1 GROUP BY 1 ORDER BY 1`,
    [role],
  );
  const all = 'DELETE,INSERT,SELECT,UPDATE';
  assert.deepEqual(
    rights.map(({ relname, may }) => `${relname} ${may}`),
    [`idempotency_keys ${all}`, `order_items ${all}`, 'order_items_id_seq USAGE', `orders ${all}`, 'orders_id_seq USAGE'],
  );
  const start = (): Promise<unknown> => scene.start();
  const name = escapeIdentifier(role);
  for (const table of ['orders', 'order_items', 'order_service.idempotency_keys']) {
    for (const needed of ['SELECT', 'INSERT', 'UPDATE', 'DELETE']) {
      await as(`REVOKE ${needed} ON ${table} FROM ${name}`);
      await assert.rejects(start, refusedWith('ORDER_SERVICE_GRANT_MISSING'), `${needed} on ${table}`);
      await as(`GRANT ${needed} ON ${table} TO ${name}`);
    }
  }
  for (const [give, take] of [
    [`GRANT UPDATE ON customers TO ${name}`, `REVOKE UPDATE ON customers FROM ${name}`],
    [`ALTER ROLE ${name} CREATEROLE`, `ALTER ROLE ${name} NOCREATEROLE`],
    [`ALTER ROLE ${name} SUPERUSER`, `ALTER ROLE ${name} NOSUPERUSER`],
  ] as const) {
    await as(give);
    await assert.rejects(start, refusedWith('ORDER_SERVICE_ROLE_TOO_STRONG'), give);
    await as(take);
  }
  const wrong = scene.config({ password: 'not it' });
  await assert.rejects(
    startOrderService({ config: wrong, logger: silentLogger, signal: new AbortController().signal }),
    (error: unknown) => refusedWith('ORDER_SERVICE_LOGIN_REFUSED')(error) && !String(error).includes('not it'),
  );
});

test('a legacy database that is away: 503 with Retry-After, not ready with the reason, alive; and by itself well again', async () => {
  const { legacy } = scene;
  const { host, port } = legacy.location;
  const postgres = { ...legacy.superuser, host, port, database: 'postgres' };
  await legacy.queryAs(postgres, `ALTER DATABASE ${legacy.name} CONNECTION LIMIT 0`);
  await legacy.queryAs(
    postgres,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${legacy.name}' AND application_name = 'cdc order-service'`,
  );
  const away = await send(service, 'POST', '/v1/orders', { body: order });
  assert.deepEqual([away.status, away.headers.get('retry-after')], [503, '1']);
  assert.doesNotMatch(away.text, /127\.0\.0\.1|orders_/);
  const ready = await get(service, '/readyz');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /the legacy database cannot be used: LEGACY_DB_UNREACHABLE/);
  assert.match((await get(service, '/metrics')).text, /^cdc_order_service_legacy_reachable 0$/m);
  assert.equal((await get(service, '/livez')).status, 200);
  const late = await scene.start();
  await legacy.queryAs(postgres, `ALTER DATABASE ${legacy.name} CONNECTION LIMIT -1`);
  await eventually(
    async () => (await get(service, '/readyz')).status,
    (status) => status === 200,
  );
  assert.equal((await send(late, 'POST', '/v1/orders', { body: order })).status, 201);
  assert.match((await get(service, '/status')).text, /"auth":"none","ready":true/);
});

test('no password is in a log line', () => {
  const { services } = scene.config();
  assert.ok(services?.orders?.password);
  assert.ok(!scene.log().includes(services.orders.password));
});
