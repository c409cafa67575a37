/** A service that runs. Disposing ends it in order, within its `endWithinMs`. */
export type RunningService = AsyncDisposable & {
  /** `http://host:port` of the service. */
  readonly url: string;
  /** Of /metrics and /status. */
  readonly monitoringUrl: string;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;
};

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
