import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import type { RunningService } from '#services/index.ts';
import { openStream } from '#test/support/event-stream.ts';
import {
  answerLogin,
  createGatewayParts,
  createGatewayScene,
  kindOf,
  loggedIn,
  passwords,
  programToken,
  readsFrom,
  type GatewayScene,
} from '#test/support/gateway.ts';
import { cookieClient } from '#test/support/cookie-client.ts';
import { eventually } from '#test/support/read-database.ts';

let scene: GatewayScene;
let gateway: RunningService;

before(async () => {
  scene = await createGatewayScene();
  gateway = await scene.start({ ...readsFrom(scene.api.url), page: {} });
});
after(() => scene[Symbol.asyncDispose]());

test('a person logs in, and reads with a token that the browser never sees', async () => {
  const client = cookieClient();
  const first = await client.ask(`${scene.url}/`);
  assert.deepEqual([first.status, first.headers.get('location')], [303, '/auth/login?return_to=%2F']);
  const callback = await answerLogin(client, scene, 'alice', '/?shown=1#here');
  const back = await client.ask(callback);
  assert.deepEqual([back.status, back.headers.get('location')], [303, '/?shown=1#here']);
  const cookie = back.headers.getSetCookie().find((line) => line.startsWith('cdc_session=')) ?? '';
  assert.match(cookie, /^cdc_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
  const read = await client.ask(`${scene.url}/v1/customers`);
  assert.equal(read.status, 200, read.text);
  assert.ok(read.headers.has('freshness'));
  const session: unknown = JSON.parse((await client.ask(`${scene.url}/auth/session`)).text);
  assert.deepEqual(session, { ...Object(session), subject: 'alice', name: 'alice' });
  const seen = JSON.stringify([...client.cookies].map(([origin, cookies]) => [origin, [...cookies]]));
  assert.doesNotMatch(seen, /eyJ[\w-]+\.eyJ/, 'a JWT in a cookie');
  assert.equal((await client.ask(`${scene.url}/`)).status, 200);
});

test('without a session nothing behind the gateway is reached', async () => {
  const { status, headers, text } = await cookieClient().ask(`${scene.url}/v1/customers`);
  assert.deepEqual([status, headers.get('www-authenticate'), kindOf({ text })], [401, 'Bearer', 'unauthorized']);
  const made = cookieClient();
  made.setCookie(scene.url, 'cdc_session', 'A'.repeat(43));
  assert.equal((await made.ask(`${scene.url}/v1/customers`)).status, 401);
});

test('a callback is good in the browser that has begun the login, for its state, once', async () => {
  const client = cookieClient();
  const callback = await answerLogin(client, scene, 'alice');
  const cookies = new Map(client.cookies.get(scene.url));

  const elsewhere = await cookieClient().ask(callback);
  assert.deepEqual([elsewhere.status, kindOf(elsewhere)], [400, 'login-failed'], 'in another browser');

  const forged = new URL(callback);
  forged.searchParams.set('state', 'x'.repeat(43));
  const wrong = await client.ask(forged.href);
  assert.deepEqual([wrong.status, kindOf(wrong)], [400, 'login-failed'], 'of another state');
  assert.equal((await client.ask(callback)).status, 400, 'after a try that failed');

  const restore = (): void => cookies.forEach((value, name) => client.setCookie(scene.url, name, value));
  restore();
  assert.equal((await client.ask(callback)).status, 303);
  const again = await client.ask(callback);
  assert.deepEqual([again.status, kindOf(again)], [400, 'login-failed'], 'a second time');
  restore();
  const replayed = await client.ask(callback);
  assert.deepEqual(
    [replayed.status, kindOf(replayed)],
    [400, 'login-failed'],
    'a second time with the cookie put back: the code is used up',
  );
  const shown = await client.ask(callback, { headers: { accept: 'text/html' } });
  assert.match(shown.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(shown.text, /Log in again/);
});

test('a code of another login is refused: the nonce and the verifier are those of this one', async () => {
  const [mine, theirs] = [cookieClient(), cookieClient()];
  const callback = new URL(await answerLogin(mine, scene, 'alice'));
  const other = new URL(await answerLogin(theirs, scene, 'bob'));
  callback.searchParams.set('code', other.searchParams.get('code') ?? '');
  const answer = await mine.ask(callback.href);
  assert.deepEqual([answer.status, kindOf(answer)], [400, 'login-failed']);
});

for (const [what, change] of [
  ['another nonce', ({ searchParams }) => searchParams.set('nonce', 'x'.repeat(43))],
  ['no nonce', ({ searchParams }) => searchParams.delete('nonce')],
] satisfies readonly (readonly [string, (authorization: URL) => void])[])
  test(`a login that came to the provider with ${what} is refused, though its state, its code and its verifier are right`, async () => {
    const client = cookieClient();
    const callback = await answerLogin(client, scene, 'alice', '/', change);
    const answer = await client.ask(callback);
    assert.deepEqual([answer.status, kindOf(answer), client.cookies.get(scene.url)?.has('cdc_session')], [400, 'login-failed', false]);
  });

test('each login has a state, a nonce and a verifier of its own', async () => {
  const begun = await Promise.all([1, 2].map(() => cookieClient().ask(`${scene.url}/auth/login`)));
  const [one, two] = begun.map(({ headers }) => new URL(headers.get('location') ?? '').searchParams);
  for (const name of ['state', 'nonce', 'code_challenge']) {
    assert.match(one?.get(name) ?? '', /^[\w-]{43}$/, name);
    assert.notEqual(one?.get(name), two?.get(name), name);
  }
  assert.equal(one?.get('code_challenge_method'), 'S256');
});

test('a session id that somebody else has put into the browser is not the one that a login gives', async () => {
  const client = cookieClient();
  client.setCookie(scene.url, 'cdc_session', 'A'.repeat(43));
  assert.equal((await client.ask(await answerLogin(client, scene, 'alice'))).status, 303);
  assert.notEqual(client.cookies.get(scene.url)?.get('cdc_session'), 'A'.repeat(43));
  const other = cookieClient();
  other.setCookie(scene.url, 'cdc_session', 'A'.repeat(43));
  assert.equal((await other.ask(`${scene.url}/v1/customers`)).status, 401);
});

test('a refusal of the provider is one here', async () => {
  const client = cookieClient();
  const callback = new URL(await answerLogin(client, scene, 'alice'));
  callback.searchParams.delete('code');
  callback.searchParams.set('error', 'access_denied');
  assert.equal((await client.ask(callback.href)).status, 400);
});

for (const tried of [
  '//evil.test',
  'https://evil.test',
  '/\\evil.test',
  '/\t/evil.test',
  '\\/evil.test',
  '/auth/login',
  'javascript:alert(1)',
  '',
  '///evil.test',
  '/a\\..\\evil',
  '/.//evil.test',
])
  test(`after a login with return_to=${JSON.stringify(tried)} the browser is at /`, async () => {
    const client = cookieClient();
    const { headers } = await client.ask(await answerLogin(client, scene, 'bob', tried));
    assert.equal(headers.get('location'), '/');
  });

test('a new login has a new session id, and ends the session before', async () => {
  const { client } = await loggedIn(scene);
  const earlier = client.cookies.get(scene.url)?.get('cdc_session') ?? '';
  await client.ask(
    await (async () => (await client.follow(`${scene.url}/auth/login`, (to) => to.startsWith(`${scene.url}/auth/callback`))).next ?? '')(),
  );
  assert.notEqual(client.cookies.get(scene.url)?.get('cdc_session'), earlier);
  const old = cookieClient();
  old.setCookie(scene.url, 'cdc_session', earlier);
  assert.equal((await old.ask(`${scene.url}/v1/customers`)).status, 401);
});

test('a logout ends the session at once, its open streams too, and leads to the end of the login at the provider', async () => {
  const { client, csrfToken } = await loggedIn(scene);
  const cookie = `cdc_session=${client.cookies.get(scene.url)?.get('cdc_session') ?? ''}`;
  using stream = await openStream(`${scene.url}/v1/customers`, { cookie });
  await stream.until((events) => events.some(({ event }) => event === 'current'));
  const refused = await client.ask(`${scene.url}/auth/logout`, { method: 'POST' });
  assert.deepEqual([refused.status, kindOf(refused), refused.headers.getSetCookie()], [403, 'cross-site', []]);
  const without = await cookieClient().ask(`${scene.url}/auth/logout`, { method: 'POST' });
  assert.deepEqual(without.headers.getSetCookie(), [], 'of another site: it sends no cookie, and may not take one away');
  const out = await client.ask(`${scene.url}/auth/logout`, { method: 'POST', headers: { origin: scene.url, 'x-csrf-token': csrfToken } });
  assert.equal(out.status, 200, out.text);
  const { location } = Object(JSON.parse(out.text));
  assert.ok(String(location).startsWith(`${scene.provider.issuer}/session/end?`), String(location));
  await eventually(
    async () => stream.ended,
    (ended) => ended,
  );
  const later = cookieClient();
  later.setCookie(scene.url, 'cdc_session', cookie.slice('cdc_session='.length));
  assert.equal((await later.ask(`${scene.url}/v1/customers`)).status, 401);
  const page = await client.follow(String(location));
  assert.equal(page.status, 200);
});

test('behind TLS the cookies are for this host and for TLS alone', async () => {
  await gateway[Symbol.asyncDispose]();
  await using tls = await scene.start({ ...readsFrom(scene.api.url), publicUrl: 'https://orders.test' });
  const { headers } = await cookieClient().ask(`${tls.url}/auth/login`);
  assert.match(headers.getSetCookie().join('\n'), /^__Host-cdc_login=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  assert.equal(new URL(headers.get('location') ?? '').searchParams.get('redirect_uri'), 'https://orders.test/auth/callback');
  await tls[Symbol.asyncDispose]();
  gateway = await scene.start(readsFrom(scene.api.url));
});

test('a provider that is away: nobody logs in, programs go on, and it is found when it is back', async (context) => {
  const parts = await createGatewayParts();
  await using own = await parts.start(readsFrom(scene.api.url));
  await parts.provider[Symbol.asyncDispose]();
  const failed = await cookieClient().ask(`${own.url}/auth/login`);
  assert.deepEqual([failed.status, kindOf(failed), failed.headers.get('retry-after')], [503, 'login-unavailable', '1']);
  const shown = await cookieClient().ask(`${own.url}/auth/login`, { headers: { accept: 'text/html' } });
  assert.match(shown.text, /does not answer at present/);
  const program = await fetch(`${own.url}/v1/customers`, { headers: { authorization: `Bearer ${await programToken(scene)}` } });
  assert.equal(program.status, 200);
  await program.body?.cancel();
  assert.equal((await fetch(`${own.url}/readyz`)).status, 200);
  const { port } = new URL(parts.provider.issuer);
  const back = await createGatewayParts({ port: Number(port) });
  context.after(() => back[Symbol.asyncDispose]());
  await eventually(
    async () => (await cookieClient().ask(`${own.url}/auth/login`)).status,
    (status) => status === 303,
  );
});

/** The clock does not move by itself from here on, for the gateway, the provider and the API alike. */
function stopClock({ mock }: TestContext): { advance(ms: number): void } {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  return { advance: (ms) => mock.timers.setTime(Date.now() + ms) };
}

test('a session that nobody uses ends, and every session ends at its time', async (context) => {
  const clock = stopClock(context);
  const [idle, used] = [await loggedIn(scene), await loggedIn(scene)];
  for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
    clock.advance(20 * 60_000);
    assert.equal((await used.client.ask(`${scene.url}/auth/session`)).status, 200, `after ${minutes} minutes`);
  }
  assert.equal((await idle.client.ask(`${scene.url}/v1/customers`)).status, 401);
  clock.advance(20 * 60_000);
  assert.equal((await used.client.ask(`${scene.url}/v1/customers`)).status, 401);
});

test('a token that is about to end is renewed once for all requests of a session', async (context) => {
  const clock = stopClock(context);
  const { client } = await loggedIn(scene);
  const earlier = await refreshes('renewed');
  assert.equal((await client.ask(`${scene.url}/v1/customers`)).status, 200);
  assert.equal((await refreshes('renewed')) - earlier, 0);
  clock.advance(575_000);
  // A refresh token is good for one use: a second use would end the login at the provider.
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.ask(`${scene.url}/v1/customers`)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal((await refreshes('renewed')) - earlier, 1);
  clock.advance(650_000);
  assert.equal((await client.ask(`${scene.url}/v1/customers`)).status, 200, 'a token that has ended');
  assert.equal((await refreshes('renewed')) - earlier, 2);
});

test('where the provider gives no more tokens the session ends', async (context) => {
  await gateway[Symbol.asyncDispose]();
  const day = 24 * 3_600_000;
  gateway = await scene.start({ ...readsFrom(scene.api.url), session: { idleMs: day, lifetimeMs: day } });
  const clock = stopClock(context);
  const { client } = await loggedIn(scene);
  // A refresh token of the provider lives for 12 hours.
  clock.advance(13 * 3_600_000);
  const { status, text } = await client.ask(`${scene.url}/v1/customers`);
  assert.deepEqual([status, kindOf({ text })], [401, 'unauthorized']);
  assert.equal(await refreshes('ended'), 1);
  assert.equal((await client.ask(`${scene.url}/auth/session`)).status, 401);
});

test('no secret, token, cookie or code is in a line of the log', async () => {
  const { client, callback, csrfToken } = await loggedIn(scene, 'bob');
  await client.ask(`${scene.url}/v1/customers?secret=in-the-query`);
  const log = scene.log();
  assert.match(log, /"path":"\/auth\/callback"/);
  const secrets = [...client.cookies.values()].flatMap((cookies) => [...cookies.values()]);
  const code = new URL(callback).searchParams.get('code') ?? '';
  for (const secret of [...secrets, code, csrfToken, 'in-the-query', passwords.bob, 'the secret of the gateway'])
    assert.ok(secret !== '' && !log.includes(secret), secret);
  assert.doesNotMatch(log, /eyJ[\w-]+\.|"authorization"|"cookie"/i);
});

async function refreshes(outcome: string): Promise<number> {
  const text = await (await fetch(`${gateway.monitoringUrl}/metrics`)).text();
  return Number(new RegExp(`cdc_gateway_token_refreshes_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}
