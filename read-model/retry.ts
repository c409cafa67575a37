import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import { CdcError, describeError, type Logger } from '#pipeline/index.ts';

/** SQLSTATEs (and classes, by their two letters) after which the same transaction may succeed. */
const retryableStates: ReadonlySet<string> = new Set(['08', '53', '40', '25006', '55P03', '57P01', '57P02', '57P03', '57P05']);
const retryableCodes: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH ENETDOWN ECONNABORTED'.split(' '),
);
/** pg has no codes for what happens to its connections. */
const connectionMessage = /connection (?:terminated|error)|not queryable|timeout exceeded when trying to connect|client was closed/i;

/** Whether an error of the database is a passing one: the connection was lost, a deadlock, a server that starts or stops. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isRetryable);
  if (!(error instanceof Error)) return false;
  if (error instanceof CdcError) return error.code === 'KAFKA_UNREACHABLE' || error.code === 'REGISTRY_UNREACHABLE';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined) return connectionMessage.test(error.message);
  return retryableCodes.has(code) || retryableStates.has(code) || retryableStates.has(code.slice(0, 2));
}

/**
 * Runs `work` until it succeeds, fails for good, or `signal` is aborted; waits longer after each passing failure, up to 2 s.
 *
 * @throws what `work` threw last, or the signal's reason
 */
export async function retrying<T>(what: string, logger: Logger, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const policy = retry(
    handleWhen((error) => !signal.aborted && isRetryable(error)),
    { maxAttempts: Number.MAX_SAFE_INTEGER, backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 2000 }) },
  );
  policy.onRetry((event) => {
    const reason = 'error' in event ? describeError(event.error) : '';
    logger.warn({ attempt: event.attempt, delayMs: Math.round(event.delay), reason }, `${what} failed for now; trying again`);
  });
  const done = policy.execute(async () => {
    signal.throwIfAborted();
    return work();
  }, signal);
  return unlessAborted(done, signal);
}

/** `promise`, or a rejection with the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Whichever lost the race has nobody else to hear it fail.
    promise.catch(() => undefined);
    aborted.promise.catch(() => undefined);
  }
}
