import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { postgresClientConfig } from '#pipeline/index.ts';
import type { RunningService } from '#services/index.ts';
import { createFallbackScene, type FallbackScene } from '#test/support/fallback-scene.ts';
import type { OwnPostgres } from '#test/support/own-postgres.ts';
import { get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { testStack } from '#test/support/stack.ts';
import { createTcpSwitch, type TcpSwitch } from '#test/support/tcp-switch.ts';

/** A read model at position 5, and a copy of it that has stayed at 3, behind one address. */
let scene: FallbackScene;
let replica: OwnPostgres;
let address: TcpSwitch;
let api: RunningService;
const topic = 'test.public.customers';
const path = '/v1/customers/1?fields=name';

function state(number: number): string {
  return `UPDATE model.customers SET name = 'state ${number}' WHERE id = 1; UPDATE model.applied_offsets SET next_offset = ${number};
    UPDATE model.freshness SET as_of = timestamptz '2026-01-01T00:00:00Z' + ${number} * interval '1 s'`;
}

before(async () => {
  scene = await createFallbackScene();
  await scene.read.run(
    `INSERT INTO model.applied_offsets (topic, partition, next_offset) VALUES ('${topic}', 0, 3); ${state(3)}`,
    'legacy',
  );
  await scene.read.stop();
  replica = await scene.read.copy();
  await Promise.all([scene.read.start(), replica.start()]);
  await scene.read.run(state(5), 'legacy');
  address = await createTcpSwitch(scene.read);
  // One connection: what waits for it is known, and goes where the address leads by then.
  const config = scene.config(null, { connections: 1, statementTimeoutMs: 60_000, positionWaitMs: 60_000 });
  assert.ok(config.readModel);
  api = await scene.startWith({ ...config, readModel: { ...config.readModel, host: address.host, port: address.port } });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await address[Symbol.asyncDispose]();
  await replica[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

/** A session of the read server that holds a table until it ends, and how to know that somebody waits for the table. */
async function hold(table: string): Promise<AsyncDisposable & { waited(): Promise<unknown>; release(): Promise<void> }> {
  const { owner } = (await testStack()).roles;
  const { host, port } = scene.read;
  const client = new Client(postgresClientConfig({ host, port, database: 'legacy' }, owner, 'test holder'));
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE model.${table} IN ACCESS EXCLUSIVE MODE`);
  return {
    waited: () =>
      eventually(
        () => scene.read.run(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'model.${table}'::regclass`, 'legacy'),
        ({ length }) => length > 0,
      ),
    release: () => client.end(),
    /** Also of a test that has failed: nobody waits for what nobody releases. */
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** Both arrive at once, in this order: the server begins with the second before it can have an answer to the first. */
async function together(first: string, second: string): Promise<string> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  let answers = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answers += text));
  socket.write(
    `GET ${first} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\nGET ${second} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
  );
  await once(socket, 'close');
  return answers;
}

/**
 * Asks for the row at a position that the first server has; while its rows are still to be read, the address goes to the replica. What else is asked then
 * holds the only connection until that.
 */
async function askAmidFailover(question: string): Promise<string> {
  address.to(scene.read);
  const warm = await eventually(
    () => get(api, path),
    ({ status }) => status === 200,
  );
  assert.equal(warm.text, '{"name":"state 5"}\n');
  await using freshness = await hold('freshness');
  await using orders = await hold('orders');
  const answered = together(question, '/v1/orders/1');
  await freshness.waited();
  await freshness.release();
  await orders.waited();
  await eventually(
    async () => (await get(api, '/metrics')).text,
    (text) => /^cdc_query_api_database_requests_waiting [1-9]/m.test(text),
  );
  address.to(replica);
  const answers = await answered;
  await orders.release();
  return answers.slice(0, answers.indexOf('HTTP/1.1', 1));
}

const positions = { position: `${topic}:0=5`, time: '2026-01-01T00:00:05Z' };

for (const [kind, wanted] of Object.entries(positions)) {
  test(`a ${kind} that the old server had reached is not reached by rows of a replica that is behind: 503, or an answer that says so`, async () => {
    const asked = `${path}&min-position=${encodeURIComponent(wanted)}`;
    const refused = await askAmidFailover(asked);
    assert.match(refused, /^HTTP\/1.1 503 [^]*retry-after: 1[^]*position-not-reached/i);
    const older = await askAmidFailover(`${asked}&if-behind=stale`);
    assert.match(older, /^HTTP\/1.1 200 [^]*position-reached: false[^]*"state 3"/i);
    assert.match(older, new RegExp(`\\nposition: ${topic}:0=3\\r`, 'i'));
  });
}

test('what the replica has reached is answered, and with the old server again what that has', async () => {
  const three = await askAmidFailover(`${path}&min-position=${topic}:0=3`);
  assert.match(three, /^HTTP\/1.1 200 [^]*"state 3"/);
  assert.doesNotMatch(three, /position-reached/i);
  address.to(scene.read);
  const five = await eventually(
    () => get(api, path, { 'min-position': positions.position }),
    ({ status }) => status === 200,
  );
  assert.deepEqual([five.text, five.headers.get('position-reached')], ['{"name":"state 5"}\n', null]);
});

test('a projection that is halted has no position, and reaches none, though the model has', async () => {
  await scene.read.run(
    `INSERT INTO model.projection_faults (projection, code, cause, since) VALUES ('order_view', 'READ_MODEL_PROJECTION_FAILED', 'x', '2026-01-01T00:00:04Z')`,
    'legacy',
  );
  const view = '/v1/order_view?limit=1';
  await eventually(
    () => get(api, view),
    ({ headers }) => headers.get('as-of') === '2026-01-01T00:00:04.000000Z' && headers.get('position') === null,
  );
  for (const wanted of Object.values(positions)) {
    assert.equal((await get(api, view, { 'min-position': wanted })).status, 503);
    assert.equal((await get(api, `${view}&if-behind=stale`, { 'min-position': wanted })).headers.get('position-reached'), 'false');
    assert.equal((await get(api, path, { 'min-position': wanted })).status, 200);
  }
  assert.equal((await get(api, view, { 'min-position': '2026-01-01T00:00:03Z' })).status, 200);
});
