import { Agent } from 'node:https';
import { CdcError, describeError, installLine, tlsOptions, type SchemaRegistryConfig } from '#pipeline/index.ts';
import type { Compatibility, RestError, SchemaRegistryClient } from '@confluentinc/schemaregistry';

/** The registry said no, in its own words. Internal: callers turn it into what the user should hear. */
export class RegistryAnswer extends Error {
  override readonly name = 'RegistryAnswer';
  /** 400, 404, 409 or 422. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** One call of the client. `what` names in an error what was asked for. */
export type Ask = <T>(
  what: string,
  call: (client: SchemaRegistryClient, names: Pick<ClientPackage, 'Compatibility'>) => Promise<T>,
  signal: AbortSignal | undefined,
  more?: ClientConfig['createAxiosDefaults'],
) => Promise<T>;

type ClientConfig = ConstructorParameters<typeof SchemaRegistryClient>[0];
type ClientPackage = {
  readonly SchemaRegistryClient: typeof SchemaRegistryClient;
  readonly RestError: typeof RestError;
  readonly Compatibility: typeof Compatibility;
};

/** The address without a login, which a URL may carry. */
export function plainUrl(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href.replace(/\/+$/, '');
}

/**
 * Calls of one registry through Confluent's client, which is loaded with the first of them: nobody pays for it who has JSON topics only.
 *
 * Each call has a client of its own. One that is kept answers from its caches, and its methods wait for each other and take no signal.
 *
 * @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED; {@link RegistryAnswer}
 */
export function registryCalls(config: SchemaRegistryConfig): Ask {
  const url = plainUrl(config.url);
  let first: Promise<{ readonly client: ClientPackage; readonly base: ClientConfig }> | undefined;
  return async (what, call, signal, more) => {
    first ??= (async () => ({ client: await clientPackage(), base: clientConfig(config) }))();
    const { client, base } = await first;
    const timeout = AbortSignal.timeout(config.requestTimeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    const createAxiosDefaults = { ...base.createAxiosDefaults, signal: either, ...more };
    try {
      return await call(new client.SchemaRegistryClient({ ...base, createAxiosDefaults }), client);
    } catch (error) {
      signal?.throwIfAborted();
      if (timeout.aborted) throw unreachable(url, `no answer within ${config.requestTimeoutMs} ms`);
      throw error instanceof client.RestError ? refusal(error, url, what) : unreachable(url, describeCode(error));
    }
  };
}

/**
 * The classes of the package's index, each from its own module. The index also loads every cloud's key store: 1.3 s of CPU time in place of 0.3, in
 * which nothing else of the process runs. On a busy machine that was 17 s, and a member of a Kafka group is given up after 10.
 */
export async function clientPackage(): Promise<ClientPackage> {
  requireClient();
  const [client, errors] = await Promise.all([
    import('@confluentinc/schemaregistry/dist/schemaregistry-client.js'),
    import('@confluentinc/schemaregistry/dist/rest-error.js'),
  ]);
  return { SchemaRegistryClient: client.SchemaRegistryClient, Compatibility: client.Compatibility, RestError: errors.RestError };
}

function clientConfig({ url, username, password, tls, requestTimeoutMs }: SchemaRegistryConfig): ClientConfig {
  return {
    baseURLs: [url.replace(/\/+$/, '')],
    cacheCapacity: 1,
    maxRetries: 0,
    createAxiosDefaults: {
      timeout: requestTimeoutMs,
      ...(tls === undefined ? {} : { httpsAgent: new Agent({ ...tlsOptions(tls), keepAlive: true }) }),
    },
    ...(username === undefined
      ? {}
      : { basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `${username}:${password ?? ''}` } }),
  };
}

/** Of the client's errors only the words go on: others of them carry the request with its headers, the login among them. */
function refusal({ status, errorCode, message }: RestError, url: string, what: string): Error {
  // What the client gives where the answer has no words of a registry: a proxy's page, Karapace's refusal of a login.
  const words = errorCode === -1 ? 'no reason given' : message;
  if (status === 401 || status === 403)
    return new CdcError('REGISTRY_REFUSED', `the schema registry at ${url} refuses ${what} (${status}): ${words}`);
  if (isAnswer(status, errorCode)) return new RegistryAnswer(status, words);
  return unreachable(url, `it answered ${status} (${words})`);
}

/** Above 40400 are the registry's own words for "no such subject, version, schema"; another 404 is not a registry speaking. */
function isAnswer(status: number, code: number): boolean {
  return status === 400 || status === 409 || status === 422 || (status === 404 && code > 40_400);
}

export function unreachable(url: string, why: string): CdcError {
  return new CdcError('REGISTRY_UNREACHABLE', `no usable answer from the schema registry at ${url}: ${why}`);
}

function describeCode(error: unknown): string {
  const text = describeError(error);
  const code = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return text === 'Error' || text === '' ? code : text;
}

/** The installed package leaves the client to those who have a registry: it brings the key stores of three clouds. @throws CdcError */
function requireClient(): void {
  try {
    import.meta.resolve('@confluentinc/schemaregistry/dist/schemaregistry-client.js');
  } catch (error) {
    throw new CdcError(
      'REGISTRY_CLIENT_MISSING',
      'The npm package @confluentinc/schemaregistry, the client of a registry, is not installed.',
      {
        cause: error,
        remedy: `Run ${installLine('@confluentinc/schemaregistry')} beside legacy-cdc-bridge.`,
      },
    );
  }
}
