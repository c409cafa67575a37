import { describeError, pause, type Logger } from '#pipeline/index.ts';
import { createGuard, Refused, type Guard, type GuardSettings } from '../resilience/guard.ts';
import { contextHeaders } from '../http/request-ids.ts';
import { CallFailed, type Call, type CallAnswer } from './call.ts';
import { isFaultOfService, parseRetryAfter, retryIn, type RetrySettings } from './retry.ts';

/** The one way in which a service asks another. */

export type HttpClientSettings = GuardSettings &
  RetrySettings & {
    /** Address of the other service; its path comes before each call's. */
    readonly url: string;
    /** Largest body of an answer. */
    readonly maxAnswerBytes: number;
  };

export type HttpClient = {
  /**
   * Asks, and gives the answer when its status is below 300 and its body is as expected. Methods that may be repeated are asked again, `attempts` times in all.
   * Redirects are not followed: a token goes to the configured address and nowhere else.
   *
   * @throws CallFailed; the signal's reason when it is aborted
   */
  call<Answer>(call: Call<Answer>): Promise<CallAnswer<Answer>>;
  readonly guard: Guard;
};

/** @param name of the other service, in errors, logs and metrics */
export function createHttpClient(name: string, settings: HttpClientSettings, logger: Logger): HttpClient {
  const guard = createGuard(name, settings, isFaultOfService, logger);
  const base = settings.url.replace(/\/+$/, '');
  return {
    guard,
    async call(call) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await guard.run((signal) => ask(name, `${base}${call.path}`, call, settings.maxAnswerBytes, signal), call.signal);
        } catch (error) {
          call.signal.throwIfAborted();
          const failure = error instanceof Refused ? new CallFailed(error.why, error.message) : error;
          if (!(failure instanceof CallFailed)) throw error;
          const waitMs = retryIn(call.method, failure, attempt, settings, Math.random());
          if (waitMs === null) throw failure;
          logger.debug({ service: name, attempt, waitMs, requestId: call.context.requestId }, `asked again: ${describeError(failure)}`);
          await pause(waitMs, call.signal);
          call.signal.throwIfAborted();
        }
      }
    },
  };
}

async function ask<Answer>(
  name: string,
  url: string,
  { method, headers, body, context, answer }: Call<Answer>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<CallAnswer<Answer>> {
  const response = await answerOf(name, url, signal, {
    method,
    redirect: 'manual',
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
      ...contextHeaders(context),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.status >= 300) {
    await response.body?.cancel();
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
    throw new CallFailed('status', `${name} answered ${response.status}`, { status: response.status, retryAfterMs });
  }
  const text = await textOf(name, response, maxBytes, signal);
  let json: unknown;
  try {
    json = text === '' ? null : JSON.parse(text);
  } catch (error) {
    throw new CallFailed('answer-invalid', `${name} answered what is no JSON`, { cause: error });
  }
  const { success, data, error } = answer.safeParse(json);
  if (!success) throw new CallFailed('answer-invalid', `${name} answered another thing than expected`, { cause: error });
  return { status: response.status, headers: response.headers, body: data };
}

async function answerOf(name: string, url: string, signal: AbortSignal, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(name, error);
  }
}

/** Reads no more than `maxBytes`, whatever Content-Length says. */
async function textOf(name: string, { body }: Response, maxBytes: number, signal: AbortSignal): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw new CallFailed('answer-invalid', `${name} answered more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof CallFailed ? error : unreachable(name, error);
  }
  return Buffer.concat(chunks).toString();
}

/** What fetch throws says only in its cause what happened. */
function unreachable(name: string, error: unknown): CallFailed {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new CallFailed('unreachable', `${name} cannot be reached: ${describeError(cause)}`, { cause: error });
}
