import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RunningService } from '#services/index.ts';
import { createOrderScene, send, type OrderScene } from '#test/support/order-service.ts';

let scene: OrderScene;
let service: RunningService;

before(async () => {
  scene = await createOrderScene();
  service = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

const item = { product_id: '1', quantity: 2, unit_price: '19.90' };
const order = { customer_id: '1', items: [item] };

async function place(body: unknown = order): Promise<{ readonly id: string; readonly etag: string; readonly path: string }> {
  const { status, json, headers, text } = await send(service, 'POST', '/v1/orders', { body });
  assert.equal(status, 201, text);
  const id = String(json['id']);
  return { id, etag: headers.get('etag') ?? '', path: `/v1/orders/${id}` };
}

async function row(id: string): Promise<Readonly<Record<string, string | null>>> {
  const [found] = await scene.legacy.query('SELECT customer_id, status, note FROM orders WHERE id = $1', [id]);
  assert.ok(found);
  return found;
}

test('POST places an order with its items: what is left out has the default of the table, and the answer is the order', async () => {
  const { status, headers, json } = await send(service, 'POST', '/v1/orders', { body: { ...order, note: 'a "note"\nof ü😀' } });
  const id = String(json['id']);
  assert.deepEqual([status, headers.get('location')], [201, `/v1/orders/${id}`]);
  assert.match(headers.get('etag') ?? '', /^"[\w-]{27}"$/);
  assert.match(headers.get('min-position') ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.deepEqual(await row(id), { customer_id: '1', status: 'new', note: 'a "note"\nof ü😀' });
  const read = await send(service, 'GET', `/v1/orders/${id}`);
  assert.deepEqual([read.status, read.json, read.headers.get('etag')], [200, json, headers.get('etag')]);
  const [placed] = await scene.legacy.query(
    `SELECT placed_at >= now() - interval '1 hour' AND $1::timestamptz > placed_at AS after FROM orders WHERE id = $2`,
    [headers.get('min-position'), id],
  );
  assert.equal(placed?.['after'], 't', 'the position is after the command');
});

test('ids and money that no double holds go both ways, digit by digit', async () => {
  const items = [{ product_id: '9007199254740995', quantity: 2_147_483_647, unit_price: '9999999999.99' }];
  const { json } = await send(service, 'POST', '/v1/orders', { body: { customer_id: '9007199254740993', items } });
  assert.equal(json['customer_id'], '9007199254740993');
  const [kept] = await scene.legacy.query('SELECT product_id, quantity, unit_price FROM order_items WHERE order_id = $1', [
    String(json['id']),
  ]);
  assert.deepEqual(kept, { product_id: '9007199254740995', quantity: '2147483647', unit_price: '9999999999.99' });
  assert.match(JSON.stringify(json['items']), /"product_id":"9007199254740995","quantity":2147483647,"unit_price":"9999999999.99"/);
});

test('PATCH changes the fields that are sent, and no statement names another', async () => {
  const { id, path } = await place({ ...order, note: 'kept' });
  // A rule of the legacy system: whoever writes a note writes it here.
  await scene.legacy.query(
    `CREATE FUNCTION no_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'notes are not written'; END $$;
     CREATE TRIGGER no_note BEFORE UPDATE OF note ON orders FOR EACH ROW EXECUTE FUNCTION no_note()`,
  );
  try {
    assert.equal((await send(service, 'PATCH', path, { body: { status: 'paid' } })).status, 200);
    assert.deepEqual(await row(id), { customer_id: '1', status: 'paid', note: 'kept' });
    const refused = await send(service, 'PATCH', path, { body: { note: 'x' } });
    assert.equal(refused.status, 409);
    assert.match(refused.text, /urn:cdc:problem:conflict.*notes are not written/);
  } finally {
    await scene.legacy.query('DROP TRIGGER no_note ON orders; DROP FUNCTION no_note()');
  }
});

test('changes of different fields at the same time are all kept', async () => {
  const { id, path } = await place();
  const bodies = [{ status: 'packed' }, { note: 'at once' }, { customer_id: '9007199254740993' }];
  const answers = await Promise.all(bodies.map((body) => send(service, 'PATCH', path, { body })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  assert.deepEqual(await row(id), { customer_id: '9007199254740993', status: 'packed', note: 'at once' });
});

test('a merge patch: null resets to the default, what must be there cannot be removed, an empty one changes nothing', async () => {
  const { id, path } = await place({ ...order, status: 'shipped', note: 'x' });
  const [there] = await scene.legacy.query('SELECT xmin, updated_at FROM orders WHERE id = $1', [id]);
  assert.equal((await send(service, 'PATCH', path, { body: {} })).status, 200);
  assert.deepEqual(
    (await scene.legacy.query('SELECT xmin, updated_at FROM orders WHERE id = $1', [id]))[0]?.['updated_at'],
    there?.['updated_at'],
  );
  assert.equal((await send(service, 'PATCH', path, { body: { status: null, note: null } })).status, 200);
  assert.deepEqual(await row(id), { customer_id: '1', status: 'new', note: null });
  for (const body of [{ customer_id: null }, { items: null }, { items: [] }]) {
    const refused = await send(service, 'PATCH', path, { body });
    assert.equal(refused.status, 422, JSON.stringify(body));
  }
  const plain = await send(service, 'PATCH', path, { body: { note: 'plain' }, headers: { 'content-type': 'application/json' } });
  assert.equal(plain.status, 200);
});

test('PUT replaces: what is left out gets the default that the table has, whatever it is', async () => {
  const { id, path } = await place({ ...order, status: 'shipped', note: 'gone' });
  await scene.legacy.query(`ALTER TABLE orders ALTER status SET DEFAULT 'paid'`);
  try {
    assert.equal((await send(service, 'PUT', path, { body: { ...order, customer_id: '9007199254740993' } })).status, 200);
    assert.deepEqual(await row(id), { customer_id: '9007199254740993', status: 'paid', note: null });
  } finally {
    await scene.legacy.query(`ALTER TABLE orders ALTER status SET DEFAULT 'new'`);
  }
  const refused = await send(service, 'PUT', path, { body: { note: 'x' } });
  assert.equal(refused.status, 422);
  assert.deepEqual(Array.isArray(refused.json['errors']) && refused.json['errors'].map(({ pointer }) => pointer), [
    '/customer_id',
    '/items',
  ]);
  assert.equal((await send(service, 'PUT', '/v1/orders/999999', { body: order })).status, 404);
});

test('items: those with an id are changed, those without are new, those that are not named go, and one that stays is not written', async () => {
  const { id, path } = await place({ ...order, items: [item, { ...item, quantity: 5 }, { ...item, quantity: 7 }] });
  const versions = (): Promise<readonly Readonly<Record<string, string | null>>[]> =>
    scene.legacy.query('SELECT id, quantity, xmin FROM order_items WHERE order_id = $1 ORDER BY id', [id]);
  const [first, second] = await versions();
  const items = [
    { ...item, id: first?.['id'] },
    { ...item, id: second?.['id'], quantity: 6 },
    { ...item, quantity: 9 },
  ];
  assert.equal((await send(service, 'PATCH', path, { body: { items } })).status, 200);
  const now = await versions();
  assert.deepEqual(
    now.map(({ quantity }) => quantity),
    ['2', '6', '9'],
  );
  assert.deepEqual([now[0], now[1]?.['id']], [first, second?.['id']]);
  const other = await place();
  const [strange] = await scene.legacy.query('SELECT id FROM order_items WHERE order_id = $1', [other.id]);
  const refused = await send(service, 'PATCH', path, { body: { items: [{ ...item, id: strange?.['id'] }] } });
  assert.equal(refused.status, 422);
  assert.match(refused.text, /reference-unknown/);
  assert.equal((await send(service, 'PATCH', path, { body: { items: [items[0], items[0]] } })).status, 422, 'one item twice');
  assert.deepEqual(await versions(), now);
});

test('DELETE takes the items along; an order that the legacy system still needs stays: 409', async () => {
  const { id, path } = await place();
  await scene.legacy.query('CREATE TABLE invoices (order_id bigint REFERENCES orders); ALTER TABLE invoices OWNER TO CURRENT_USER');
  try {
    await scene.legacy.query('INSERT INTO invoices VALUES ($1)', [id]);
    assert.equal((await send(service, 'DELETE', path)).status, 409);
    await scene.legacy.query('DELETE FROM invoices');
  } finally {
    await scene.legacy.query('DROP TABLE invoices');
  }
  const done = await send(service, 'DELETE', path);
  assert.deepEqual([done.status, done.text], [204, '']);
  assert.ok(done.headers.get('min-position'));
  assert.deepEqual(await scene.legacy.query('SELECT FROM order_items WHERE order_id = $1', [id]), []);
  for (const method of ['DELETE', 'GET']) assert.equal((await send(service, method, path)).status, 404, method);
});

test('If-Match: another ETag is 412 with the one that holds, a weak one never matches, and * is any order that is there', async () => {
  const { path, etag } = await place();
  const changed = await send(service, 'PATCH', path, { body: { status: 'paid' }, headers: { 'if-match': etag } });
  assert.equal(changed.status, 200);
  const now = changed.headers.get('etag') ?? '';
  for (const method of ['PATCH', 'PUT', 'DELETE']) {
    const body = { PATCH: { status: 'packed' }, PUT: order, DELETE: undefined }[method];
    const refused = await send(service, method, path, { body, headers: { 'if-match': etag } });
    assert.deepEqual([refused.status, refused.headers.get('etag')], [412, now], method);
  }
  assert.equal((await send(service, 'PATCH', path, { body: {}, headers: { 'if-match': `W/${now}` } })).status, 412);
  assert.equal((await send(service, 'PATCH', path, { body: {}, headers: { 'if-match': 'none' } })).status, 400);
  assert.equal((await send(service, 'PATCH', path, { body: {}, headers: { 'if-match': `"other", ${now}` } })).status, 200);
  assert.equal((await send(service, 'PATCH', path, { body: {}, headers: { 'if-match': '*' } })).status, 200);
  assert.equal((await send(service, 'PATCH', '/v1/orders/999999', { body: {}, headers: { 'if-match': '*' } })).status, 404);
});

test('the ETag is of the items too, whoever changes them', async () => {
  const { id, path, etag } = await place();
  await scene.legacy.query('UPDATE order_items SET quantity = 3 WHERE order_id = $1', [id]);
  assert.equal((await send(service, 'PATCH', path, { body: { status: 'paid' }, headers: { 'if-match': etag } })).status, 412);
});

test('of many changes that have seen the same order, one is done', async () => {
  const { path, etag } = await place();
  const notes = Array.from({ length: 8 }, (_, n) => `writer ${n}`);
  const answers = await Promise.all(notes.map((note) => send(service, 'PATCH', path, { body: { note }, headers: { 'if-match': etag } })));
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
  assert.deepEqual(statuses, [200, ...Array.from({ length: 7 }, () => 412)]);
});

test('requireIfMatch: a change without it is 428, and a new order needs none', async () => {
  const strict = await scene.start({ requireIfMatch: true });
  const { path, etag } = await place();
  for (const method of ['PATCH', 'PUT', 'DELETE']) {
    const { status } = await send(strict, method, path, { body: { PATCH: {}, PUT: order, DELETE: undefined }[method] });
    assert.equal(status, 428, method);
  }
  assert.equal((await send(strict, 'DELETE', path, { headers: { 'if-match': etag } })).status, 204);
  assert.equal((await send(strict, 'POST', '/v1/orders', { body: order })).status, 201);
});
