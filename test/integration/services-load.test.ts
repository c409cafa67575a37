import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { silentLogger } from '#pipeline/index.ts';
import { dropVersions, rebuild } from '#read-model/rebuild/rebuild.ts';
import { createFallbackScene } from '#test/support/fallback-scene.ts';
import { apiSettings, createGatewayParts, programToken } from '#test/support/gateway.ts';
import { startLoad, type RunningLoad } from '#test/support/load.ts';
import { orderHistory } from '#test/support/order-history.ts';
import { createQueryApiScene, get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

/** Under load nobody is to see that a part is exchanged or goes for a while. */

/** Goes on until enough was asked afterwards too, and ends the load. */
async function assertUnseen(load: RunningLoad): Promise<void> {
  const before = load.answered();
  await eventually(
    () => Promise.resolve(load.answered()),
    (answered) => answered >= before + 100,
  );
  const seen = await load.end();
  assert.deepEqual({ ...seen, answered: 0 }, { answered: 0, errors: 0, timeouts: 0, byStatus: { 200: seen.answered } });
}

test('a rebuild switches versions, each instance goes and comes back, the provider goes: no request through the gateway fails', async () => {
  await using scene = await createQueryApiScene();
  const { model } = scene;
  await using running = await model.start();
  running.closed.catch(() => undefined);
  const history = orderHistory(11);
  for (const [table, messages] of history.next(200)) await model.send(table, messages);
  await model.caughtUp();
  await using parts = await createGatewayParts();
  const ports = [await getPort({ host: '127.0.0.1' }), await getPort({ host: '127.0.0.1' })];
  const startAt = (port: number): ReturnType<typeof scene.start> => scene.start({ ...apiSettings(parts), http: { port } });
  const instances = [];
  for (const port of ports) instances.push(await startAt(port));
  const gateway = await parts.start({
    upstreams: { 'query-api': { urls: instances.map(({ url }) => url), health: { intervalMs: 100 } } },
    routes: [{ prefix: '/v1', methods: ['GET'], upstream: 'query-api' }],
  });
  const isServed = async (): Promise<string> => JSON.stringify(await (await fetch(`${gateway.monitoringUrl}/status`)).json());
  const token = await programToken(parts);
  const headers = { authorization: `Bearer ${token}` };
  const load = startLoad(gateway.url, ['/v1/orders?limit=5', '/v1/order_view?limit=2', '/v1/customers?limit=1'], {
    connections: 6,
    perSecond: 60,
    headers,
  });

  const options = { config: model.config, model: 'model', logger: silentLogger, signal: new AbortController().signal };
  await rebuild(options, true);
  await dropVersions(options, 'previous');
  for (const [index, port] of ports.entries()) {
    await instances[index]?.[Symbol.asyncDispose]();
    await eventually(isServed, (status) => status.includes('"out"'));
    instances[index] = await startAt(port);
    await eventually(isServed, (status) => !status.includes('"out"'));
  }
  // An instance fetches the keys of tokens with the first one that it gets.
  for (const instance of instances) assert.equal((await get(instance, '/v1/customers?limit=1', headers)).status, 200);
  await parts.provider[Symbol.asyncDispose]();
  await rebuild(options, true);
  await assertUnseen(load);
});

test('the read database goes and comes back, then the legacy database: the query API answers every request', async () => {
  await using scene = await createFallbackScene();
  const api = await scene.start();
  const paths = ['/v1/orders/7', '/v1/orders?customer_id=3&limit=4', '/v1/order_view?limit=2'];
  for (const path of paths) assert.equal((await get(api, path)).status, 200);
  const load = startLoad(api.url, paths, { connections: 6, perSecond: 60 });
  const answeredBy = async (): Promise<string | null> => (await get(api, paths[0] ?? '')).headers.get('answered-by');

  await scene.read.stop();
  await eventually(answeredBy, (by) => by === 'last-answer' || by === 'legacy');
  await scene.read.start();
  await eventually(answeredBy, (by) => by === 'read-model');
  await scene.legacy.stop();
  await eventually(answeredBy, (by) => by === 'read-model');
  await scene.legacy.start();
  await assertUnseen(load);
});
