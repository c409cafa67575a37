import type { FastifyInstance } from 'fastify';
import type { ServiceHttpConfig } from '#pipeline/index.ts';
import type { Authenticate } from './auth.ts';
import { healthServed, monitoringServed, serveHealth, serveMonitoring, type HealthOptions, type MonitoringOptions } from './operations.ts';
import { close, createServer, listen, type ServerOptions } from './server.ts';

export type ServeOptions = Omit<ServerOptions, 'settings'> &
  HealthOptions &
  Omit<MonitoringOptions, 'authenticate'> & {
    readonly settings: ServiceHttpConfig;
    /** Asked before /metrics and /status, where they are beside the service. */
    readonly authenticate: Authenticate;
    /** Adds the service's own routes. */
    readonly routes: (app: FastifyInstance) => void | Promise<void>;
  };

/** A service that listens. Disposing takes no more requests and lets those that run end within `endWithinMs`. */
export type Serving = AsyncDisposable & {
  /** `http://host:port`. */
  readonly url: string;
  /** Of /metrics and /status: a port of their own where the settings name one, else the service's. */
  readonly monitoringUrl: string;
};

/**
 * Serves routes with health, status and metrics beside them.
 *
 * @throws CdcError SERVICE_HTTP_UNAVAILABLE
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { settings, logger, served } = options;
  await using opened = new AsyncDisposableStack();
  const apart = settings.monitoring !== undefined;
  const app = await createServer({ ...options, served: [...served, healthServed, ...(apart ? [] : [monitoringServed])] });
  serveHealth(app, options);
  await options.routes(app);
  if (!apart) serveMonitoring(app, options);
  const url = await listen(app, settings.http);
  opened.defer(() => close(app, settings.endWithinMs));
  let monitoringUrl = url;
  if (settings.monitoring !== undefined) {
    // Who monitors asks again and again, from one address.
    const quiet = { ...settings, rateLimit: { ...settings.rateLimit, requests: 0 } };
    const monitoring = await createServer({ settings: quiet, logger, served: [healthServed, monitoringServed] });
    serveHealth(monitoring, options);
    serveMonitoring(monitoring, { ...options, authenticate: null });
    monitoringUrl = await listen(monitoring, settings.monitoring);
    opened.defer(() => close(monitoring, settings.endWithinMs));
  }
  const resources = opened.move();
  return { url, monitoringUrl, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
