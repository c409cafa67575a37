import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import * as z from 'zod';
import { CdcError, describeError } from '#pipeline/index.ts';
import { errorSchema } from './schemas.ts';

/** Where Connect is and who asks. A private CA is trusted through NODE_EXTRA_CA_CERTS. */
export type ConnectLocation = { readonly url: string; readonly username?: string | undefined; readonly password?: string | undefined };

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

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

/** 409: the workers are rebalancing, which ends by itself; nothing was done. */
const whileRebalancing = retry(
  handleWhen((error) => error instanceof ConnectAnswer && error.status === 409),
  { maxAttempts: 12, backoff: new ExponentialBackoff({ initialDelay: 100, maxDelay: 5_000 }) },
);

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
      const answer = await send(
        `${base}${path}`,
        base,
        { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
        cancelled,
      );
      return readAnswer(answer, `${base}${path}`);
    }, signal);
}

async function send(url: string, base: string, init: RequestInit, cancelled: AbortSignal): Promise<Response> {
  const timeout = AbortSignal.timeout(requestTimeoutMs);
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any([timeout, cancelled]) });
  } catch (error) {
    if (cancelled.aborted) throw error;
    const cause = timeout.aborted ? `no answer within ${requestTimeoutMs / 1000} s` : describeError(innermost(error));
    throw new CdcError('CONNECT_UNREACHABLE', `no answer from Kafka Connect at ${base}: ${cause}`, { cause: error });
  }
}

async function readAnswer(answer: Response, url: string): Promise<unknown> {
  const text = await answer.text();
  if (answer.ok) {
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new CdcError('CONNECT_UNREACHABLE', `${url} answers, but not in JSON: is it Kafka Connect's REST address?`, { cause: error });
    }
  }
  if (answer.status === 401 || answer.status === 403) {
    throw new CdcError('CONNECT_LOGIN_REFUSED', `Kafka Connect refuses the request (${answer.status}) at ${url}`);
  }
  throw new ConnectAnswer(answer.status, messageOf(text));
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

/** fetch wraps the socket's error in "fetch failed". */
function innermost(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? innermost(error.cause) : error;
}

function authorization({ username, password }: ConnectLocation): Record<string, string> {
  if (username === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` };
}
