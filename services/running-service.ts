import type { Logger } from '#pipeline/index.ts';

/** A service that runs. Disposing ends it in order, within its `endWithinMs`. */
export type RunningService = AsyncDisposable & {
  /** `http://host:port` of the service. */
  readonly url: string;
  /** Of /metrics and /status. */
  readonly monitoringUrl: string;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;
};

type Started = {
  /** As the log names it. */
  readonly name: string;
  readonly serving: Pick<RunningService, 'url' | 'monitoringUrl'>;
  /** All that the service has opened. */
  readonly resources: AsyncDisposable;
  /** Aborting it ends the service, as `until` does. */
  readonly stopping: AbortController;
  readonly until: AbortSignal;
  readonly auth: string;
  readonly logger: Logger;
  /** What has to end before the server can. */
  readonly endFirst?: () => PromiseLike<void>;
};

/** The handle of a service that has started. It ends when `until` is aborted, or when the handle is disposed. */
export function runningService(started: Started): RunningService {
  const { name, serving, resources, stopping, until, auth, logger, endFirst } = started;
  const { url, monitoringUrl } = serving;
  logger.info({ url, monitoring: monitoringUrl, auth }, `${name} serves`);
  const closed = (async () => {
    await aborted(until);
    await endFirst?.();
    await resources[Symbol.asyncDispose]();
    logger.info(`${name} has ended`);
  })();
  closed.catch(() => undefined);
  return {
    url,
    monitoringUrl,
    closed,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await closed;
    },
  };
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
