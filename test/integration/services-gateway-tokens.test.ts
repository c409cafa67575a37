import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { RunningService } from '#services/index.ts';
import { cookieClient, type Got } from '#test/support/cookie-client.ts';
import {
  apiSettings,
  createGatewayParts,
  createGatewayScene,
  kindOf,
  loggedIn,
  programToken,
  type GatewayScene,
} from '#test/support/gateway.ts';
import { startInstance, type OwnInstance } from '#test/support/instance.ts';

let scene: GatewayScene;
let other: RunningService;
let writes: OwnInstance;
let gateway: RunningService;

before(async () => {
  scene = await createGatewayScene();
  const { jwt } = Object(apiSettings(scene));
  other = await scene.apis.start({ auth: 'jwt', jwt: { ...jwt, audience: 'another service' } });
  writes = await startInstance();
  gateway = await scene.start({
    upstreams: { 'query-api': { urls: [scene.api.url] }, other: { urls: [other.url] }, orders: { urls: [writes.url] } },
    routes: [
      { prefix: '/v1', upstream: 'query-api' },
      { prefix: '/v1/orders', upstream: 'other' },
      { prefix: '/v1/orders', methods: ['POST', 'PUT', 'PATCH', 'DELETE'], upstream: 'orders' },
    ],
  });
});
after(async () => {
  await scene[Symbol.asyncDispose]();
  await writes[Symbol.asyncDispose]();
});

const read = (token: string, path = '/v1/customers'): Promise<Got> =>
  cookieClient().ask(`${scene.url}${path}`, { headers: { authorization: `Bearer ${token}` } });

test('a program reads with a token of its own, which goes on as it came', async () => {
  const token = await programToken(scene);
  assert.equal((await read(token)).status, 200);
  const { client } = await loggedIn(scene);
  const answer = await client.ask(`${scene.url}/v1/orders`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{}' });
  assert.equal(answer.status, 200, 'it needs no proof of a page, a session beside it or not');
  const { headers } = writes.received.at(-1) ?? assert.fail();
  assert.deepEqual([headers.authorization, headers.cookie], [`Bearer ${token}`, undefined]);
});

test('any other Authorization goes on too: the services say what they think of it', async () => {
  await cookieClient().ask(`${scene.url}/v1/orders`, { method: 'POST', headers: { authorization: 'Basic YTpi' } });
  assert.equal(writes.received.at(-1)?.headers.authorization, 'Basic YTpi');
});

test('a token that is wrongly signed, of alg none, of another issuer, of another audience is refused', async () => {
  const token = await programToken(scene);
  const [claims, header] = [decodeJwt(token), decodeProtectedHeader(token)];
  const { privateKey } = await generateKeyPair('RS256');
  refused(await read(await new SignJWT(claims).setProtectedHeader({ ...header, alg: 'RS256' }).sign(privateKey)), /signature/);
  refused(await read(new UnsecuredJWT(claims).encode()), /algorithm|not a valid/);
  refused(await read(token, '/v1/orders'), /aud/);
  await using stranger = await createGatewayParts();
  refused(await read(await programToken(stranger)), /no such key|iss/);
});

test('a token that lacks a scope is forbidden', async () => {
  const { status, text } = await read(await programToken(scene, 'monitoring'));
  assert.deepEqual([status, kindOf({ text })], [403, 'forbidden']);
});

test('keys of the provider change: what the new one signed is taken at once, for programs and for people', async () => {
  const old = await programToken(scene);
  const { client } = await loggedIn(scene);
  await scene.provider.rotateKeys(true);
  assert.deepEqual([(await read(await programToken(scene))).status, (await read(old)).status], [200, 200]);
  await scene.provider.rotateKeys(false);
  assert.equal((await read(await programToken(scene))).status, 200);
  refused(await read(old), /no such key/);
  const later = await loggedIn(scene);
  assert.equal((await later.client.ask(`${scene.url}/v1/customers`)).status, 200);
  refused(await client.ask(`${scene.url}/v1/customers`), /no such key/);
});

function refused({ status, headers, text }: Got, why: RegExp): void {
  assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer error="invalid_token"'], text);
  assert.match(text, why);
}

test('a write with a session comes from a page of the gateway, or is refused', async () => {
  const { client, csrfToken } = await loggedIn(scene);
  const earlier = writes.received.length;
  const own = scene.url;
  const tries: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['of nobody knows where', {}],
    ['with the token and of nobody knows where', { 'x-csrf-token': csrfToken }],
    ['of this origin without the token', { origin: own }],
    ['of this site without the token', { 'sec-fetch-site': 'same-origin', origin: own }],
    ['with a token of another session', { origin: own, 'x-csrf-token': (await loggedIn(scene)).csrfToken }],
    ['with an empty token', { origin: own, 'x-csrf-token': '' }],
    ['of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test', 'x-csrf-token': csrfToken }],
    ['of another port', { 'sec-fetch-site': 'same-site', origin: `${own}0`, 'x-csrf-token': csrfToken }],
    [
      'of another origin that calls itself this site',
      { 'sec-fetch-site': 'same-origin', origin: 'https://evil.test', 'x-csrf-token': csrfToken },
    ],
    ['of another origin, from an old browser', { origin: 'https://evil.test', 'x-csrf-token': csrfToken }],
    ['of a sandbox, from an old browser', { origin: 'null', 'x-csrf-token': csrfToken }],
    ['typed into the address bar', { 'sec-fetch-site': 'none', 'x-csrf-token': csrfToken }],
  ];
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const [what, headers] of tries) {
      const answer = await client.ask(`${scene.url}/v1/orders`, { method, headers });
      assert.deepEqual([answer.status, kindOf(answer)], [403, 'cross-site'], `${method} ${what}`);
    }
  }
  assert.equal(writes.received.length, earlier);
  for (const headers of [{ origin: own }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'same-origin', origin: own }]) {
    const sent = { ...headers, 'x-csrf-token': csrfToken, 'content-type': 'application/merge-patch+json' };
    const answer = await client.ask(`${scene.url}/v1/orders/7`, { method: 'PATCH', headers: sent, body: '{"status":"paid"}' });
    assert.equal(answer.status, 200, answer.text);
  }
  const { url, headers, body } = writes.received.at(-1) ?? assert.fail();
  assert.deepEqual([url, body.toString(), headers['content-type']], ['/v1/orders/7', '{"status":"paid"}', 'application/merge-patch+json']);
  assert.deepEqual([headers.cookie, headers['x-csrf-token']], [undefined, undefined]);
  const { sub, aud, scope } = decodeJwt(String(headers.authorization).replace('Bearer ', ''));
  assert.deepEqual([sub, aud, String(scope).split(' ').toSorted()], ['alice', 'urn:cdc:services', ['orders:write', 'read']]);
});

test('a person’s token has no more rights than the person', async () => {
  const { client, csrfToken } = await loggedIn(scene, 'bob');
  await client.ask(`${scene.url}/v1/orders`, { method: 'POST', headers: { origin: scene.url, 'x-csrf-token': csrfToken } });
  const { headers } = writes.received.at(-1) ?? assert.fail();
  assert.equal(decodeJwt(String(headers.authorization).replace('Bearer ', ''))['scope'], 'read');
});

// The last with this gateway: the API remembers when it has fetched the keys, which is ahead of the others' time.
test('a token that has expired is refused', async ({ mock }) => {
  const token = await programToken(scene);
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 601_000 });
  refused(await read(token), /expired/);
});

test('without a login writes of other sites are refused, and programs write', async () => {
  await gateway[Symbol.asyncDispose]();
  await using open = await scene.start({
    auth: 'none',
    upstreams: { orders: { urls: [writes.url] } },
    routes: [{ prefix: '/v1/orders', methods: ['POST'], upstream: 'orders' }],
  });
  const post = (headers: Readonly<Record<string, string>>): Promise<Got> =>
    cookieClient().ask(`${open.url}/v1/orders`, { method: 'POST', headers });
  for (const headers of [{ origin: 'https://evil.test' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }])
    assert.equal(kindOf(await post(headers)), 'cross-site', JSON.stringify(headers));
  assert.equal((await post({})).status, 200);
  assert.equal((await post({ origin: open.url })).status, 200);
  assert.equal(writes.received.at(-1)?.headers.authorization, undefined);
  assert.equal((await cookieClient().ask(`${open.url}/auth/login`)).status, 404);
});
