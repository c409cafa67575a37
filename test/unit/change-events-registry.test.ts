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
import { openRegistry, type Registry } from '#change-events/index.ts';
import { clientPackage, RegistryAnswer } from '#change-events/registry/requests.ts';

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

test('the client is the public one of Confluent’s package', async () => {
  const { SchemaRegistryClient, RestError, Compatibility } = await import('@confluentinc/schemaregistry');
  assert.deepEqual(await clientPackage(), { SchemaRegistryClient, Compatibility, RestError });
});

const json = { 'content-type': 'application/json' };

/** A server that answers everything alike: what a registry says when something is wrong with it. */
async function answering(status: number, body: string): Promise<AsyncDisposable & { readonly url: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    if (status === 0) return;
    response.writeHead(status, json).end(body);
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
  [500, '{"error_code":50001,"message":"store"}', 'REGISTRY_UNREACHABLE', /answered 500 \(store; /],
  [503, '<html>', 'REGISTRY_UNREACHABLE', /answered 503/],
  [404, '<html>not here</html>', 'REGISTRY_UNREACHABLE', /answered 404/],
  [404, '{"error_code":404,"message":"no such path"}', 'REGISTRY_UNREACHABLE', /no such path/],
  [200, '<html>a login page</html>', 'REGISTRY_UNREACHABLE', /not as a schema registry does/],
  [401, '{"error_code":40101,"message":"who are you"}', 'REGISTRY_REFUSED', /who are you/],
  [401, '"Not authenticated"', 'REGISTRY_REFUSED', /\(401\): no reason given$/],
  [403, '{"error_code":40301,"message":"not you"}', 'REGISTRY_REFUSED', /not you/],
];

for (const [status, body, code, text] of failures) {
  test(`a registry that ${status === 0 ? 'hangs' : `answers ${status} ${body}`} is ${code}, at once, and no secret is reported`, async () => {
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

/** What a registry with these answers is asked, in order; a path without one is not known to it. */
async function withAnswers(
  answers: Readonly<Record<string, object>>,
  use: (registry: Registry) => Promise<void>,
): Promise<readonly string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(`${request.method} ${path}`);
    const answer = answers[path];
    if (answer === undefined) response.writeHead(404, json).end('{"error_code":40401,"message":"Subject not found"}');
    else response.writeHead(200, json).end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await use(openRegistry({ url: `http://127.0.0.1:${address.port}`, requestTimeoutMs: 20_000 }));
    return asked;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const comparedWith = (version: number): string => `/compatibility/subjects/s/versions/${version}?verbose=true`;
const comparisons = {
  '/subjects/s/versions': [1, 2, 3],
  [comparedWith(3)]: { is_compatible: true },
  [comparedWith(2)]: { is_compatible: false, messages: ['reader is longer'] },
  [comparedWith(1)]: { is_compatible: false, reason: 'another type' },
};
const levels: readonly (readonly [
  what: string,
  answers: Readonly<Record<string, object>>,
  compared: readonly number[],
  reasons: readonly string[],
])[] = [
  ['BACKWARD of its own', { '/config/s': { compatibilityLevel: 'BACKWARD' } }, [3], []],
  [
    'BACKWARD_TRANSITIVE of its own',
    { '/config/s': { compatibilityLevel: 'BACKWARD_TRANSITIVE' } },
    [3, 2, 1],
    ['reader is longer', 'another type'],
  ],
  ['FULL_TRANSITIVE by default', { '/config': { compatibilityLevel: 'FULL_TRANSITIVE' } }, [3, 2, 1], ['reader is longer', 'another type']],
  ['FULL by default', { '/config': { compatibilityLevel: 'FULL' } }, [3], []],
];
for (const [what, answers, compared, reasons] of levels) {
  test(`a schema is compared with what its subject’s level names, and the reasons are the registry’s: ${what}`, async () => {
    const asked = await withAnswers({ ...comparisons, ...answers }, async (registry) => {
      assert.deepEqual(await registry.check('s', { schemaType: 'AVRO', schema: '"int"' }), reasons);
    });
    assert.deepEqual(
      asked.filter((path) => path.startsWith('POST')),
      compared.map((version) => `POST ${comparedWith(version)}`),
    );
  });
}

test('a subject that does not exist takes every schema', async () => {
  await withAnswers({}, async (registry) => {
    assert.deepEqual(await registry.check('s', { schemaType: 'AVRO', schema: '"int"' }), []);
  });
});

test('nothing is kept: each call asks the registry again, and none waits for one before it', async () => {
  const answers: (() => void)[] = [];
  const server = createServer((_, response) => {
    answers.push(() => void response.writeHead(200, json).end('{"schema":"\\"long\\""}'));
    // The first one is answered after the third.
    if (answers.length === 3) for (const answer of answers.toReversed()) answer();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    const registry = openRegistry({ url: `http://127.0.0.1:${address.port}`, requestTimeoutMs: 60_000 });
    const found = await Promise.all([registry.schemaOf(1), registry.schemaOf(1), registry.schemaOf(1)]);
    assert.deepEqual(
      found.map((schema) => schema?.schema),
      ['"long"', '"long"', '"long"'],
    );
    assert.equal(answers.length, 3);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a login goes with each request; an abort ends it with its own reason; unknown ids and subjects are no errors', async () => {
  await using server = await answering(404, '{"error_code":40403,"message":"Schema not found"}');
  const registry = openRegistry({ url: server.url, username: 'berta', password: 'topsecret', requestTimeoutMs: 10_000 });
  assert.deepEqual([await registry.schemaOf(5), await registry.latest('a/b'), await registry.versions('a/b')], [null, null, []]);
  const login = `Basic ${Buffer.from('berta:topsecret').toString('base64')}`;
  assert.deepEqual(server.requests, [
    `GET /apis/schemas/ids/5?subject= ${login}`,
    `GET /apis/subjects/a%2Fb/versions/latest ${login}`,
    `GET /apis/subjects/a%2Fb/versions ${login}`,
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
    response.writeHead(200, json).end('{"schema":"\\"long\\""}');
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
