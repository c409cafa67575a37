import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RunningService } from '#services/index.ts';
import { createOrderScene, send, type OrderScene } from '#test/support/order-service.ts';
import type { Answered } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';
import { audience, startTokenIssuer } from '#test/support/token-issuer.ts';

let scene: OrderScene;
let service: RunningService;

before(async () => {
  scene = await createOrderScene();
  service = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

const order = { customer_id: '1', items: [{ product_id: '1', quantity: 2, unit_price: '19.90' }] };

async function post(key: string, body: unknown = order, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  return send(service, 'POST', '/v1/orders', { body, headers: { 'idempotency-key': key, ...headers } });
}

async function count(): Promise<number> {
  const [found] = await scene.legacy.query('SELECT count(*) FROM orders');
  return Number(found?.['count']);
}

test('the same key and command: the same answer, and it is done once; the position is one to wait for again', async () => {
  const key = uniqueName('key');
  const first = await post(key);
  const there = await count();
  const second = await post(key);
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.text, first.text);
  for (const name of ['etag', 'location']) assert.equal(second.headers.get(name), first.headers.get(name), name);
  assert.deepEqual([first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')], [null, 'true']);
  assert.ok((second.headers.get('min-position') ?? '') >= (first.headers.get('min-position') ?? 'z'));
  assert.equal(await count(), there);
});

test('each command has its own: PATCH, PUT and DELETE too, and If-Match is not asked again', async () => {
  const placed = await post(uniqueName('key'));
  const path = placed.headers.get('location') ?? '';
  const headers = { 'idempotency-key': uniqueName('key'), 'if-match': placed.headers.get('etag') ?? '' };
  const patches = [
    await send(service, 'PATCH', path, { body: { note: 'x' }, headers }),
    await send(service, 'PATCH', path, { body: { note: 'x' }, headers }),
  ];
  assert.deepEqual(
    patches.map(({ status }) => status),
    [200, 200],
  );
  const deletion = { headers: { 'idempotency-key': uniqueName('key') } };
  const deletes = [await send(service, 'DELETE', path, deletion), await send(service, 'DELETE', path, deletion)];
  assert.deepEqual(
    deletes.map(({ status, headers: got }) => [status, got.get('idempotency-replayed')]),
    [
      [204, null],
      [204, 'true'],
    ],
  );
});

test('the same key with another body, method or address is a mistake: 422, and nothing is done', async () => {
  const key = uniqueName('key');
  const placed = await post(key);
  const there = await count();
  const path = placed.headers.get('location') ?? '';
  const others = [
    await post(key, { ...order, note: 'another' }),
    await send(service, 'PATCH', path, { body: order, headers: { 'idempotency-key': key } }),
    await send(service, 'PUT', path, { body: order, headers: { 'idempotency-key': key } }),
  ];
  for (const { status, text } of others) {
    assert.equal(status, 422);
    assert.match(text, /idempotency-key-reused/);
  }
  assert.equal(await count(), there);
});

test('a command that still runs: 409 for the same key at once, while others go on; then its answer', async () => {
  const blocker = await scene.start();
  const held = await blocked(scene);
  const key = uniqueName('key');
  const first = post(key);
  await held.waiting();
  const second = await post(key);
  assert.equal(second.status, 409);
  assert.deepEqual([second.headers.get('retry-after'), /command-running/.test(second.text)], ['1', true]);
  const elsewhere = await send(blocker, 'POST', '/v1/orders', { body: order, headers: { 'idempotency-key': key } });
  assert.equal(elsewhere.status, 409, 'at another process too');
  const other = { ...order, customer_id: '9007199254740993' };
  assert.equal((await post(uniqueName('key'), other)).status, 201);
  await held.release();
  const done = await first;
  assert.equal(done.status, 201);
  const third = await post(key);
  assert.deepEqual([third.status, third.text], [201, done.text]);
});

/** Keeps the customer of the order locked: a command on it waits for the foreign key. */
async function blocked({ legacy }: OrderScene): Promise<{ waiting(): Promise<unknown>; release(): Promise<unknown> }> {
  await legacy.query('BEGIN');
  await legacy.query('SELECT FROM customers WHERE id = 1 FOR UPDATE');
  return {
    waiting: () =>
      eventually(
        () =>
          legacy.queryAs(
            legacy.superuser,
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cdc order-service' AND wait_event_type = 'Lock'`,
          ),
        (rows) => rows.length > 0,
      ),
    release: () => legacy.query('COMMIT'),
  };
}

test('many at once with one key: one order', async () => {
  const key = uniqueName('key');
  const there = await count();
  const answers = await Promise.all(Array.from({ length: 12 }, () => post(key)));
  assert.ok(answers.some(({ status }) => status === 201));
  for (const { status } of answers) assert.ok(status === 201 || status === 409, String(status));
  assert.equal(await count(), there + 1);
});

test('a command that is refused is not kept: the same key does it when it can be done', async () => {
  const key = uniqueName('key');
  const strange = { ...order, customer_id: '77' };
  const refused = await post(key, strange);
  assert.equal(refused.status, 422);
  assert.match(refused.text, /reference-unknown.*customer_id.*77/);
  await scene.legacy.query(`INSERT INTO customers (id, email, name) VALUES (77, 'x@example.test', 'x')`);
  const there = await count();
  const done = await post(key, strange);
  assert.deepEqual([done.status, done.headers.get('idempotency-replayed'), await count()], [201, null, there + 1]);
});

test('a key that has expired is a new one, and what has expired goes with the next commands', async () => {
  const brief = await scene.start({ idempotencyKeepMs: 1000 });
  const key = uniqueName('key');
  const place = (): Promise<Answered> => send(brief, 'POST', '/v1/orders', { body: order, headers: { 'idempotency-key': key } });
  const first = await place();
  await scene.legacy.queryAs(scene.legacy.superuser, `UPDATE order_service.idempotency_keys SET expires_at = now() WHERE key = '${key}'`);
  const second = await place();
  assert.equal(second.status, 201);
  assert.notEqual(second.text, first.text);
  await scene.legacy.queryAs(scene.legacy.superuser, 'UPDATE order_service.idempotency_keys SET expires_at = now()');
  await post(uniqueName('key'));
  const left = await scene.legacy.queryAs(scene.legacy.superuser, 'SELECT FROM order_service.idempotency_keys');
  assert.equal(left.length, 1);
});

test('what is no key is refused', async () => {
  for (const key of ['', 'a b', 'ü', 'x'.repeat(201)].map((text) => Buffer.from(text).toString('latin1')))
    assert.equal((await post(key)).status, 400, key);
});

test('keys of different callers are different ones, and the table says of none who it is', async () => {
  await using issuer = await startTokenIssuer();
  const jwt = { issuer: issuer.issuer, audience, jwksUrl: issuer.jwksUrl };
  const guarded = await scene.start({ auth: 'jwt', jwt });
  const key = uniqueName('key');
  const as = async (sub: string, scope: string | null = 'orders:write'): Promise<Answered> =>
    send(guarded, 'POST', '/v1/orders', {
      body: order,
      headers: { 'idempotency-key': key, authorization: `Bearer ${await issuer.token({ sub, scope })}` },
    });
  const [anna, bert, again] = [await as('anna'), await as('bert'), await as('anna')];
  assert.notEqual(anna.text, bert.text);
  assert.equal(again.text, anna.text);
  const rows = await scene.legacy.queryAs(scene.legacy.superuser, 'SELECT * FROM order_service.idempotency_keys');
  assert.doesNotMatch(JSON.stringify(rows), /anna|bert/);
  assert.equal((await as('anna', 'read')).status, 403);
  const without = await send(guarded, 'POST', '/v1/orders', { body: order });
  assert.deepEqual([without.status, without.headers.get('www-authenticate')], [401, 'Bearer']);
  assert.equal((await send(guarded, 'GET', '/v1/orders/1')).status, 401);
  assert.doesNotMatch(scene.log(), /eyJ/);
});
