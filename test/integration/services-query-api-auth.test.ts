import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSecretKey } from 'node:crypto';
import { exportSPKI, generateKeyPair, importJWK, SignJWT, UnsecuredJWT, type CryptoKey } from 'jose';
import type { RunningService } from '#services/index.ts';
import { openStream } from '#test/support/event-stream.ts';
import { createQueryApiScene, get, type Answered, type QueryApiScene } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { audience, startTokenIssuer, type TokenIssuer } from '#test/support/token-issuer.ts';

let scene: QueryApiScene;
let issuer: TokenIssuer;
let api: RunningService;
const shown: string[] = [];

before(async () => {
  scene = await createQueryApiScene();
  issuer = await startTokenIssuer();
  api = await scene.start(settings());
});
after(async () => {
  await scene[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

function settings(jwt: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    auth: 'jwt',
    jwt: { issuer: issuer.issuer, audience, jwksUrl: issuer.jwksUrl, jwksCooldownMs: 0, clockToleranceSeconds: 0, ...jwt },
  };
}

async function ask(token: string | null, path = '/v1/customers', at: RunningService = api): Promise<Answered> {
  if (token !== null) shown.push(token);
  return get(at, path, token === null ? {} : { authorization: `Bearer ${token}` });
}

test('a good token reads; without one nothing of the model is reported', async () => {
  assert.equal((await ask(await issuer.token())).status, 200);
  for (const path of ['/v1/customers', '/v1/nothing', '/v1/customers/1', '/openapi.json', '/status', '/metrics']) {
    const { status, headers, text } = await ask(null, path);
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer'], path);
    assert.doesNotMatch(text, /customers/);
  }
  for (const path of ['/livez', '/readyz']) assert.equal((await ask(null, path)).status, 200, path);
});

const minute = (): number => Math.floor(Date.now() / 1000) - 60;

/** Tokens that must be refused, and by what claim or word. */
const bad: Readonly<Record<string, readonly [make: () => Promise<string>, why: RegExp]>> = {
  expired: [() => issuer.token({ exp: minute() }), /expired/],
  'without an expiry': [() => issuer.token({ exp: null }), /exp/],
  'not valid yet': [() => issuer.token({ nbf: minute() + 600 }), /nbf/],
  'of another audience': [() => issuer.token({ aud: 'other' }), /aud/],
  'without an audience': [() => issuer.token({ aud: null }), /aud/],
  'of another issuer': [() => issuer.token({ iss: 'https://elsewhere.test' }), /iss/],
  'signed with another key': [async () => issuer.token({}, { key: (await generateKeyPair('RS256')).privateKey }), /signature/],
  'of alg: none': [
    () =>
      Promise.resolve(new UnsecuredJWT({ scope: 'read' }).setIssuer(issuer.issuer).setAudience(audience).setExpirationTime('1h').encode()),
    /algorithm|not a valid/,
  ],
  'of an algorithm that is not listed': [async () => issuer.token({}, { alg: 'RS384', key: await rs384() }), /algorithm/],
  'signed with the public key as a shared secret': [hs256, /algorithm/],
  'that is none': [() => Promise.resolve('abc.def.ghi'), /not a valid/],
};

async function rs384(): Promise<CryptoKey> {
  return (await generateKeyPair('RS384')).privateKey;
}

/** The classic confusion: a public key is no secret, and HS256 takes any text for one. */
async function hs256(): Promise<string> {
  const { alg: _alg, ...jwk } = issuer.publicKey;
  const key = await importJWK({ ...jwk, ext: true }, 'RS256');
  assert.ok(!(key instanceof Uint8Array));
  const secret = createSecretKey(Buffer.from(await exportSPKI(key)));
  return new SignJWT({ scope: 'read' })
    .setProtectedHeader({ alg: 'HS256', kid: issuer.publicKey.kid ?? '' })
    .setIssuer(issuer.issuer)
    .setAudience(audience)
    .setExpirationTime('1h')
    .sign(secret);
}

for (const [what, [make, why]] of Object.entries(bad)) {
  test(`a token ${what} is refused`, async () => {
    const { status, headers, text } = await ask(await make());
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer error="invalid_token"']);
    assert.match(text, why);
  });
}

test('a scheme that is not Bearer is refused', async () => {
  for (const authorization of ['Basic YTpi', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(20)}`]) {
    assert.equal((await get(api, '/v1/customers', { authorization })).status, 401, authorization);
  }
});

test('scopes: read for all tables, read:<table> for one, monitoring for /metrics and /status', async () => {
  const one = await issuer.token({ scope: 'openid read:customers' });
  assert.equal((await ask(one)).status, 200);
  const { status, headers } = await ask(one, '/v1/orders');
  assert.deepEqual([status, headers.get('www-authenticate')], [403, 'Bearer error="insufficient_scope", scope="read:orders"']);
  assert.equal((await ask(one, '/metrics')).status, 403);
  assert.equal((await ask(await issuer.token({ scope: 'monitoring' }), '/metrics')).status, 200);
  assert.equal((await ask(await issuer.token({ scope: 'monitoring' }))).status, 403);
  assert.equal((await ask(await issuer.token({ scope: null }))).status, 403);
  assert.equal((await ask(await issuer.token({ scope: null, scp: ['read'] }))).status, 200);
  assert.equal((await ask(await issuer.token({ scope: 'READ readx read:order' }), '/v1/orders')).status, 403);
});

test('a new key of the issuer is fetched when a token has it; one that it has withdrawn is refused when the keys are fetched again', async () => {
  const old = await issuer.token();
  await issuer.rotate(true);
  assert.equal((await ask(await issuer.token())).status, 200);
  assert.equal((await ask(old)).status, 200);
  await issuer.rotate(false);
  assert.equal((await ask(await issuer.token())).status, 200);
  assert.equal((await ask(old)).status, 401);
});

test('keys that cannot be fetched are no fault of the token: 503, and again 200 when they can', async () => {
  const fresh = await scene.start(settings());
  issuer.answerWith(500);
  const { status, headers } = await ask(await issuer.token(), '/v1/customers', fresh);
  assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
  issuer.answerWith(200);
  assert.equal((await ask(await issuer.token(), '/v1/customers', fresh)).status, 200);
});

test('keys are fetched once for many requests, and not for each unknown key within the cooldown', async () => {
  const calm = await scene.start(settings({ jwksCooldownMs: 60_000 }));
  const fetched = issuer.fetches;
  const token = await issuer.token();
  for (let request = 0; request < 10; request += 1) assert.equal((await ask(token, '/v1/customers', calm)).status, 200);
  await issuer.rotate(true);
  for (let request = 0; request < 10; request += 1) assert.equal((await ask(await issuer.token(), '/v1/customers', calm)).status, 401);
  assert.equal(issuer.fetches, fetched + 1);
});

test('a live stream ends with its token', async () => {
  const token = await issuer.token({ exp: Math.floor(Date.now() / 1000) + 5 });
  using client = await openStream(`${api.url}/v1/customers`, { authorization: `Bearer ${token}` });
  assert.equal(client.status, 200);
  await eventually(
    () => Promise.resolve(client.ended),
    (ended) => ended,
  );
});

test('no token is in the log, and auth: none is', async () => {
  await scene.start({ auth: 'none' });
  assert.match(scene.log(), /auth is none/);
  assert.ok(shown.length > 20);
  const parts = shown.flatMap((token) => [token, ...token.split('.')]).filter((part) => part.length > 30);
  for (const part of parts) assert.ok(!scene.log().includes(part), 'part of a token is in the log');
});
