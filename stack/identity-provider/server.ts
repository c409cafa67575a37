import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import type { Provider } from 'oidc-provider';
import { newSigningKey, type SigningKeys } from './keys.ts';
import { loginPage, style } from './login-page.ts';
import { createProvider } from './provider.ts';
import { identityProviderSettings, type IdentityProviderInput, type IdentityProviderSettings } from './settings.ts';

/** An OpenID provider that listens. Disposing cuts off what runs. */
export type IdentityProvider = AsyncDisposable & {
  readonly issuer: string;
  /** Signs with a new key from now on. `keepOld`: what the old ones signed stays valid. */
  rotateKeys(keepOld: boolean): Promise<void>;
};

export type IdentityProviderOptions = IdentityProviderInput & {
  /** The interface that it listens on. */
  readonly host: string;
  /** Where clients and browsers find it, without a path. Default: where it listens. */
  readonly issuer?: string;
  /** Default: new ones. */
  readonly keys?: SigningKeys;
  readonly onKeys?: (keys: SigningKeys) => Promise<void>;
};

const bodyMost = 4096;

/**
 * Serves oidc-provider with a plain login page. For the sample and for tests: passwords are compared as they are, sessions are in memory, there is no TLS.
 */
export async function startIdentityProvider({
  host,
  issuer: address,
  keys: given,
  onKeys,
  ...input
}: IdentityProviderOptions): Promise<IdentityProvider> {
  const settings = identityProviderSettings.parse(input);
  let keys: SigningKeys = given ?? [await newSigningKey()];
  await onKeys?.(keys);
  const cookieKey = randomBytes(32).toString('base64url');
  let provider: Provider | null = null;
  const server = createServer((request, response) => {
    if (provider === null) return void response.writeHead(503).end();
    answer(provider, settings, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(400, { 'content-type': 'text/plain' });
      response.end('This login has expired or was never begun. Go back to where you came from.\n');
    });
  });
  server.listen(settings.port, host);
  await once(server, 'listening');
  const listening = server.address();
  const port = typeof listening === 'object' && listening !== null ? listening.port : settings.port;
  const issuer = address ?? `http://${host}:${port}`;
  const serve = (): void => {
    // Sessions and grants are the module's, so that they outlive this exchange.
    provider = createProvider({ issuer, settings, keys: { keys: [...keys] }, cookieKey });
  };
  serve();
  return {
    issuer,
    async rotateKeys(keepOld) {
      keys = [await newSigningKey(), ...(keepOld ? keys : [])];
      await onKeys?.(keys);
      serve();
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  provider: Provider,
  settings: IdentityProviderSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://provider.invalid');
  if (pathname === '/livez') return void response.writeHead(200, { 'content-type': 'text/plain' }).end('alive\n');
  const uid = /^\/interaction\/([\w-]+)$/.exec(pathname)?.[1];
  if (uid === undefined) return void provider.callback()(request, response);
  const details = await provider.interactionDetails(request, response);
  if (details.uid !== uid) throw new Error('another login');
  if (request.method !== 'POST') return showLogin(settings, response, uid, false);
  const form = new URLSearchParams(await boundedText(request));
  const user = settings.users.find(({ name }) => name === form.get('name'));
  if (user === undefined || !isEqual(user.password, form.get('password') ?? '')) return showLogin(settings, response, uid, true);
  await provider.interactionFinished(request, response, { login: { accountId: user.name } });
}

function showLogin({ gateway }: IdentityProviderSettings, response: ServerResponse, uid: string, failed: boolean): void {
  const styleHash = createHash('sha256').update(style).digest('base64');
  response
    .writeHead(failed ? 401 : 200, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      // A browser checks where a form leads to, through redirects too.
      'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; form-action 'self' ${gateway.origins.join(' ')}; frame-ancestors 'none'`,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
    .end(loginPage(uid, failed));
}

async function boundedText(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? Number.NaN) <= bodyMost) return textOf(request);
  throw new Error('the form is too large, or does not say how large it is');
}

function isEqual(one: string, other: string): boolean {
  return timingSafeEqual(hash(one), hash(other));
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
