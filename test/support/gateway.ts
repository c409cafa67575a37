import assert from 'node:assert/strict';
import getPort from 'get-port';
import { pino } from 'pino';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { startGateway, type RunningService } from '#services/index.ts';
import { startIdentityProvider, type IdentityProvider, type IdentityProviderOptions } from '#stack/identity-provider/server.ts';
import { cookieClient, type CookieClient, type Got } from './cookie-client.ts';
import { createQueryApiScene, type QueryApiScene } from './query-api.ts';

const servicesAudience = 'urn:cdc:services';
export const passwords = { alice: 'the password of alice', bob: 'the password of bob' } as const;
const program = { clientId: 'program', secret: 'the secret of the program' } as const;
const gatewayClient = { clientId: 'gateway', secret: 'the secret of the gateway' } as const;

type Settings = Readonly<Record<string, unknown>>;

/** A gateway with a real provider. `url` is where its clients reach it. */
export type GatewayParts = AsyncDisposable & {
  readonly provider: IdentityProvider;
  /** The address of every gateway that is started here. */
  readonly url: string;
  /** Settings over those of a gateway with login. The one before must have ended. */
  start(settings: Settings): Promise<RunningService>;
  log(): string;
};

export async function createGatewayParts(options: Partial<IdentityProviderOptions> = {}): Promise<GatewayParts> {
  const stack = new AsyncDisposableStack();
  const port = await getPort({ host: '127.0.0.1' });
  const url = `http://127.0.0.1:${port}`;
  const provider = stack.use(
    await startIdentityProvider({
      host: '127.0.0.1',
      port: 0,
      audience: servicesAudience,
      gateway: { ...gatewayClient, origins: [url] },
      program,
      users: [
        { name: 'alice', password: passwords.alice, scopes: ['read', 'orders:write', 'monitoring'] },
        { name: 'bob', password: passwords.bob, scopes: ['read'] },
      ],
      ...options,
    }),
  );
  let log = '';
  const logger = pino({ level: 'debug' }, { write: (line: string) => void (log += line) });
  return {
    provider,
    url,
    log: () => log,
    async start(settings) {
      const { oidc = {}, ...others } = settings;
      const config = gatewayConfig({
        http: { port },
        monitoring: { port: 0 },
        publicUrl: url,
        auth: 'oidc',
        oidc: { issuer: provider.issuer, ...gatewaySecret(), resource: servicesAudience, ...(typeof oidc === 'object' ? oidc : {}) },
        rateLimit: { requests: 0 },
        ...others,
      });
      return stack.use(await startGateway({ config, logger, signal: new AbortController().signal }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function gatewaySecret(): Settings {
  return { clientId: gatewayClient.clientId, clientSecret: gatewayClient.secret };
}

export function gatewayConfig(gateway: Settings): PipelineConfig {
  return pipelineSchema.parse({
    legacyDb: { database: 'none', roles: { poller: { user: 'none' } } },
    kafka: { brokers: 'localhost:9' },
    services: { gateway },
  });
}

/** The query API as it is behind a gateway: with the tokens of the provider. */
export type GatewayScene = GatewayParts & { readonly apis: QueryApiScene; readonly api: RunningService };

export async function createGatewayScene(options: Partial<IdentityProviderOptions> = {}): Promise<GatewayScene> {
  const stack = new AsyncDisposableStack();
  const apis = stack.use(await createQueryApiScene());
  const parts = stack.use(await createGatewayParts(options));
  const api = await apis.start(apiSettings(parts));
  return { ...parts, apis, api, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

export function apiSettings({ provider }: Pick<GatewayParts, 'provider'>): Settings {
  const jwt = { issuer: provider.issuer, audience: servicesAudience, jwksUrl: `${provider.issuer}/jwks`, jwksCooldownMs: 0 };
  return { auth: 'jwt', jwt: { ...jwt, clockToleranceSeconds: 0 } };
}

/** Routes of reads to instances. */
export function readsFrom(...urls: readonly string[]): Settings {
  return { upstreams: { 'query-api': { urls } }, routes: [{ prefix: '/v1', methods: ['GET'], upstream: 'query-api' }] };
}

/**
 * Goes to the login page of the provider, and answers it. Returns where that leads, not followed if it is the gateway's callback.
 *
 * @param change of the address at the provider, as a browser's add-on or somebody in between could make it
 */
export async function answerLogin(
  client: CookieClient,
  { url }: Pick<GatewayParts, 'url'>,
  name: keyof typeof passwords,
  returnTo = '/',
  change: (authorization: URL) => void = () => undefined,
): Promise<string> {
  const begun = await client.ask(`${url}/auth/login?return_to=${encodeURIComponent(returnTo)}`);
  const authorization = new URL(begun.headers.get('location') ?? assert.fail(`${begun.status} ${begun.text}`));
  change(authorization);
  const page = await client.follow(authorization.href);
  assert.equal(page.status, 200, page.text);
  const action = /action="(?<path>[^"]+)"/.exec(page.text)?.groups?.['path'] ?? '';
  const answered = await client.ask(new URL(action, page.url).href, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ name, password: passwords[name] }).toString(),
  });
  const resume = answered.headers.get('location') ?? assert.fail(`${answered.status} ${answered.text}`);
  const { next } = await client.follow(new URL(resume, page.url).href, (to) => to.startsWith(`${url}/auth/callback`));
  return next ?? assert.fail('no callback');
}

/** A client with a session, and the token that its writes need. */
export async function loggedIn(
  parts: Pick<GatewayParts, 'url'>,
  name: keyof typeof passwords = 'alice',
): Promise<{ readonly client: CookieClient; readonly csrfToken: string; readonly callback: string }> {
  const client = cookieClient();
  const callback = await answerLogin(client, parts, name);
  const back = await client.ask(callback);
  assert.equal(back.status, 303, back.text);
  const session: unknown = JSON.parse((await client.ask(`${parts.url}/auth/session`)).text);
  assert.ok(typeof session === 'object' && session !== null && 'csrfToken' in session && typeof session.csrfToken === 'string');
  return { client, csrfToken: session.csrfToken, callback };
}

/** A token of the program, by client credentials. */
export async function programToken({ provider }: Pick<GatewayParts, 'provider'>, scope = 'read'): Promise<string> {
  const response = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${program.clientId}:${encodeURIComponent(program.secret)}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, resource: servicesAudience }),
  });
  const answer: unknown = await response.json();
  assert.ok(typeof answer === 'object' && answer !== null && 'access_token' in answer, JSON.stringify(answer));
  assert.ok(typeof answer.access_token === 'string');
  return answer.access_token;
}

/** What kind of problem an answer is. */
export function kindOf({ text }: Pick<Got, 'text'>): string | null {
  const found = /"type":"urn:cdc:problem:(?<kind>[\w-]+)"/.exec(text);
  return found?.groups?.['kind'] ?? null;
}
