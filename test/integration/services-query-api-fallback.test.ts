import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CdcError } from '#pipeline/index.ts';
import type { RunningService } from '#services/index.ts';
import { createFallbackScene, statusOf, type FallbackScene } from '#test/support/fallback-scene.ts';
import { createMuteProxy } from '#test/support/mute-proxy.ts';
import { get, type Answered } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { testStack } from '#test/support/stack.ts';

let scene: FallbackScene;
/** It has answered before, and one that has not. */
let api: RunningService;
let cold: RunningService;
const asked = ['/v1/orders/7', '/v1/orders?customer_id=3&limit=4', '/v1/order_view?limit=2'];
const answers = new Map<string, Answered & { readonly askedAt: number; readonly answeredAt: number }>();

before(async () => {
  scene = await createFallbackScene();
  api = await scene.start();
  cold = await scene.start({ lastAnswers: { maxBytes: 0 } });
  await get(cold, '/v1/orders/1');
});
after(() => scene[Symbol.asyncDispose]());

const by = ({ status, headers }: Answered): readonly [number, string | null] => [status, headers.get('answered-by')];
const clock = async (server: FallbackScene['legacy']): Promise<string> => {
  const [now] = await server.run(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`);
  return now?.['now'] ?? '';
};

/** Questions of the mirrors that a source table can answer, by key and by index, forwards and backwards. */
const ofMirrors = [
  '/v1/orders/7',
  '/v1/orders?limit=5',
  '/v1/orders?limit=5&desc=true&fields=id,note',
  '/v1/orders?customer_id=3&limit=4',
  '/v1/order_items?order_id=9',
  '/v1/products/9007199254740995',
  '/v1/labels/%C3%A4',
  '/v1/samples?limit=100',
  '/v1/customers/4242',
];
const mirrored = new Map<string, Answered>();

test('while the read model can be read, it answers, and the legacy database is not asked', async () => {
  for (const path of asked) {
    const askedAt = performance.now();
    answers.set(path, { ...(await get(api, path)), askedAt, answeredAt: performance.now() });
  }
  for (const path of ofMirrors) mirrored.set(path, await get(cold, path));
  for (const [path, answer] of [...answers, ...mirrored]) assert.equal(answer.headers.get('answered-by'), 'read-model', path);
  const { dependencies } = await statusOf(api);
  assert.deepEqual([dependencies['read-model'].state, dependencies.legacy.state], ['closed', 'closed']);
  const sessions = await scene.legacy.run(
    `SELECT query FROM pg_stat_activity WHERE application_name = 'cdc query-api fallback' AND query LIKE '%json%'`,
  );
  assert.deepEqual(sessions, []);
});

test('a row that the model has said is gone is not given from memory', async () => {
  const path = '/v1/orders/200?fields=id';
  assert.deepEqual(by(await get(api, path)), [200, 'read-model']);
  await scene.read.run('DELETE FROM model.orders WHERE id = 200', 'legacy');
  assert.equal((await get(api, path)).status, 404);
  assert.equal((await statusOf(api)).lastAnswers.answers, asked.length);
});

test('the read server is stopped: the last good answer to the same question, marked as stale, with its age', async () => {
  await scene.read.stop();
  for (const path of asked) {
    const last = answers.get(path);
    assert.ok(last);
    const least = performance.now() - last.answeredAt;
    const now = await get(api, path);
    const most = performance.now() - last.askedAt;
    assert.deepEqual(by(now), [200, 'last-answer'], path);
    assert.deepEqual([now.text, now.headers.get('etag')], [last.text, last.headers.get('etag')]);
    assert.equal(now.headers.get('as-of'), last.headers.get('as-of'));
    assert.equal(now.headers.get('freshness'), 'stale');
    const age = Number(now.headers.get('age'));
    assert.ok(age >= least / 1000 && age <= Math.ceil(most / 1000), `${age} s, of ${least} to ${most} ms`);
    assert.ok(Number(now.headers.get('staleness-ms')) >= Number(last.headers.get('staleness-ms')) + Math.floor(least));
    assert.equal((await get(api, path, { 'if-none-match': now.headers.get('etag') ?? '' })).status, 304);
  }
});

test('what has no last answer is read from the legacy database: byte for byte what the mirror said, and fresh', async () => {
  for (const path of ofMirrors) {
    const mirror = mirrored.get(path);
    const now = await get(cold, path);
    assert.deepEqual(
      [now.text, now.headers.get('link'), now.headers.get('etag')],
      [mirror?.text, mirror?.headers.get('link'), mirror?.headers.get('etag')],
      path,
    );
    assert.deepEqual(by(now), [mirror?.status, 'legacy'], path);
    assert.deepEqual([now.headers.get('freshness'), now.headers.get('staleness-ms'), now.headers.get('position')], ['fresh', '0', null]);
  }
});

test('a page begun at the read model goes on at the legacy database', async () => {
  const first = mirrored.get('/v1/orders?limit=5');
  const link = /^<(?<path>[^>]+)>/.exec(first?.headers.get('link') ?? '')?.groups?.['path'] ?? '';
  const next = await get(cold, link);
  assert.deepEqual(by(next), [200, 'legacy']);
  assert.deepEqual(
    [...next.text.matchAll(/"id":"(\d+)"/g)].map(([, id]) => id),
    ['6', '7', '8', '9', '10'],
  );
});

test('what only the read model has is 503: projections, deleted rows, lists that no index of the source serves or whose order is a collation’s', async () => {
  for (const path of ['/v1/order_view/1', '/v1/orders?status=new', '/v1/labels?limit=2', '/v1/nothing']) {
    const { status, headers, text } = await get(cold, path);
    assert.deepEqual([status, headers.get('retry-after')], [503, '1'], path);
    assert.match(text, /model-unavailable/);
  }
});

test('a question that is wrong is wrong still', async () => {
  for (const path of ['/v1/orders?limit=0', '/v1/orders?nothing=1', '/v1/orders/abc', '/v1/orders?note=x', '/v1/orders/1/2'])
    assert.ok([400, 404].includes((await get(cold, path)).status), path);
});

test('read your writes: the last answer is too old for the position, the legacy database has it, and nobody waits', async () => {
  const position = await clock(scene.legacy);
  const now = await get(api, '/v1/orders/7', { 'min-position': position });
  assert.deepEqual([...by(now), now.headers.get('position-reached')], [200, 'legacy', null]);
  const future = await get(api, '/v1/orders/7', { 'min-position': '2999-01-01T00:00:00Z' });
  assert.deepEqual([future.status, /position-not-reached/.test(future.text)], [503, true], 'what is still to be committed');
  const older = await get(api, `/v1/orders/7?if-behind=stale&min-position=${encodeURIComponent(position)}`);
  assert.deepEqual([...by(older), older.headers.get('position-reached')], [200, 'last-answer', 'false']);
  const view = await get(api, '/v1/order_view?limit=2', { 'min-position': position });
  assert.deepEqual([view.status, /position-not-reached/.test(view.text)], [503, true]);
  const asOf = answers.get('/v1/orders/7')?.headers.get('as-of') ?? '';
  assert.deepEqual(by(await get(api, '/v1/orders/7', { 'min-position': asOf })), [200, 'last-answer']);
});

test('the breaker of the read model is open, in /status and /metrics, and the API is ready; a probe that fails opens it again', async () => {
  const status = await eventually(
    () => get(api, '/v1/orders/7').then(() => statusOf(api)),
    ({ dependencies }) => dependencies['read-model'].opened > 1,
  );
  assert.deepEqual([status.ready, status.modelReadable], [true, false]);
  assert.equal((await get(api, '/readyz')).status, 200);
  const metrics = (await get(api, '/metrics')).text;
  assert.match(metrics, /^cdc_query_api_breaker_state\{dependency="read-model"\} [12]$/m);
  assert.match(metrics, /^cdc_query_api_breaker_state\{dependency="legacy"\} 0$/m);
  assert.match(metrics, /^cdc_query_api_answers_total\{source="last-answer"\} \d+$/m);
});

test('the legacy server is stopped too: what is remembered is given still, the rest is 503, and its breaker opens', async () => {
  await scene.legacy.stop();
  assert.deepEqual(by(await get(api, '/v1/orders/7')), [200, 'last-answer']);
  await eventually(
    async () => {
      assert.equal((await get(cold, '/v1/orders/7')).status, 503);
      return statusOf(cold);
    },
    ({ dependencies, ready }) => dependencies.legacy.state === 'open' && !ready,
  );
});

test('each server comes back: a probe closes its breaker, first the legacy database answers, then the read model again', async () => {
  await scene.legacy.start();
  await eventually(
    () => get(cold, '/v1/orders/7'),
    (answer) => by(answer)[1] === 'legacy',
  );
  await scene.read.start();
  for (const one of [api, cold]) {
    await eventually(
      () => get(one, '/v1/orders/7'),
      (answer) => by(answer)[1] === 'read-model',
    );
  }
  const { dependencies } = await statusOf(cold);
  assert.deepEqual([dependencies['read-model'].state, dependencies.legacy.state], ['closed', 'closed']);
});

test('a legacy database that is away is nothing to the read model’s answers', async () => {
  await scene.legacy.stop();
  const untouched = (await statusOf(cold)).dependencies.legacy;
  for (const path of ofMirrors.slice(0, 3)) assert.deepEqual(by(await get(cold, path)), [200, 'read-model']);
  assert.deepEqual((await statusOf(cold)).dependencies.legacy, untouched);
  const late = await scene.start();
  assert.deepEqual(by(await get(late, '/v1/orders/7')), [200, 'read-model'], 'nor to the start');
  await scene.legacy.start();
});

test('a read server that says nothing is given up after a bounded time, and then not asked at all', async () => {
  await using proxy = await createMuteProxy({ host: scene.read.host, port: scene.read.port });
  const config = scene.config({ model: { failures: 2, probeAfterMs: 600_000 } }, { statementTimeoutMs: 300 });
  assert.ok(config.readModel);
  await using hung = await scene.startWith({ ...config, readModel: { ...config.readModel, port: proxy.port } });
  assert.deepEqual(by(await get(hung, '/v1/orders/7')), [200, 'read-model']);
  proxy.mute();
  for (const id of [1, 2]) assert.deepEqual(by(await get(hung, `/v1/orders/${id}`)), [200, 'legacy']);
  const said = proxy.saidInVain();
  for (const id of [3, 4, 5]) assert.deepEqual(by(await get(hung, `/v1/orders/${id}`)), [200, 'legacy']);
  assert.equal((await get(hung, '/readyz')).status, 200);
  assert.equal(proxy.saidInVain(), said, 'nobody asks while the breaker is open');
  const { dependencies } = await statusOf(hung);
  assert.equal(dependencies['read-model'].state, 'open');
});

test('few questions at once reach the legacy database: more are refused at once, and a statement that takes too long is ended', async () => {
  const legacy = { ...(await testStack()).roles.poller, concurrent: 1, queue: 0, timeoutMs: 2000, failures: 100 };
  const narrow = await scene.start({ legacy, lastAnswers: { maxBytes: 0 } });
  assert.equal((await get(narrow, '/v1/orders/1')).status, 200);
  await scene.read.stop();
  assert.deepEqual(by(await get(narrow, '/v1/orders/1')), [200, 'legacy']);
  const held = await scene.holdLegacy('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
  const slow = get(narrow, '/v1/orders/1');
  await held.waiting();
  assert.equal((await get(narrow, '/v1/customers/1')).status, 503);
  assert.ok((await statusOf(narrow)).dependencies.legacy.refused.busy > 0);
  assert.equal((await slow).status, 503);
  await held.release();
  assert.deepEqual(by(await get(narrow, '/v1/customers/1')), [200, 'legacy']);
  await scene.read.start();
});

test('a role that may do more than read is refused at the start; so is a legacy database of another kind', async () => {
  const { owner, replicator } = (await testStack()).roles;
  for (const role of [owner, replicator])
    await assert.rejects(
      scene.start({ legacy: role }),
      (error: unknown) => error instanceof CdcError && error.code === 'QUERY_API_FALLBACK_ROLE_TOO_STRONG',
    );
  const { legacyDb, ...rest } = scene.config();
  await assert.rejects(
    scene.startWith({ ...rest, legacyDb: { ...legacyDb, dialect: 'mariadb' } }),
    (error: unknown) => error instanceof CdcError && error.code === 'DIALECT_UNSUPPORTED',
  );
  await assert.rejects(
    scene.start({ legacy: { user: 'nobody', password: 'x' } }),
    (error: unknown) => error instanceof CdcError && error.code === 'LEGACY_LOGIN_REFUSED',
  );
});
