import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { RunningReadModel } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { openStream, type StreamEvent } from '#test/support/event-stream.ts';
import { customer, order, remove, upsert } from '#test/support/order-events.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

let scene: QueryApiScene;
let api: RunningService;
let running: RunningReadModel;

before(async () => {
  scene = await createQueryApiScene();
  running = await scene.model.start();
  await scene.model.send(
    'customers',
    [1, 2, 3].map((id) => upsert('customers', customer(id))),
  );
  await scene.model.send('orders', [upsert('orders', order(1, 1)), upsert('orders', order(2, 2))]);
  await scene.model.caughtUp();
  api = await scene.start();
});
after(async () => {
  await running[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

const customers = '/v1/customers?fields=name';

function told(events: readonly StreamEvent[]): readonly string[] {
  return events.filter(({ event }) => event !== 'current').map(({ event, data }) => `${event} ${data}`);
}

function isCurrent(events: readonly StreamEvent[]): boolean {
  return events.at(-1)?.event === 'current';
}

const all = ['reset {}', ...[1, 2, 3].map((id) => `row {"key":{"id":"${id}"},"row":{"name":"customer ${id}"}}`)];

test('a live stream tells the list, then each change and each row that goes; after a reconnect only what was missed', async () => {
  const first = await openStream(`${api.url}${customers}`);
  await first.until(isCurrent);
  assert.deepEqual(told(first.events), all);
  await scene.model.send('customers', [upsert('customers', customer(2, 'renamed'), 'u')]);
  await first.until((events) => told(events).length === all.length + 1 && isCurrent(events));
  assert.equal(told(first.events).at(-1), 'row {"key":{"id":"2"},"row":{"name":"renamed"}}');
  const { lastId } = first;
  first[Symbol.dispose]();
  await scene.model.send('customers', [...remove('customers', 3), upsert('customers', customer(4))]);
  await scene.model.caughtUp();
  const second = await openStream(`${api.url}${customers}`, { 'last-event-id': lastId });
  await second.until((events) => told(events).length === 2 && isCurrent(events));
  assert.deepEqual(told(second.events), ['gone {"key":{"id":"3"}}', 'row {"key":{"id":"4"},"row":{"name":"customer 4"}}']);
  second[Symbol.dispose]();
});

test('an id that another server gave, or none that is remembered, begins with the whole list', async () => {
  const other = await scene.start();
  for (const lastId of ['00000000-3', 'nonsense', '']) {
    using client = await openStream(`${other.url}${customers}`, { 'last-event-id': lastId });
    await client.until(isCurrent);
    assert.equal(told(client.events)[0], 'reset {}', lastId);
    assert.equal(told(client.events).length, 4);
  }
});

test('the stream of one row of a projection follows what touches it', async () => {
  using client = await openStream(`${api.url}/v1/order_view/1?fields=order_id,status`);
  await client.until(isCurrent);
  await scene.model.send('orders', [upsert('orders', order(1, 1, 'paid'), 'u')]);
  await client.until((events) => told(events).some((one) => one.includes('"paid"')));
  const current = client.events.findLast(({ event }) => event === 'current');
  assert.match(current?.data ?? '', /"position":"[^"]+orders:/);
});

test('a stream is refused as any request is, and beyond the most with 503', async () => {
  assert.equal((await openStream(`${api.url}/v1/nothing`)).status, 404);
  assert.equal((await openStream(`${api.url}/v1/customers?colour=1`)).status, 400);
  assert.equal((await openStream(`${api.url}/v1/customers?cursor=1`)).status, 400);
  const narrow = await scene.start({ streams: 1 });
  using first = await openStream(`${narrow.url}${customers}`);
  assert.equal(first.status, 200);
  const { status, headers } = await get(narrow, customers, { accept: 'text/event-stream' });
  assert.deepEqual([status, headers.get('retry-after')], [503, '10']);
});

test('a client that does not read is ended, and costs the others nothing', async () => {
  const narrow = await scene.start({ streamBufferBytes: 100_000 });
  const { hostname, port } = new URL(narrow.url);
  const deaf = connect(Number(port), hostname);
  await once(deaf, 'connect');
  deaf.pause();
  deaf.write(`GET /v1/customers HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n`);
  using listening = await openStream(`${narrow.url}${customers}`);
  await listening.until(isCurrent);
  // More than the sockets hold between them.
  const long = 'x'.repeat(500_000);
  let round = 0;
  await eventually(
    async () => {
      round += 1;
      await scene.model.send('customers', [upsert('customers', customer(1, `${long}${round}`), 'u')]);
      await listening.until((events) => told(events).some((one) => one.includes(`x${round}"`)));
      return (await get(narrow, '/metrics')).text;
    },
    (metrics) => /^cdc_query_api_slow_streams_total 1$/m.test(metrics),
  );
  assert.equal(listening.ended, false);
  assert.match((await get(narrow, '/metrics')).text, /^cdc_query_api_streams 1$/m);
  deaf.destroy();
});

test('at the end of the server its streams end too', async () => {
  const short = await scene.start();
  using client = await openStream(`${short.url}${customers}`);
  await client.until(isCurrent);
  await short[Symbol.asyncDispose]();
  await eventually(
    () => Promise.resolve(client.ended),
    (ended) => ended,
  );
});
