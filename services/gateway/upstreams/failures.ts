import { errors } from 'undici';
import { codeOf } from '../../http/postgres-failures.ts';
import { Problem } from '../../http/problems.ts';

/**
 * How a request to an instance failed. `unreached`: there was no connection, so the instance has seen nothing of it. `broke-off`: it may have seen it.
 * `aborted`: our client has gone, which says nothing of the instance.
 */
export type Failure = 'unreached' | 'broke-off' | 'timeout' | 'aborted';

const unreached: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export function failureOf(error: unknown): Failure {
  if (error instanceof AggregateError) return error.errors.every((each) => failureOf(each) === 'unreached') ? 'unreached' : 'broke-off';
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout';
  if (error instanceof errors.RequestAbortedError || (error instanceof Error && error.name === 'AbortError')) return 'aborted';
  return unreached.has(codeOf(error)) ? 'unreached' : 'broke-off';
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether another instance may be tried. A write that an instance may have seen is not sent twice, PUT and DELETE neither: they may have conditions. */
export function mayTryAnother(method: string, failure: Failure): boolean {
  if (failure === 'unreached') return true;
  return failure === 'broke-off' && safeMethods.has(method);
}

/** What the client gets when no other is left. */
export function problemOfFailure(failure: Failure, upstream: string, cause: unknown): Problem {
  if (failure === 'timeout') return new Problem('upstream-timeout', `${upstream} has not answered in time.`, { cause });
  if (failure === 'unreached') return new Problem('upstream-unavailable', `No instance of ${upstream} can be reached.`, { cause });
  return new Problem('upstream-failed', `${upstream} broke off before it answered. Whether it has done what was asked is not known.`, {
    cause,
  });
}
