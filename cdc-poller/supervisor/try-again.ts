import { CdcError, describeError, pause, type Logger } from '#pipeline/index.ts';
import { backOffMs } from './back-off.ts';

/** Logs what went wrong and waits before try number `attempt + 1`; less when the signal is aborted. */
export async function waitAfter(
  error: unknown,
  attempt: number,
  { signal, logger }: { readonly signal: AbortSignal; readonly logger: Logger },
): Promise<void> {
  const ms = backOffMs(attempt, Math.random());
  const code = error instanceof CdcError ? { code: error.code, remedy: error.remedy } : {};
  logger.warn({ ...code, nextTryInMs: ms }, describeError(error));
  await pause(ms, signal);
}
