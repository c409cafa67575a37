import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify, inspect } from 'node:util';
import { openRegistry } from '#change-events/index.ts';
import { RegistryAnswer } from '#change-events/registry/requests.ts';

/** Which of the registry's client and Avro's libraries are loaded: all of them are CommonJS. */
const loaded = `Object.keys(createRequire(import.meta.url).cache).filter((path) => /node_modules.(?:@confluentinc|avsc|axios)/.test(path)).length`;

async function inOwnProcess(script: string): Promise<string> {
  const code = `import { createRequire } from 'node:module'; ${script}`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', code],
    {
      cwd: new URL('../..', import.meta.url).pathname,
    },
  );
  return stdout.trim();
}

test('topics of JSON never load the registry’s client, nor does a decoder that has a registry; the first schema does', async () => {
  const script = `
    import { eventDecoder, frameOf } from '#change-events/index.ts';
    await import('#read-model/index.ts');
    await import('#comparison/index.ts');
    const decoder = eventDecoder({ url: 'http://127.0.0.1:1', requestTimeoutMs: 1000 });
    const place = { topic: 't', partition: 0, offset: '0' };
    const message = { key: Buffer.from('{"id":1}'), value: Buffer.from('{"after":{},"source":{"connector":"c","name":"n","db":"d","schema":"s","table":"t"},"op":"c"}') };
    const waited = decoder.prepare([message]);
    decoder.decodeKey(message.key, place);
    decoder.decodeRowChange(message.value, place);
    const before = ${loaded};
    await decoder.prepare([{ key: null, value: frameOf(1) }]).catch((error) => error.code).then((code) => console.log(waited, before, code, ${loaded} > 0));`;
  assert.equal(await inOwnProcess(script), 'undefined 0 REGISTRY_UNREACHABLE true');
});

/** A server that answers everything alike: what a registry says when something is wrong with it. */
async function answering(status: number, body: string): Promise<AsyncDisposable & { readonly url: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    if (status === 0) return;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}/apis`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const failures: readonly (readonly [status: number, body: string, code: string, text: RegExp])[] = [
  [0, '', 'REGISTRY_UNREACHABLE', /no answer within 1000 ms/],
  [500, '{"error_code":50001,"message":"store"}', 'REGISTRY_UNREACHABLE', /answered 500 \(store\)/],
  [503, '<html>', 'REGISTRY_UNREACHABLE', /answered 503/],
  [404, '<html>not here</html>', 'REGISTRY_UNREACHABLE', /answered 404/],
  [404, '{"error_code":404,"message":"no such path"}', 'REGISTRY_UNREACHABLE', /no such path/],
  [200, '<html>a login page</html>', 'REGISTRY_UNREACHABLE', /not as a schema registry does/],
  [401, '{"error_code":40101,"message":"who are you"}', 'REGISTRY_REFUSED', /who are you/],
  [401, '"Not authenticated"', 'REGISTRY_REFUSED', /\(401\): no reason given$/],
  [403, '{"error_code":40301,"message":"not you"}', 'REGISTRY_REFUSED', /not you/],
];

for (const [status, body, code, text] of failures) {
  test(`a registry that ${status === 0 ? 'hangs' : `answers ${status} ${body}`} is ${code}, at once, and no secret is told`, async () => {
    await using server = await answering(status, body);
    const url = new URL(server.url);
    url.username = 'anna';
    url.password = 'geheim';
    const registry = openRegistry({
      url: url.href,
      username: 'berta',
      password: 'topsecret',
      requestTimeoutMs: status === 0 ? 1000 : 20_000,
    });
    const error: unknown = await registry.schemaOf(5).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.match(error.message, new RegExp(server.url));
    assert.doesNotMatch(inspect(error, { depth: 20 }), /geheim|topsecret|Z2VoZWlt|dG9wc2VjcmV0/);
    // The client's own errors may carry the request, login and all, in any version of it: none goes on, also where it is harmless today.
    assert.deepEqual(
      causesOf(error).filter((cause) => !(cause instanceof RegistryAnswer)),
      [],
    );
    assert.equal(server.requests.length, 1, 'asked once, and not again');
  });
}

function causesOf(error: Error): readonly unknown[] {
  if (error.cause === undefined) return [];
  return [error.cause, ...(error.cause instanceof Error ? causesOf(error.cause) : [])];
}

test('a registry that compares with one version at a time (Karapace) is asked for the newest', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url?.includes('/versions/latest') === true) response.end('{"is_compatible":false,"messages":["reader is longer"]}');
    else response.writeHead(404).end('{"detail":"Not Found"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    const registry = openRegistry({ url: `http://127.0.0.1:${address.port}`, requestTimeoutMs: 5000 });
    assert.deepEqual(await registry.check('s', { schemaType: 'AVRO', schema: '"int"' }), ['reader is longer']);
    assert.equal(asked.length, 2);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a login goes with each request; an abort ends it with its own reason; unknown ids and subjects are no errors', async () => {
  await using server = await answering(404, '{"error_code":40403,"message":"Schema not found"}');
  const registry = openRegistry({ url: server.url, username: 'berta', password: 'topsecret', requestTimeoutMs: 10_000 });
  assert.deepEqual([await registry.schemaOf(5), await registry.latest('a/b'), await registry.versions('s')], [null, null, []]);
  const login = `Basic ${Buffer.from('berta:topsecret').toString('base64')}`;
  assert.deepEqual(server.requests, [
    `GET /apis/schemas/ids/5 ${login}`,
    `GET /apis/subjects/a%2Fb/versions/latest ${login}`,
    `GET /apis/subjects/s/versions ${login}`,
  ]);
  await using silent = await answering(0, '');
  const stop = new AbortController();
  const asked = openRegistry({ url: silent.url, requestTimeoutMs: 10_000 }).schemaOf(1, stop.signal);
  setTimeout(() => stop.abort(new Error('enough')), 100);
  await assert.rejects(asked, /enough/);
});

test('over TLS: a registry whose certificate no trusted CA signed is refused, one of a CA of ours is asked with our certificate', async () => {
  const folder = join(import.meta.dirname, '..', 'fixtures', 'tls');
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  const seen: unknown[] = [];
  const server = createTlsServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    seen.push(request.socket instanceof TLSSocket ? request.socket.authorized : undefined);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"schema":"\\"long\\""}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const url = `https://127.0.0.1:${address.port}`;
  try {
    await assert.rejects(openRegistry({ url, requestTimeoutMs: 5000 }).schemaOf(1), {
      code: 'REGISTRY_UNREACHABLE',
      message: /certificate/,
    });
    const tls = { rejectUnauthorized: true, caFile: certFile, certFile, keyFile };
    assert.equal((await openRegistry({ url, requestTimeoutMs: 5000, tls }).schemaOf(1))?.schema, '"long"');
    assert.deepEqual(seen, [true]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
