import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { decodeJwt } from 'jose';
import { CdcError } from '#pipeline/index.ts';
import type { RunningService } from '#services/index.ts';
import { cookieClient, type CookieClient, type Got } from '#test/support/cookie-client.ts';
import {
  answerLogin,
  apiSettings,
  createGatewayParts,
  createGatewayScene,
  gatewayConfig,
  kindOf,
  loggedIn,
  type GatewayScene,
} from '#test/support/gateway.ts';
import { startInstance, type OwnInstance } from '#test/support/instance.ts';

/** Of the query API, and of the order service. */
const [reads, commands] = ['urn:cdc:query-api', 'urn:cdc:order-service'];
const identity = { furtherAudiences: [reads, commands] };

let scene: GatewayScene;
let api: RunningService;
let orders: OwnInstance;
let gateway: RunningService;

before(async () => {
  scene = await createGatewayScene(identity);
  const { jwt } = Object(apiSettings(scene));
  api = await scene.apis.start({ auth: 'jwt', jwt: { ...jwt, audience: reads } });
  orders = await startInstance();
  gateway = await scene.start(behind());
});
after(async () => {
  await scene[Symbol.asyncDispose]();
  await orders[Symbol.asyncDispose]();
});

function behind(): Readonly<Record<string, unknown>> {
  return {
    upstreams: {
      'query-api': { urls: [api.url], audience: reads },
      orders: { urls: [orders.url], audience: commands },
      // Without an audience of its own: that of oidc.resource.
      others: { urls: [orders.url] },
    },
    routes: [
      { prefix: '/v1', upstream: 'query-api' },
      { prefix: '/v1/orders', methods: ['POST'], upstream: 'orders' },
      { prefix: '/v2', upstream: 'others' },
    ],
  };
}

const read = (client: CookieClient): Promise<Got> => client.ask(`${scene.url}/v1/customers?limit=1`);

function command(client: CookieClient, csrfToken: string): Promise<Got> {
  return client.ask(`${scene.url}/v1/orders`, { method: 'POST', headers: { origin: scene.url, 'x-csrf-token': csrfToken }, body: '{}' });
}

function lastToken(): string {
  const { headers } = orders.received.at(-1) ?? assert.fail('nothing was received');
  return String(headers.authorization).replace('Bearer ', '');
}

async function renewals(): Promise<number> {
  const text = await (await fetch(`${gateway.monitoringUrl}/metrics`)).text();
  return Number(/cdc_gateway_token_refreshes_total\{outcome="renewed"\} (\d+)/.exec(text)?.[1] ?? 0);
}

test('each service gets a token for it alone, and refuses that of another', async () => {
  const { client, csrfToken } = await loggedIn(scene);
  assert.equal((await read(client)).status, 200);
  assert.equal((await command(client, csrfToken)).status, 200);
  const ofOrders = lastToken();
  assert.deepEqual([decodeJwt(ofOrders).aud, decodeJwt(ofOrders).sub], [commands, 'alice']);
  assert.deepEqual(String(decodeJwt(ofOrders)['scope']).split(' ').toSorted(), ['orders:write', 'read']);
  await client.ask(`${scene.url}/v2/a`);
  const common = lastToken();
  assert.equal(decodeJwt(common).aud, 'urn:cdc:services');
  for (const token of [ofOrders, common]) {
    const refused = await cookieClient().ask(`${scene.url}/v1/customers`, { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual([refused.status, kindOf(refused)], [401, 'unauthorized']);
    assert.match(refused.text, /aud/);
  }
});

test('tokens of all services end together: each is renewed once, one after another, and the login goes on', async (context) => {
  const { client, csrfToken } = await loggedIn(scene);
  await Promise.all([read(client), command(client, csrfToken), client.ask(`${scene.url}/v2/a`)]);
  const earlier = await renewals();
  context.mock.timers.enable({ apis: ['Date'], now: Date.now() + 575_000 });
  for (let round = 1; round <= 2; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => [read(client), command(client, csrfToken), client.ask(`${scene.url}/v2/a`)]).flat(),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    // A refresh token is good for one use: one that is used twice ends the login at the provider.
    assert.equal((await renewals()) - earlier, 3 * round);
    context.mock.timers.setTime(Date.now() + 650_000);
  }
});

/** A gateway of its own, with a provider that is not as the others are. */
async function otherGateway(
  context: TestContext,
  options: Parameters<typeof createGatewayParts>[0],
): ReturnType<typeof createGatewayParts> {
  const parts = await createGatewayParts(options);
  context.after(() => parts[Symbol.asyncDispose]());
  return parts;
}

test('a provider that gives a token for another audience than was asked for: the service gets no request', async (context) => {
  const parts = await otherGateway(context, { ...identity, resources: 'audience' });
  await parts.start(behind());
  const { client, csrfToken } = await loggedIn(parts);
  const earlier = orders.received.length;
  for (const answer of [
    await client.ask(`${parts.url}/v1/customers`),
    await client.ask(`${parts.url}/v1/orders`, { method: 'POST', headers: { origin: parts.url, 'x-csrf-token': csrfToken }, body: '{}' }),
  ]) {
    assert.deepEqual([answer.status, kindOf(answer)], [502, 'token-unavailable'], answer.text);
    assert.match(answer.text, /urn:cdc:(?:query-api|order-service)/);
  }
  assert.equal(orders.received.length, earlier);
  assert.match(parts.log(), /gave a token for urn:cdc:services when asked for one for urn:cdc:query-api/);
  assert.equal((await client.ask(`${parts.url}/v2/a`)).status, 200, 'what needs no other audience goes on');
  assert.equal((await client.ask(`${parts.url}/auth/session`)).status, 200);
});

test('a provider that does not know an audience refuses the login, and the log says why', async (context) => {
  const parts = await otherGateway(context, {});
  await parts.start(behind());
  const client = cookieClient();
  const { next } = await client.follow(`${parts.url}/auth/login`, (to) => to.startsWith(`${parts.url}/auth/callback`));
  const answer = await client.ask(next ?? assert.fail('no callback'));
  assert.deepEqual([answer.status, kindOf(answer)], [400, 'login-failed']);
  assert.match(parts.log(), /invalid_target/);
});

test('a provider without refresh tokens is refused at the start, where services have audiences of their own', async (context) => {
  const parts = await otherGateway(context, { ...identity, refreshTokens: false });
  await assert.rejects(parts.start(behind()), (error) => {
    assert.ok(error instanceof CdcError);
    assert.equal(error.code, 'GATEWAY_AUDIENCE_UNSUPPORTED');
    assert.match(error.message, /no grant refresh_token.*urn:cdc:services, urn:cdc:query-api, urn:cdc:order-service/);
    return true;
  });
  const one = { upstreams: { orders: { urls: [orders.url] } }, routes: [{ prefix: '/v2', upstream: 'orders' }] };
  await parts.start({ ...one, oidc: { scopes: ['openid', 'read'] } });
  const client = cookieClient();
  assert.equal((await client.ask(await answerLogin(client, parts, 'bob'))).status, 303);
  assert.equal((await client.ask(`${parts.url}/v2/a`)).status, 200);
});

test('a provider that is away at the start is no reason not to start', async (context) => {
  const parts = await otherGateway(context, identity);
  await parts.provider[Symbol.asyncDispose]();
  const started = await parts.start(behind());
  assert.equal((await fetch(`${started.url}/livez`)).status, 200);
  assert.match(parts.log(), /nobody can log in until it does/);
});

test('settings of audiences that cannot hold are refused', () => {
  const login = { publicUrl: 'https://orders.test', auth: 'oidc', routes: [{ prefix: '/v1', upstream: 'api' }] };
  const oidc = { issuer: 'https://login.test', clientId: 'gateway', clientSecret: 'secret' };
  const reading = { urls: ['http://api'], audience: reads };
  assert.throws(() => gatewayConfig({ ...login, auth: 'none', upstreams: { api: reading } }), /without a login there are no tokens/);
  const mixed = { api: reading, orders: { urls: ['http://orders'] } };
  assert.throws(() => gatewayConfig({ ...login, oidc, upstreams: mixed }), /orders.*audience|audience.*orders|good for any of them/);
  gatewayConfig({ ...login, oidc: { ...oidc, resource: 'urn:cdc:services' }, upstreams: mixed });
  gatewayConfig({ ...login, oidc, upstreams: { api: reading } });
});
