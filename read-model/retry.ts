import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import { CdcError, describeError, unlessAborted, type Logger } from '#pipeline/index.ts';
import { faultOf } from './faults/classify.ts';

/** Whether an error is a passing one: the connection was lost, a deadlock, a server that starts or stops, a registry or Kafka that is away. */
export function isRetryable(error: unknown): boolean {
  return faultOf(error) === 'passing' || (error instanceof CdcError && error.code === 'KAFKA_UNREACHABLE');
}

/**
 * Runs `work` until it succeeds, fails for good, or `signal` is aborted; waits longer after each passing failure, up to 2 s. `onRetry` hears
 * of each of these, by its number.
 *
 * @throws what `work` threw last, or the signal's reason
 */
export async function retrying<T>(
  what: string,
  logger: Logger,
  signal: AbortSignal,
  work: () => Promise<T>,
  onRetry?: (error: unknown, attempt: number) => void,
): Promise<T> {
  const policy = retry(
    handleWhen((error) => !signal.aborted && isRetryable(error)),
    { maxAttempts: Number.MAX_SAFE_INTEGER, backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 2000 }) },
  );
  policy.onRetry((event) => {
    const reason = 'error' in event ? describeError(event.error) : '';
    logger.warn({ attempt: event.attempt, delayMs: Math.round(event.delay), reason }, `${what} failed for now; trying again`);
    if ('error' in event) onRetry?.(event.error, event.attempt);
  });
  const done = policy.execute(async () => {
    signal.throwIfAborted();
    return work();
  }, signal);
  return unlessAborted(done, signal);
}
