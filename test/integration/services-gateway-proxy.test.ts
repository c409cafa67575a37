import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { silentLogger } from '#pipeline/index.ts';
import { startGateway, type RunningService } from '#services/index.ts';
import { openStream } from '#test/support/event-stream.ts';
import { gatewayConfig, kindOf } from '#test/support/gateway.ts';
import { startInstance, type OwnInstance } from '#test/support/instance.ts';
import { get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

type Settings = Readonly<Record<string, unknown>>;

/** Parts of an answer that are sent when the test says so. */
const parts: ((text: string | null) => void)[] = [];
let own: OwnInstance;
let gateway: RunningService;

before(async () => {
  own = await startInstance({
    answer: ({ url }, response) => {
      response
        .setHeader('set-cookie', 'cdc_session=stolen')
        .setHeader('x-powered-by', 'us')
        .setHeader('connection', 'x-hop')
        .setHeader('x-hop', '1');
      response.setHeader('etag', 'W/"1"').setHeader('link', '</v1/things?cursor=x>; rel="next"');
      if (url.startsWith('/v1/live')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 1000\n\n');
        parts.push((text) => void (text === null ? response.end() : response.write(text)));
      } else if (url === '/v1/slow') parts.push((text) => void response.end(text));
      else response.end('{}');
    },
  });
  gateway = await start();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});

function start(settings: Settings = {}): Promise<RunningService> {
  const config = gatewayConfig({
    http: { port: 0 },
    monitoring: { port: 0 },
    auth: 'none',
    rateLimit: { requests: 0 },
    upstreams: { api: { urls: [own.url], health: { intervalMs: 3_600_000 } } },
    routes: [
      { prefix: '/v1', upstream: 'api' },
      { prefix: '/v1/orders/', methods: ['POST', 'DELETE'], upstream: 'api' },
    ],
    ...settings,
  });
  return startGateway({ config, logger: silentLogger, signal: new AbortController().signal });
}

const last = (): OwnInstance['received'][number] => own.received.at(-1) ?? assert.fail('nothing was received');

test('paths and queries go on as they are', async () => {
  for (const path of ['/v1/a%2Fb/c%20d', '/v1/x//y', '/v1/orders?cursor=a%2Bb&x=%26', '/v1/%C3%A4', '/v1']) {
    assert.equal((await get(gateway, path)).status, 200, path);
    assert.equal(last().url, path);
  }
});

test('a path that leaves its prefix is refused', async () => {
  const earlier = own.received.length;
  for (const path of ['/v1/../status', '/v1/%2e%2e/status', '/v1/..%2fstatus', '/v1/a/..%5c..%5cstatus', '/v1/%', '/v1/x/../../readyz'])
    assert.match(
      await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
      /^HTTP\/1\.1 40[04] [\s\S]*urn:cdc:problem:/,
      path,
    );
  assert.equal(own.received.length, earlier);
});

async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  socket.write(text);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
  await once(socket, 'close');
  return answer;
}

test('what is no route is 404, another method 405', async () => {
  const nothing = await get(gateway, '/v2/a');
  assert.deepEqual([nothing.status, kindOf(nothing)], [404, 'not-found']);
  for (const [path, allow] of [
    ['/v1/customers', 'GET, HEAD'],
    ['/v1/orders/1', 'GET, HEAD, POST, DELETE'],
  ]) {
    const response = await fetch(`${gateway.url}${path}`, { method: 'PATCH', body: '{}' });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, allow]);
    await response.body?.cancel();
  }
});

test('an instance gets who asked, by which way and under which name, and nothing of the connection or of cookies', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const sent = {
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-host': 'evil.test',
    'x-forwarded-proto': 'https',
    forwarded: 'for=6.6.6.6',
    'x-real-ip': '6.6.6.6',
    cookie: 'cdc_session=secret',
    'x-csrf-token': 'secret',
    'x-request-id': 'from-the-caller',
    traceparent,
    tracestate: 'a=1',
    connection: 'keep-alive, x-mine',
    'x-mine': '1',
    te: 'trailers',
    accept: 'application/json',
    'if-none-match': 'W/"1"',
    'last-event-id': '7',
  };
  const asked = request(`${gateway.url}/v1/things`, { headers: sent }).end();
  const [response] = await once(asked, 'response');
  response.resume();
  const { headers } = last();
  const port = new URL(gateway.url).host;
  const seen = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'connection'));
  assert.deepEqual(seen, {
    host: new URL(own.url).host,
    accept: 'application/json',
    'if-none-match': 'W/"1"',
    'last-event-id': '7',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': port,
    'x-forwarded-proto': 'http',
    'x-request-id': 'from-the-caller',
    traceparent,
    tracestate: 'a=1',
  });
  const back = response.headers;
  assert.deepEqual([back['x-request-id'], back.etag, back.link], ['from-the-caller', 'W/"1"', '</v1/things?cursor=x>; rel="next"']);
  assert.deepEqual([back['set-cookie'], back['x-powered-by'], back['x-hop']], [undefined, undefined, undefined]);
});

test('names that are missing or malformed are made', async () => {
  for (const sent of [
    {},
    { 'x-request-id': 'a b\u00e9', traceparent: '00-0-0-00', tracestate: 'a=1' },
    { traceparent: `00-${'0'.repeat(32)}-${'1'.repeat(16)}-00` },
  ]) {
    const { headers } = await get(gateway, '/v1/a', sent);
    const received = last().headers;
    assert.match(String(received['x-request-id']), /^[\da-f-]{36}$/);
    assert.equal(headers.get('x-request-id'), received['x-request-id']);
    assert.match(String(received['traceparent']), /^00-[\da-f]{32}-[\da-f]{16}-00$/);
    assert.doesNotMatch(String(received['traceparent']), /^00-0{32}/);
    assert.equal(received['tracestate'], undefined);
  }
});

test('a proxy in front is believed if it is trusted', async () => {
  await using behind = await start({ trustedProxies: ['127.0.0.1'] });
  await get(behind, '/v1/a', { 'x-forwarded-for': '6.6.6.6, 7.7.7.7', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'orders.test' });
  const { headers } = last();
  assert.deepEqual(
    [headers['x-forwarded-for'], headers['x-forwarded-proto'], headers['x-forwarded-host']],
    ['7.7.7.7, 127.0.0.1', 'https', 'orders.test'],
  );
});

test('a live stream comes part by part; it ends when its client goes, and when the gateway ends', async () => {
  const short = await start({ endWithinMs: 25_000 });
  const streams = [await openStream(`${short.url}/v1/live`), await openStream(`${short.url}/v1/live`)];
  const [one, two] = streams;
  assert.ok(one && two);
  await eventually(
    () => Promise.resolve(parts.length),
    (count) => count === 2,
  );
  for (const write of parts) write('event: row\nid: 1\ndata: {}\n\n');
  for (const stream of streams) await stream.until((events) => events.length === 1);
  for (const write of parts) write('event: row\nid: 2\ndata: {}\n\n');
  for (const stream of streams) await stream.until((events) => events.length === 2);
  const pending = async (): Promise<number> =>
    Number(/cdc_gateway_requests_pending\{upstream="api"\} (\d+)/.exec((await get({ url: short.monitoringUrl }, '/metrics')).text)?.[1]);
  assert.equal(await pending(), 2);
  one[Symbol.dispose]();
  await eventually(pending, (count) => count === 1);
  // A request that runs holds the end up, the stream does not.
  const slow = get(short, '/v1/slow');
  await eventually(pending, (count) => count === 2);
  const ended = short[Symbol.asyncDispose]();
  await eventually(
    () => Promise.resolve(two.ended),
    (isOver) => isOver,
  );
  parts.at(-1)?.('the answer');
  assert.equal((await slow).text, 'the answer');
  await ended;
  parts.length = 0;
});

test('a request that runs when the gateway ends is answered', async () => {
  const short = await start();
  const answer = get(short, '/v1/slow');
  await eventually(
    () => Promise.resolve(parts.length),
    (count) => count === 1,
  );
  const ended = short[Symbol.asyncDispose]();
  parts[0]?.('the answer');
  assert.equal((await answer).text, 'the answer');
  await ended;
  await assert.rejects(get(short, '/livez'));
});

test('a client that asks too often gets 429', async () => {
  await using strict = await start({ rateLimit: { requests: 3, windowMs: 60_000 } });
  const statuses = [];
  for (let index = 0; index < 5; index += 1) statuses.push((await get(strict, '/v1/a')).status);
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  assert.equal((await get(strict, '/livez')).status, 200);
});

test('status and metrics are on a port of their own, and say what the gateway knows', async () => {
  for (const path of ['/status', '/metrics']) assert.equal((await get(gateway, path)).status, 404);
  for (const path of ['/livez', '/readyz']) assert.equal((await get(gateway, path)).status, 200);
  const status: unknown = JSON.parse((await get({ url: gateway.monitoringUrl }, '/status')).text);
  assert.deepEqual(status, {
    ready: true,
    reasons: [],
    auth: 'none',
    providerKnown: null,
    sessions: 0,
    upstreams: { api: [{ url: own.url, pending: 0, state: 'in', reason: null }] },
  });
  const { text } = await get({ url: gateway.monitoringUrl }, '/metrics');
  assert.match(text, /cdc_gateway_requests_total\{route="\/v1\/\*",status="200"\} \d+/);
  assert.match(text, /cdc_gateway_upstream_tries_total\{upstream="api",outcome="answered"\} \d+/);
});

test('every answer has the headers that keep a browser from doing more than it should', async () => {
  for (const path of ['/v1/a', '/nothing', '/livez']) {
    const { headers } = await get(gateway, path);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(headers.get('content-security-policy') ?? '', /unsafe/);
    assert.deepEqual([headers.get('x-content-type-options'), headers.get('referrer-policy')], ['nosniff', 'no-referrer']);
    assert.equal(headers.get('access-control-allow-origin'), null);
  }
});
