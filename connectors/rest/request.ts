import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text as readText } from 'node:stream/consumers';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import * as z from 'zod';
import { CdcError, describeError, tlsOptions, type TlsConfig } from '#pipeline/index.ts';
import { errorSchema } from './schemas.ts';

/** Where Connect is and who asks. A private CA is trusted through `tls.caFile`, or NODE_EXTRA_CA_CERTS. */
export type ConnectLocation = {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsConfig | undefined;
};

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** Connect said no: `status` and its own words. Internal: callers turn it into what the user should hear. */
export class ConnectAnswer extends Error {
  override readonly name = 'ConnectAnswer';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Request = (method: Method, path: string, body?: unknown, signal?: AbortSignal) => Promise<unknown>;

const requestTimeoutMs = 30_000;

/** The workers are rebalancing, which ends by itself; nothing was done. Connect says so with a 409, and at some addresses with a 500. */
function isRebalance(error: unknown): boolean {
  return error instanceof ConnectAnswer && (error.status === 409 || (error.status === 500 && /\brebalance\b/i.test(error.message)));
}

const whileRebalancing = retry(handleWhen(isRebalance), {
  maxAttempts: 12,
  backoff: new ExponentialBackoff({ initialDelay: 100, maxDelay: 5_000 }),
});

/**
 * Requests to one Connect cluster. A rebalance is waited for (about 30 s at most).
 *
 * @throws CdcError CONNECT_UNREACHABLE, CONNECT_LOGIN_REFUSED; {@link ConnectAnswer} for any other answer than 2xx
 */
export function connectRequests(location: ConnectLocation): Request {
  const base = location.url.replace(/\/+$/, '');
  const headers = { accept: 'application/json', 'content-type': 'application/json', ...authorization(location) };
  return (method, path, body, signal) =>
    whileRebalancing.execute(async ({ signal: cancelled }) => {
      const options = { method, headers, ...tlsSettings(location) };
      const answer = await send(base, path, options, body === undefined ? undefined : JSON.stringify(body), cancelled);
      return readAnswer(answer, `${base}${path}`);
    }, signal);
}

type Answer = { readonly status: number; readonly text: string };

async function send(
  base: string,
  path: string,
  options: RequestOptions,
  body: string | undefined,
  cancelled: AbortSignal,
): Promise<Answer> {
  const timeout = AbortSignal.timeout(requestTimeoutMs);
  try {
    const url = new URL(`${base}${path}`);
    const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      ...options,
      signal: AbortSignal.any([timeout, cancelled]),
    });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    outgoing.on('response', resolve).on('error', reject);
    outgoing.end(body);
    const incoming = await promise;
    return { status: incoming.statusCode ?? 0, text: await readText(incoming) };
  } catch (error) {
    if (cancelled.aborted) throw error;
    // Connect answers for itself at once; what it has to ask Kafka for waits for Kafka.
    const cause = timeout.aborted
      ? `no answer to ${path} within ${requestTimeoutMs / 1000} s (is Kafka up, which it asks?)`
      : describeError(error);
    throw new CdcError('CONNECT_UNREACHABLE', `no answer from Kafka Connect at ${base}: ${cause}`, { cause: error });
  }
}

function readAnswer({ status, text }: Answer, url: string): unknown {
  if (status >= 200 && status < 300) {
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new CdcError('CONNECT_UNREACHABLE', `${url} answers, but not in JSON: is it Kafka Connect's REST address?`, { cause: error });
    }
  }
  if (status === 401 || status === 403) {
    throw new CdcError('CONNECT_LOGIN_REFUSED', `Kafka Connect refuses the request (${status}) at ${url}`);
  }
  throw new ConnectAnswer(status, messageOf(text));
}

/** Connect's own message, out of its JSON error or of a proxy's page, in one short paragraph. */
function messageOf(text: string): string {
  const parsed = z.string().transform(parseJson).pipe(errorSchema).safeParse(text);
  const message = parsed.success ? parsed.data.message : text.replaceAll(/<[^>]*>/g, ' ');
  return message.replaceAll(/\s+/g, ' ').trim().slice(0, 600);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function tlsSettings({ tls }: ConnectLocation): RequestOptions {
  return tls === undefined ? {} : tlsOptions(tls);
}

function authorization({ username, password }: ConnectLocation): Record<string, string> {
  if (username === undefined || username === '') return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` };
}
