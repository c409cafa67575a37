import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import getPort from 'get-port';
import { pino } from 'pino';
import { nodeFlags } from '#pipeline/index.ts';
import { startGateway, type RunningService } from '#services/index.ts';
import { startDnsServer } from '#test/support/dns-server.ts';
import { gatewayConfig, kindOf } from '#test/support/gateway.ts';
import { startInstance, type OwnInstance, type OwnInstanceOptions } from '#test/support/instance.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

type Settings = Readonly<Record<string, unknown>>;
type Shown = { readonly url: string; readonly state: 'in' | 'out'; readonly pending: number; readonly reason: string | null };

let log = '';
const logger = pino({ level: 'info' }, { write: (line: string) => void (log += line) });

const quick = { health: { intervalMs: 50, timeoutMs: 5000 } };
const never = { health: { intervalMs: 3_600_000 } };

async function gatewayTo(context: TestContext, upstream: Settings, others: Settings = {}): Promise<RunningService> {
  const gateway = await startGateway({
    config: gatewayConfig({
      http: { port: 0 },
      monitoring: { port: 0 },
      auth: 'none',
      rateLimit: { requests: 0 },
      upstreams: { api: upstream },
      routes: [{ prefix: '/v1', methods: ['GET', 'POST', 'PUT'], upstream: 'api' }],
      ...others,
    }),
    logger,
    signal: new AbortController().signal,
  });
  context.after(() => gateway[Symbol.asyncDispose]());
  return gateway;
}

async function instance(context: TestContext, options: OwnInstanceOptions = {}): Promise<OwnInstance> {
  const own = await startInstance(options);
  context.after(() => own[Symbol.asyncDispose]());
  return own;
}

async function shown({ monitoringUrl }: RunningService): Promise<readonly Shown[]> {
  const { upstreams } = Object(await (await fetch(`${monitoringUrl}/status`)).json());
  return Object(upstreams)['api'];
}

async function post(gateway: RunningService, body = '{}'): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${gateway.url}/v1/things`, { method: 'POST', body });
  return { status: response.status, text: await response.text() };
}

test('requests are spread over the instances: in turn, or to the one with the fewest open requests', async (context) => {
  const held: (() => void)[] = [];
  const [one, two] = [
    await instance(context, { answer: (_got, response) => held.push(() => response.end('slow')) }),
    await instance(context),
  ];
  const turns = await gatewayTo(context, { urls: [two.url, two.url.replace('127.0.0.1', 'localhost')], balance: 'round-robin', ...never });
  for (let index = 0; index < 4; index += 1) await get(turns, '/v1/a');
  assert.deepEqual(new Set(two.received.map(({ headers }) => headers.host)).size, 2);

  const least = await gatewayTo(context, { urls: [one.url, two.url], ...never });
  const waiting: Promise<unknown>[] = [];
  // Whichever is first: from then on the slow one has a request that is open.
  while (one.received.length === 0) {
    waiting.push(get(least, '/v1/b'));
    await eventually(
      () => Promise.resolve(one.received.length + two.received.length),
      (seen) => seen >= 4 + waiting.length,
    );
  }
  const before = two.received.length;
  for (let index = 0; index < 6; index += 1) await get(least, '/v1/c');
  assert.deepEqual([one.received.length, two.received.length - before], [1, 6]);
  for (const end of held) end();
  await Promise.all(waiting);
});

test('a read that an instance breaks off is answered by another; a write is not sent twice', async (context) => {
  const broken = await instance(context, { answer: (_got, response) => response.destroy() });
  const good = await instance(context);
  const reads = await gatewayTo(context, { urls: [broken.url, good.url], health: { intervalMs: 3_600_000, failures: 100 } });
  for (let index = 0; index < 10; index += 1) assert.equal((await get(reads, '/v1/a')).status, 200);
  assert.ok(broken.received.length > 0, 'both were tried');
  const before = [broken.received.length, good.received.length];
  const answers = [];
  for (let index = 0; index < 10; index += 1) answers.push(await post(reads));
  const failed = answers.filter(({ status }) => status === 502);
  assert.ok(failed.length > 0 && failed.every((answer) => kindOf(answer) === 'upstream-failed'));
  const sent = broken.received.length + good.received.length - Number(before[0]) - Number(before[1]);
  assert.equal(sent, 10, 'each once');
});

test('an instance that does not listen is taken out by the first request, which another answers, a write too', async (context) => {
  const good = await instance(context);
  const gone = `http://127.0.0.1:${await getPort({ host: '127.0.0.1' })}`;
  const gateway = await gatewayTo(context, { urls: [gone, good.url], ...never, balance: 'round-robin' });
  for (let index = 0; index < 6; index += 1) assert.equal((await post(gateway, `{"n":${index}}`)).status, 200);
  assert.deepEqual(
    good.received.map(({ body }) => body.toString()).toSorted(),
    [0, 1, 2, 3, 4, 5].map((n) => `{"n":${n}}`),
  );
  assert.deepEqual(
    (await shown(gateway)).map(({ state }) => state),
    ['out', 'in'],
  );
});

test('an instance whose check fails gets no requests until it passes; where all fail they are asked nevertheless', async (context) => {
  let [first, second] = [200, 200];
  const one = await instance(context, { ready: () => first });
  const two = await instance(context, { ready: () => second });
  const gateway = await gatewayTo(context, { urls: [one.url, two.url], ...quick });
  first = 503;
  await eventually(
    () => shown(gateway),
    ([own]) => own?.state === 'out',
  );
  const before = one.received.length;
  for (let index = 0; index < 6; index += 1) assert.equal((await get(gateway, '/v1/a')).status, 200);
  assert.equal(one.received.length, before);
  assert.match((await shown(gateway))[0]?.reason ?? '', /\/readyz answers 503/);
  assert.equal((await get(gateway, '/readyz')).status, 200);
  second = 503;
  await eventually(
    () => shown(gateway),
    (all) => all.every(({ state }) => state === 'out'),
  );
  assert.equal((await get(gateway, '/v1/a')).status, 200);
  assert.equal((await get(gateway, '/readyz')).status, 503);
  assert.match((await get({ url: gateway.monitoringUrl }, '/metrics')).text, /cdc_gateway_instances\{upstream="api",state="out"\} 2/);
  first = 200;
  await eventually(
    () => shown(gateway),
    ([own]) => own?.state === 'in',
  );
  await get(gateway, '/v1/a');
  assert.ok(one.received.length > before);
});

test('where no instance can be reached the answer is 503, at once', async (context) => {
  const gone = `http://127.0.0.1:${await getPort({ host: '127.0.0.1' })}`;
  const gateway = await gatewayTo(context, { urls: [gone], ...never });
  const answer = await get(gateway, '/v1/a');
  assert.deepEqual([answer.status, kindOf(answer), answer.headers.get('retry-after')], [503, 'upstream-unavailable', '1']);
});

test('an instance that takes too long gives 504; one that falls silent in its answer is cut off', async (context) => {
  const silent = await instance(context, {
    answer: ({ url }, response) => {
      if (url === '/v1/half') response.write('half');
    },
  });
  const gateway = await gatewayTo(context, { urls: [silent.url], ...never, answerTimeoutMs: 300, idleTimeoutMs: 300 });
  const answer = await get(gateway, '/v1/a');
  assert.deepEqual([answer.status, kindOf(answer)], [504, 'upstream-timeout']);
  await assert.rejects(get(gateway, '/v1/half'));
  assert.equal(silent.received.length, 2, 'neither is tried again');
});

test('an instance has as many open requests as it may; a client that leaves makes room', async (context) => {
  let left = 0;
  const answer: OwnInstanceOptions['answer'] = ({ url }, response) => {
    if (url === '/v1/slow') response.once('close', () => (left += 1));
    else response.end('quick');
  };
  const slow = await instance(context, { answer });
  const gateway = await gatewayTo(context, { urls: [slow.url], ...never, pendingMost: 2, answerTimeoutMs: 3_600_000 });
  const clients = [1, 2].map(() => new AbortController());
  const waiting = clients.map(({ signal }) => fetch(`${gateway.url}/v1/slow`, { signal }).catch(() => null));
  await eventually(
    () => Promise.resolve(slow.received.length),
    (seen) => seen === 2,
  );
  const busy = await get(gateway, '/v1/quick');
  assert.deepEqual([busy.status, kindOf(busy)], [503, 'upstream-busy']);
  for (const client of clients) client.abort();
  await Promise.all(waiting);
  // The instance works on for nobody.
  await eventually(
    () => Promise.resolve(left),
    (count) => count === 2,
  );
  await eventually(
    () => get(gateway, '/v1/quick'),
    ({ status }) => status === 200,
  );
  await eventually(
    () => shown(gateway),
    ([own]) => own?.pending === 0,
  );
});

test('the query API killed and back: no read fails, and it takes requests again', async (context) => {
  const scene = await createQueryApiScene();
  context.after(() => scene[Symbol.asyncDispose]());
  const ports = await Promise.all([getPort({ host: '127.0.0.1' }), getPort({ host: '127.0.0.1' })]);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const children = await Promise.all(ports.map((port) => startApi(context, scene, port)));
  const gateway = await gatewayTo(context, { urls, ...quick });
  const isIn = (): Promise<unknown> =>
    eventually(
      () => shown(gateway),
      (all) => all.every(({ state }) => state === 'in'),
    );
  await eventually(
    () => get(gateway, '/v1/customers'),
    ({ status }) => status === 200,
  );
  await isIn();
  const over = new AbortController();
  const statuses = new Map<number, number>();
  const load = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) {
      const { status } = await get(gateway, '/v1/customers?limit=1');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  });
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const [child] = children;
    assert.ok(child);
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    await eventually(
      () => shown(gateway),
      ([own]) => own?.state === 'out',
    );
    children[0] = await startApi(context, scene, ports[0]);
    await isIn();
    const { text } = await get({ url: urls[0] ?? '' }, '/metrics');
    await eventually(
      () => get({ url: urls[0] ?? '' }, '/metrics'),
      (now) => answered(now.text) > answered(text),
    );
  }
  over.abort();
  await Promise.all(load);
  assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]));
});

/** The query API as a process of its own. */
async function startApi(context: TestContext, scene: QueryApiScene, port = 0): Promise<ChildProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-gateway-'));
  const file = join(folder, 'pipeline.json');
  await writeFile(file, JSON.stringify(scene.config({ http: { port } })));
  const cli = new URL('../../cli.ts', import.meta.url).pathname;
  const args = [...nodeFlags, cli, '--config', file, 'services', 'start', '--only', 'query-api'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  context.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await rm(folder, { recursive: true, force: true });
  });
  return child;
}

test('instances by DNS: those that a name has now get the requests; while the server is silent the last ones stay', async (context) => {
  const name = 'api.services.test';
  const one = await instance(context, { host: '127.0.0.2' });
  const two = await instance(context, { host: '127.0.0.3', port: one.port });
  const dns = await startDnsServer({ [name]: { addresses: ['127.0.0.2'] } });
  context.after(() => dns[Symbol.asyncDispose]());
  const gateway = await gatewayTo(context, { dns: { name, port: one.port, servers: [dns.address], refreshMs: 100 }, ...quick });
  const urls = async (): Promise<string> => (await shown(gateway)).map(({ url }) => url).join(' ');
  assert.equal(await urls(), one.url);
  assert.equal((await get(gateway, '/v1/a')).status, 200);
  dns.serve({ [name]: { addresses: ['127.0.0.2', '127.0.0.3'] } });
  await eventually(urls, (now) => now === `${one.url} ${two.url}`);
  dns.serve({ [name]: { addresses: ['127.0.0.3'] } });
  await eventually(urls, (now) => now === two.url);
  const before = one.received.length;
  for (let index = 0; index < 4; index += 1) assert.equal((await get(gateway, '/v1/a')).status, 200);
  assert.deepEqual([one.received.length, two.received.length], [before, 4]);
  dns.serve(null);
  await eventually(
    () => Promise.resolve(log),
    (now) => now.includes('DNS gives no answer'),
  );
  assert.equal(await urls(), two.url);
  assert.equal((await get(gateway, '/v1/a')).status, 200);
  dns.serve({});
  await eventually(urls, (now) => now === '');
  const answer = await get(gateway, '/v1/a');
  assert.deepEqual([answer.status, kindOf(answer)], [503, 'upstream-unavailable']);
  dns.serve({ [name]: { addresses: ['127.0.0.2'] } });
  await eventually(urls, (now) => now === one.url);
  assert.equal((await get(gateway, '/v1/a')).status, 200);
});

test('instances by SRV: each with its port, those of the first priority', async (context) => {
  const [one, two, spare] = [await instance(context), await instance(context), await instance(context)];
  const targets = { 'node.test': { addresses: ['127.0.0.1'] } };
  const srv = [one, two].map(({ port }) => ({ target: 'node.test', port, priority: 1 }));
  const dns = await startDnsServer({
    ...targets,
    '_http._tcp.api.test': { srv: [...srv, { target: 'node.test', port: spare.port, priority: 2 }] },
  });
  context.after(() => dns[Symbol.asyncDispose]());
  const asked = { name: '_http._tcp.api.test', type: 'srv', servers: [dns.address], refreshMs: 100 };
  const gateway = await gatewayTo(context, { dns: asked, ...quick, balance: 'round-robin' });
  for (let index = 0; index < 6; index += 1) assert.equal((await get(gateway, '/v1/a')).status, 200);
  assert.deepEqual([one.received.length, two.received.length, spare.received.length], [3, 3, 0]);
  dns.serve({ ...targets, '_http._tcp.api.test': { srv: [{ target: 'node.test', port: spare.port }] } });
  await eventually(
    () => shown(gateway),
    ([own, ...more]) => own?.url === spare.url && more.length === 0,
  );
  assert.equal((await get(gateway, '/v1/a')).status, 200);
  assert.equal(spare.received.length, 1);
});

test('a huge body is refused before it is read, a slow one before an instance sees it', async (context) => {
  const own = await instance(context);
  const gateway = await gatewayTo(context, { urls: [own.url], ...never }, { bodyLimitBytes: 1000, requestTimeoutMs: 500 });
  assert.equal((await post(gateway, 'x'.repeat(1000))).status, 200);
  const before = own.received.length;
  const large = await post(gateway, 'x'.repeat(1001));
  assert.deepEqual([large.status, kindOf(large)], [413, 'request-too-large']);
  const declared = await send(gateway, { 'content-length': String(10 ** 12) }, () => undefined);
  assert.match(declared, /^HTTP\/1\.1 413[\s\S]*request-too-large/);
  const endless = await send(gateway, { 'transfer-encoding': 'chunked' }, (write) => write('x'.repeat(2000)));
  assert.match(endless, /^HTTP\/1\.1 413/);
  const slow = await send(gateway, { 'content-length': '100' }, (write) => write('x'));
  assert.match(slow, /^HTTP\/1\.1 408[\s\S]*request-timeout/);
  assert.equal(own.received.length, before);
});

/** Sends the head of a POST, and a body that never ends. Resolves with all that came back. */
async function send(
  gateway: RunningService,
  headers: Readonly<Record<string, string>>,
  body: (write: (text: string) => void) => void,
): Promise<string> {
  const asked = request(`${gateway.url}/v1/things`, { method: 'POST', headers });
  asked.on('error', () => undefined);
  asked.flushHeaders();
  body((text) => asked.write(text));
  const [response] = await once(asked, 'response');
  response.setEncoding('utf8');
  let text = `HTTP/1.1 ${response.statusCode}\n`;
  response.on('data', (part: string) => (text += part));
  response.on('error', () => undefined);
  await once(response, 'close');
  asked.destroy();
  return text;
}

/** Lists that a query API has answered. */
function answered(metrics: string): number {
  return Number(/cdc_query_api_requests_total\{route="\/v1\/\{table\}"[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
}
