import { CallFailed, type Call } from './call.ts';

/** Whether and when a call is made again. Pure. */

export type RetrySettings = {
  /** Calls in all; 1: none is made again. */
  readonly attempts: number;
  /** Before the second attempt, at the longest; doubled before each further one. */
  readonly retryDelayMs: number;
  /** A service that asks for a longer pause (Retry-After) is not asked again by this call. */
  readonly retryAfterMostMs: number;
};

/** Methods that may be sent twice: a second one has no further effect (RFC 9110, 9.2.2). PATCH and POST are not. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);
/** Statuses that may be another one soon. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Ms to wait before the attempt after this one; null: no further one.
 *
 * @param attempt of the failed one, from 1 on
 * @param random from 0 to 1: calls that failed together are not made again together
 */
export function retryIn(
  method: Call<unknown>['method'],
  failure: CallFailed,
  attempt: number,
  { attempts, retryDelayMs, retryAfterMostMs }: RetrySettings,
  random: number,
): number | null {
  if (attempt >= attempts || !idempotent.has(method) || !mayPass(failure)) return null;
  const asked = failure.retryAfterMs ?? 0;
  if (asked > retryAfterMostMs) return null;
  return asked + Math.ceil(random * retryDelayMs * 2 ** (attempt - 1));
}

/** An open breaker or a full bulkhead is not gone in a moment, and an answer that makes no sense makes none again. */
function mayPass({ kind, status }: CallFailed): boolean {
  if (kind === 'status') return status !== null && passing.has(status);
  return kind === 'unreachable' || kind === 'timeout';
}

/** Seconds, or a date (RFC 9110, 10.2.3), as ms from `now`; null for neither. */
export function parseRetryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** Whether the other service itself is at fault, which its breaker counts. A request that it refuses is not. */
export function isFaultOfService(error: unknown): boolean {
  if (!(error instanceof CallFailed)) return false;
  return error.kind === 'status'
    ? error.status !== null && error.status >= 500
    : error.kind === 'unreachable' || error.kind === 'answer-invalid';
}
