import { Agent } from 'node:https';
import { CdcError, describeError, tlsOptions, type SchemaRegistryConfig } from '#pipeline/index.ts';
import type { RestService } from '@confluentinc/schemaregistry/dist/rest-service.js';

export type Method = 'GET' | 'POST' | 'PUT';

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

export type Request = (method: Method, path: string, body: object | undefined, signal: AbortSignal | undefined) => Promise<unknown>;

/** The address without a login, which a URL may carry. */
export function plainUrl(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href.replace(/\/+$/, '');
}

/**
 * Requests to one registry, through the REST layer of Confluent's client. It is loaded with the first request, because it costs 130 ms and
 * 35 MB that nobody pays who has JSON topics only. (The package's index costs ten times that: it brings every cloud's key store.)
 *
 * @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED; {@link RegistryAnswer}
 */
export function registryRequests(config: SchemaRegistryConfig): Request {
  const url = plainUrl(config.url);
  let service: Promise<RestService> | undefined;
  return async (method, path, body, signal) => {
    service ??= restService(config);
    const rest = await service;
    const timeout = AbortSignal.timeout(config.requestTimeoutMs);
    try {
      const options = { signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]) };
      const answer = await rest.handleRequest<unknown>(path, method, body, options);
      return answer.data;
    } catch (error) {
      signal?.throwIfAborted();
      if (timeout.aborted) throw unreachable(url, `no answer within ${config.requestTimeoutMs} ms`);
      throw whatWentWrong(error, url, path);
    }
  };
}

async function restService({ url, username, password, tls, requestTimeoutMs }: SchemaRegistryConfig): Promise<RestService> {
  const { RestService } = await import('@confluentinc/schemaregistry/dist/rest-service.js');
  return new RestService(
    [url.replace(/\/+$/, '')],
    false,
    { timeout: requestTimeoutMs, ...(tls === undefined ? {} : { httpsAgent: new Agent({ ...tlsOptions(tls), keepAlive: true }) }) },
    username === undefined ? undefined : { credentialsSource: 'USER_INFO', userInfo: `${username}:${password ?? ''}` },
    undefined,
    0,
  );
}

/** The client's errors carry the request with its headers, the login among them: of those only the words go on. */
function whatWentWrong(error: unknown, url: string, path: string): Error {
  const status = numberOf(error, 'status');
  const code = numberOf(error, 'errorCode');
  if (status === undefined || code === undefined) return unreachable(url, describeCode(error));
  const message = describeError(error)
    .replace(/; Error code: -?\d+$/, '')
    // What the client says where the answer has no words of a registry: a proxy's page, Karapace's refusal of a login.
    .replace(/^Unknown error: Request failed with status code \d+$/, 'no reason given');
  if (status === 401 || status === 403)
    return new CdcError('REGISTRY_REFUSED', `the schema registry at ${url} refuses ${path} (${status}): ${message}`);
  if (isAnswer(status, code)) return new RegistryAnswer(status, message);
  return unreachable(url, `it answered ${status} (${message})`, status === 404 ? new RegistryAnswer(status, message) : undefined);
}

/** Above 40400 are the registry's own words for "no such subject, version, schema"; another 404 is not a registry speaking. */
function isAnswer(status: number, code: number): boolean {
  return status === 400 || status === 409 || status === 422 || (status === 404 && code > 40_400);
}

/** With a {@link RegistryAnswer} as its cause where somebody answers who does not know the path. */
export function unreachable(url: string, why: string, cause?: RegistryAnswer): CdcError {
  return new CdcError('REGISTRY_UNREACHABLE', `no usable answer from the schema registry at ${url}: ${why}`, { cause });
}

function describeCode(error: unknown): string {
  const text = describeError(error);
  const code = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return text === 'Error' || text === '' ? code : text;
}

function numberOf(error: unknown, name: 'status' | 'errorCode'): number | undefined {
  if (!(error instanceof Error) || !(name in error)) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'number' ? value : undefined;
}
