import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { errors } from 'undici';
import { localPath } from '#services/gateway/login/return-to.ts';
import { createSeal } from '#services/gateway/login/sealed.ts';
import { createSessions, type Session } from '#services/gateway/login/sessions.ts';
import { traceOf } from '#services/gateway/proxy/trace.ts';
import { NotConnected } from '#services/gateway/upstreams/connections.ts';
import { failureOf, mayTryAnother } from '#services/gateway/upstreams/failures.ts';
import { createInstances, type Instance } from '#services/gateway/upstreams/instances.ts';
import { gatewayConfig } from '#test/support/gateway.ts';

const publicUrl = 'https://orders.test';

test('whatever is asked for, a login leads to a path of the gateway as a browser reads it', () => {
  const pieces = fc.constantFrom(
    '/',
    '\\',
    '//',
    'evil.test',
    '@',
    ':',
    'https:',
    '\t',
    '\n',
    '\0',
    '.',
    '..',
    '%2f',
    '%5c',
    '?',
    '#',
    ' ',
    'a',
    '\u2028',
    '／',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 8 }).map((all) => all.join('')),
      ),
      (asked) => {
        const path = localPath(asked, publicUrl);
        assert.equal(new URL(path, publicUrl).origin, publicUrl);
        assert.match(path, /^\/(?!\/)/);
      },
    ),
    { numRuns: 5000 },
  );
});

test('what a browser could read as another site becomes /', () => {
  for (const path of [
    '//evil.test',
    '/\\evil.test',
    '/a\\..\\evil',
    '/\u0001x',
    '/x\u007f',
    '/.//evil.test',
    '/x/..//evil.test',
    'https://evil.test',
  ])
    assert.equal(localPath(path, publicUrl), '/', JSON.stringify(path));
});

test('paths of the gateway are kept, with query and fragment', () => {
  for (const path of ['/', '/v1/orders?x=1&y=%2F', '/?shown=1#here', '/a/b%20c']) assert.equal(localPath(path, publicUrl), path);
  for (const other of [undefined, null, 7, ['/a', '/b'], {}, '/auth/login', '/x/../auth/login'])
    assert.equal(localPath(other, publicUrl), '/');
});

const tokens: Session['tokens'] = { access: new Map(), refreshToken: null, idToken: 'i' };
const who = (subject: string): Pick<Session, 'subject' | 'name' | 'tokens'> => ({ subject, name: subject, tokens });

test('there are as many sessions as there may be: the one that was not used for the longest time ends, its requests too', () => {
  using sessions = createSessions({ idleMs: 1000, lifetimeMs: 10_000, most: 3 });
  const [one, two, three] = ['one', 'two', 'three'].map((name) => sessions.create(who(name)));
  assert.ok(one && two && three);
  assert.equal(sessions.find(one.id), one);
  let ended = '';
  for (const session of [one, two, three]) session.open.add(() => (ended += session.subject));
  const four = sessions.create(who('four'));
  assert.equal(ended, 'two');
  assert.deepEqual(
    [one, two, three, four].map(({ id }) => sessions.find(id)?.subject),
    ['one', undefined, 'three', 'four'],
  );
  for (let index = 0; index < 1000; index += 1) sessions.create(who('many'));
  assert.equal(sessions.count, 3);
});

test('a session ends when nobody uses it, and at its time', () => {
  let now = 0;
  using sessions = createSessions({ idleMs: 100, lifetimeMs: 250, most: 10 }, () => now);
  const session = sessions.create(who('a'));
  for (now = 90; now < 250; now += 90) assert.equal(sessions.find(session.id), session, String(now));
  now = 250;
  assert.equal(sessions.find(session.id), null);
  const other = sessions.create(who('b'));
  now += 100;
  assert.equal(sessions.find(other.id), null);
  assert.equal(sessions.find(undefined), null);
  assert.equal(sessions.count, 0);
});

test('ids of sessions are long and differ', () => {
  using sessions = createSessions({ idleMs: 100, lifetimeMs: 250, most: 1000 });
  const ids = Array.from({ length: 500 }, () => sessions.create(who('a'))).flatMap(({ id, csrfToken }) => [id, csrfToken]);
  assert.equal(new Set(ids).size, 1000);
  for (const id of ids) assert.match(id, /^[\w-]{43}$/);
});

test('what was sealed here is opened here, unchanged, and not too late', async ({ mock }) => {
  const login = { state: 's', nonce: 'n', verifier: 'v', returnTo: '/' };
  const [own, other] = [createSeal(), createSeal()];
  const sealed = await own.seal(login);
  assert.doesNotMatch(Buffer.from(sealed.split('.').join(''), 'base64url').toString('latin1'), /verifier|returnTo/);
  assert.deepEqual(await own.open(sealed), login);
  assert.equal(await other.open(sealed), null);
  // Another first letter of initialisation vector, text and tag. The last letter of a part has bits that mean nothing.
  const parts = sealed.split('.');
  const changed = [2, 3, 4].map((at) => parts.map((part, index) => (index === at ? otherFirst(part) : part)).join('.'));
  for (const bad of [undefined, '', 'a.b.c.d.e', ...changed]) assert.equal(await own.open(bad), null);
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 601_000 });
  assert.equal(await own.open(sealed), null);
});

function otherFirst(part: string): string {
  return `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`;
}

test('a trace that is well-formed goes on, any other is made', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  assert.deepEqual(traceOf({ traceparent, tracestate: 'x=1', 'x-request-id': 'id-1' }), {
    requestId: 'id-1',
    traceparent,
    tracestate: 'x=1',
  });
  assert.equal(
    traceOf({ traceparent: `${traceparent.replace('00-', 'cc-')}-more` }).traceparent,
    `${traceparent.replace('00-', 'cc-')}-more`,
  );
  for (const bad of [
    '',
    traceparent.toUpperCase(),
    traceparent.replace('00-', 'ff-'),
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `${traceparent}x`,
  ]) {
    const made = traceOf({ traceparent: bad, tracestate: 'x=1' });
    assert.notEqual(made.traceparent, bad);
    assert.equal(made.tracestate, null);
  }
  assert.notEqual(traceOf({ 'x-request-id': 'a\nb' }).requestId, 'a\nb');
  assert.equal(traceOf({ 'x-request-id': 'x'.repeat(129) }).requestId.length, 36);
});

const rules = { balance: 'round-robin', pendingMost: 2, failures: 2 } as const;
const none: ReadonlySet<Instance> = new Set();

test('an instance goes out after so many failures in a row, and comes back by a good check alone', () => {
  const instances = createInstances(rules);
  instances.replace(['http://a', 'http://b', 'http://a']);
  const [a, b] = instances.all;
  assert.ok(a && b && instances.all.length === 2);
  assert.equal(instances.failed(a, 'once', false), false);
  instances.answered(a);
  assert.equal(instances.failed(a, 'once more', false), false);
  assert.equal(instances.failed(a, 'and again', false), true);
  instances.answered(a);
  assert.deepEqual([a.ejected, a.reason], [true, 'and again']);
  for (let index = 0; index < 4; index += 1) assert.equal(instances.choose(none), b);
  assert.equal(instances.choose(new Set([b])), null);
  assert.equal(instances.failed(b, 'refused', true), true);
  assert.deepEqual(new Set([instances.choose(none), instances.choose(none)]), new Set([a, b]), 'where all are out, all are asked');
  assert.equal(instances.passed(a), true);
  assert.equal(instances.choose(none), a);
});

test('an instance that stays keeps what is known of it, one that is gone gets nothing', () => {
  const instances = createInstances(rules);
  instances.replace(['http://a', 'http://b']);
  const [a] = instances.all;
  assert.ok(a);
  instances.failed(a, 'refused', true);
  a.pending = 1;
  instances.replace(['http://c', 'http://a']);
  assert.deepEqual(
    instances.all.map(({ url, ejected }) => [url, ejected]),
    [
      ['http://c', false],
      ['http://a', true],
    ],
  );
  assert.equal(instances.all[1], a);
  instances.replace([]);
  assert.equal(instances.choose(none), null);
});

test('an instance has no more open requests than it may', () => {
  const instances = createInstances({ ...rules, balance: 'least-pending' });
  instances.replace(['http://a', 'http://b']);
  const chosen = Array.from({ length: 5 }, () => {
    const instance = instances.choose(none);
    if (instance !== null) instance.pending += 1;
    return instance?.url ?? null;
  });
  assert.deepEqual(chosen.slice(0, 4).filter((url) => url === 'http://a').length, 2);
  assert.notEqual(chosen[0], chosen[1]);
  assert.equal(chosen[4], null);
});

const failed = (code: string): Error => Object.assign(new Error(code), { code });

test('another instance is tried when that is safe', () => {
  for (const cause of [failed('ECONNREFUSED'), failed('ECONNRESET'), new AggregateError([]), new errors.ConnectTimeoutError()])
    assert.equal(failureOf(new NotConnected(cause)), 'unreached');
  for (const code of ['ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_HAS_EXPIRED', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
    assert.equal(failureOf(new NotConnected(failed(code))), 'untrusted');
  assert.equal(failureOf(failed('ECONNREFUSED')), 'broke-off', 'whatever comes after a connection');
  assert.equal(failureOf(new errors.SocketError('other side closed')), 'broke-off');
  assert.equal(failureOf(new errors.HeadersTimeoutError()), 'timeout');
  assert.equal(failureOf(new DOMException('gone', 'AbortError')), 'aborted');
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    assert.equal(mayTryAnother(method, 'unreached'), true);
    assert.equal(mayTryAnother(method, 'broke-off'), false);
  }
  for (const method of ['GET', 'HEAD']) assert.equal(mayTryAnother(method, 'broke-off'), true);
  for (const failure of ['timeout', 'aborted'] as const) assert.equal(mayTryAnother('GET', failure), false);
});

const good = {
  auth: 'oidc',
  publicUrl,
  oidc: { issuer: 'https://login.test', clientId: 'gateway', clientSecret: 'secret' },
  upstreams: { api: { urls: ['http://api'] } },
  routes: [{ prefix: '/v1', upstream: 'api' }],
};

const bad: Readonly<Record<string, readonly [settings: Readonly<Record<string, unknown>>, message: RegExp]>> = {
  'no choice of a login': [{ ...good, auth: undefined }, /auth/],
  'a login without a provider': [{ ...good, oidc: undefined }, /needs issuer/],
  'a login without its secret': [{ ...good, oidc: { ...good.oidc, clientSecret: '' } }, /secret of the client/],
  'a login without the address of browsers': [{ ...good, publicUrl: undefined }, /address that browsers use/],
  'a login that asks nobody who it is': [{ ...good, oidc: { ...good.oidc, scopes: ['read'] } }, /openid/],
  'a public address with a path': [{ ...good, publicUrl: `${publicUrl}/app` }, /scheme, host and port only/],
  'a route to nowhere': [{ ...good, routes: [{ prefix: '/v1', upstream: 'none' }] }, /a name of upstreams/],
  'a route over the login': [{ ...good, routes: [{ prefix: '/auth', upstream: 'api' }] }, /gateway’s own/],
  'a route over everything': [{ ...good, routes: [{ prefix: '/', upstream: 'api' }] }, /gateway’s own/],
  'an instance with a path': [{ ...good, upstreams: { api: { urls: ['http://api/v1'] } } }, /scheme, host and port only/],
  'instances from two places': [
    { ...good, upstreams: { api: { urls: ['http://api'], dns: { name: 'api', port: 1 } } } },
    /either urls or dns/,
  ],
  'addresses without a port': [{ ...good, upstreams: { api: { dns: { name: 'api' } } } }, /port of the instances/],
};

for (const [what, [settings, message]] of Object.entries(bad)) {
  test(`the configuration is refused with ${what}`, () => {
    assert.throws(() => gatewayConfig(settings), message);
  });
}

test('the configuration is taken with what is needed', () => {
  assert.equal(gatewayConfig(good).services?.gateway?.routes.length, 1);
});
