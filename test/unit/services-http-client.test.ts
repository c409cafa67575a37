import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { test } from 'node:test';
import * as z from 'zod';
import { silentLogger } from '#pipeline/index.ts';
import { CallFailed, type Call } from '#services/http-client/call.ts';
import { createHttpClient, type HttpClientSettings } from '#services/http-client/client.ts';
import { parseRetryAfter, retryIn } from '#services/http-client/retry.ts';
import { contextOf, requestIdOf } from '#services/http/request-ids.ts';

type Other = AsyncDisposable & { readonly url: string; readonly seen: readonly IncomingMessage[] };

async function otherService(answer: RequestListener, port = 0): Promise<Other> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return {
    url,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const settings: Omit<HttpClientSettings, 'url'> = {
  timeoutMs: 5000,
  concurrent: 10,
  queue: 10,
  failures: 100,
  probeAfterMs: 20,
  attempts: 3,
  retryDelayMs: 1,
  retryAfterMostMs: 2000,
  maxAnswerBytes: 1000,
};
const answer = z.object({ ok: z.literal(true) });
const context = { requestId: 'r-1', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'v=1' };
const call = (more: Partial<Call<{ ok: true }>> = {}): Call<{ ok: true }> => ({
  method: 'GET',
  path: '/x?y=1',
  answer,
  context,
  signal: new AbortController().signal,
  ...more,
});
const good = '{"ok":true}';

async function failure(work: Promise<unknown>): Promise<CallFailed> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CallFailed) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'no failure' });
}

test('a call passes on the request id, the trace context and its own headers', async () => {
  await using other = await otherService((_request, response) => response.end(good));
  const client = createHttpClient('other', { ...settings, url: `${other.url}/base/` }, silentLogger);
  const { status, body } = await client.call(call({ headers: { authorization: 'Bearer t' } }));
  assert.deepEqual([status, body], [200, { ok: true }]);
  const [request] = other.seen;
  assert.ok(request);
  const { url } = request;
  const { 'x-request-id': id, traceparent, tracestate, authorization } = request.headers;
  assert.deepEqual([url, id, traceparent, tracestate, authorization], ['/base/x?y=1', 'r-1', context.traceparent, 'v=1', 'Bearer t']);
});

test('methods that may be repeated are asked again, others once; a refusal is not asked again', async () => {
  let status = 503;
  await using other = await otherService((_request, response) => response.writeHead(status).end('{}'));
  const client = createHttpClient('other', { ...settings, url: other.url }, silentLogger);
  const asked = async (method: Call<unknown>['method']): Promise<number> => {
    const before = other.seen.length;
    const { kind, status: got } = await failure(client.call(call({ method })));
    assert.deepEqual([kind, got], ['status', status]);
    return other.seen.length - before;
  };
  assert.deepEqual(
    [await asked('GET'), await asked('PUT'), await asked('DELETE'), await asked('POST'), await asked('PATCH')],
    [3, 3, 3, 1, 1],
  );
  for (status of [400, 404, 409, 500, 302]) assert.equal(await asked('GET'), 1, String(status));
});

test('an answer that comes at the second try is given', async () => {
  await using other = await otherService((_request, response) => {
    if (other.seen.length === 1) response.writeHead(503, { 'retry-after': '0' }).end();
    else response.end(good);
  });
  const client = createHttpClient('other', { ...settings, url: other.url }, silentLogger);
  assert.deepEqual((await client.call(call())).body, { ok: true });
});

test('an answer that is too large, no JSON or another thing is a failure; so is a redirect, which is not followed', async () => {
  let body = '';
  let status = 200;
  await using other = await otherService((_request, response) => response.writeHead(status, { location: '/elsewhere' }).end(body));
  const client = createHttpClient('other', { ...settings, url: other.url }, silentLogger);
  for (body of ['{', '{"ok":false}', '', `{"ok":true,"more":"${'x'.repeat(2000)}"}`]) {
    const { kind, message } = await failure(client.call(call()));
    assert.equal(kind, 'answer-invalid', body.slice(0, 20));
    assert.ok(!message.includes('xx'));
  }
  status = 307;
  assert.equal((await failure(client.call(call()))).status, 307);
  assert.ok(other.seen.every(({ url }) => url === '/x?y=1'));
});

test('a service that is away opens the breaker: calls then fail without being sent', async () => {
  const other = await otherService((_request, response) => response.end(good));
  const port = Number(new URL(other.url).port);
  await other[Symbol.asyncDispose]();
  const client = createHttpClient('other', { ...settings, url: other.url, failures: 2, attempts: 1, probeAfterMs: 60_000 }, silentLogger);
  assert.deepEqual([(await failure(client.call(call()))).kind, (await failure(client.call(call()))).kind], ['unreachable', 'unreachable']);
  assert.equal(client.guard.figures.state, 'open');
  await using back = await otherService((_request, response) => response.end(good), port);
  assert.equal((await failure(client.call(call()))).kind, 'open');
  assert.equal(back.seen.length, 0);
});

test('while a probe runs, others are refused at once; when it succeeds, the breaker is closed', async () => {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  let fails = true;
  await using other = await otherService((_request, response) => {
    if (fails) response.writeHead(500).end();
    else void go.promise.then(() => response.end(good));
    if (!fails) arrived.resolve();
  });
  const client = createHttpClient('other', { ...settings, url: other.url, failures: 1, attempts: 1, probeAfterMs: 10 }, silentLogger);
  await failure(client.call(call()));
  fails = false;
  while (client.guard.isOpen) await new Promise(setImmediate);
  const leaves = new AbortController();
  const probe = client.call(call({ signal: leaves.signal }));
  await arrived.promise;
  assert.equal((await failure(client.call(call()))).kind, 'open');
  assert.deepEqual([client.guard.figures.state, other.seen.length], ['half-open', 2]);
  // Who asked goes: the probe goes on, and counts.
  leaves.abort();
  await assert.rejects(probe, { name: 'AbortError' });
  assert.equal(client.guard.figures.state, 'half-open');
  go.resolve();
  while (client.guard.figures.state === 'half-open') await new Promise(setImmediate);
  assert.equal(client.guard.figures.state, 'closed');
});

test('a service that does not answer in time is a failure of it; a caller who goes is not', async () => {
  await using other = await otherService(() => undefined);
  const client = createHttpClient('other', { ...settings, url: other.url, failures: 1, attempts: 1, timeoutMs: 50 }, silentLogger);
  assert.equal((await failure(client.call(call()))).kind, 'timeout');
  assert.equal(client.guard.figures.state, 'open');
  const patient = createHttpClient('other', { ...settings, url: other.url, failures: 1 }, silentLogger);
  const leaves = new AbortController();
  const before = other.seen.length;
  const waiting = patient.call(call({ signal: leaves.signal }));
  while (other.seen.length === before) await new Promise(setImmediate);
  leaves.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  assert.deepEqual([patient.guard.figures.state, other.seen.length], ['closed', before + 1]);
});

test('more calls than places: some wait, others are refused at once', async () => {
  const go = Promise.withResolvers<void>();
  await using other = await otherService((_request, response) => void go.promise.then(() => response.end(good)));
  const client = createHttpClient('other', { ...settings, url: other.url, concurrent: 1, queue: 1 }, silentLogger);
  const [first, second] = [client.call(call()), client.call(call())];
  while (other.seen.length === 0) await new Promise(setImmediate);
  assert.equal((await failure(client.call(call()))).kind, 'busy');
  go.resolve();
  assert.deepEqual([(await first).status, (await second).status, client.guard.figures.refused.busy], [200, 200, 1]);
});

function failed(retryAfterMs: number | null): CallFailed {
  return new CallFailed('status', '', { status: 503, retryAfterMs });
}

test('Retry-After is waited for within the bound, with a random part on top; beyond the bound nobody asks again', () => {
  const rule = { attempts: 3, retryDelayMs: 100, retryAfterMostMs: 2000 };
  assert.equal(retryIn('GET', failed(1000), 1, rule, 0), 1000);
  assert.equal(retryIn('GET', failed(1000), 1, rule, 0.5), 1050);
  assert.equal(retryIn('GET', failed(null), 2, rule, 1), 200);
  assert.equal(retryIn('GET', failed(2001), 1, rule, 0), null);
  assert.equal(retryIn('GET', failed(null), 3, rule, 0), null);
  for (const kind of ['open', 'busy', 'answer-invalid'] as const) assert.equal(retryIn('GET', new CallFailed(kind, ''), 1, rule, 0), null);
  const now = Date.parse('2026-12-02T00:00:00Z');
  assert.deepEqual(
    ['3', 'Wed, 02 Dec 2026 00:00:05 GMT', 'Tue, 01 Dec 2026 00:00:00 GMT', 'soon', null].map((text) => parseRetryAfter(text, now)),
    [3000, 5000, 0, null, null],
  );
});

test('a request id or trace context of another form is not passed on', () => {
  assert.match(requestIdOf({ headers: { 'x-request-id': 'a b\n' } }), /^[\da-f-]{36}$/);
  assert.equal(requestIdOf({ headers: { 'x-request-id': 'a:b/1' } }), 'a:b/1');
  assert.deepEqual(contextOf({ id: 'r', headers: { traceparent: 'x', tracestate: 'v=1' } }), {
    requestId: 'r',
    traceparent: null,
    tracestate: null,
  });
});
