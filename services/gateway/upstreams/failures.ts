import { errors } from 'undici';
import { Problem } from '../../http/problems.ts';
import { NotConnected } from './connections.ts';

/**
 * How a request to an instance failed. `unreached`: there was no connection, so the instance has seen nothing of it. `untrusted`: neither, for its certificate
 * is not the right one. `broke-off`: it may have seen it. `aborted`: our client has gone, which says nothing of the instance.
 */
export type Failure = 'unreached' | 'untrusted' | 'broke-off' | 'timeout' | 'aborted';

export function failureOf(error: unknown): Failure {
  if (error instanceof NotConnected) return error.isUntrusted ? 'untrusted' : 'unreached';
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout';
  if (error instanceof errors.RequestAbortedError || (error instanceof Error && error.name === 'AbortError')) return 'aborted';
  return 'broke-off';
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether another instance may be tried. A write that an instance may have seen is not sent twice, PUT and DELETE neither: they may have conditions. */
export function mayTryAnother(method: string, failure: Failure): boolean {
  if (hasSeenNothing(failure)) return true;
  return failure === 'broke-off' && safeMethods.has(method);
}

/** One is enough to take an instance out: the next request would fail too. */
export function hasSeenNothing(failure: Failure): boolean {
  return failure === 'unreached' || failure === 'untrusted';
}

/** What the client gets when no other is left. */
export function problemOfFailure(failure: Failure, upstream: string, cause: unknown): Problem {
  if (failure === 'timeout') return new Problem('upstream-timeout', `${upstream} has not answered in time.`, { cause });
  if (failure === 'unreached') return new Problem('upstream-unavailable', `No instance of ${upstream} can be reached.`, { cause });
  if (failure === 'untrusted')
    return new Problem('upstream-untrusted', `No instance of ${upstream} has a certificate that is trusted.`, { cause });
  return new Problem('upstream-failed', `${upstream} broke off before it answered. Whether it has done what was asked is not known.`, {
    cause,
  });
}
