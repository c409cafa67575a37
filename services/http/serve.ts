import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { ServiceHttpConfig } from '#pipeline/index.ts';
import type { Authenticate } from './auth.ts';
import { followCertificate, readCertificate, warnOfExpiry, type Certificate } from './certificates.ts';
import { close, listen, watchUnused } from './listening.ts';
import { healthServed, monitoringServed, serveHealth, serveMonitoring, type HealthOptions, type MonitoringOptions } from './operations.ts';
import { createServer, type ServerOptions } from './server.ts';

export type ServeOptions = Omit<ServerOptions, 'settings' | 'certificate'> &
  HealthOptions &
  Omit<MonitoringOptions, 'authenticate'> & {
    readonly settings: ServiceHttpConfig;
    /** Where they are in pipeline.yaml, for errors: `services.gateway`. */
    readonly place: string;
    /** Asked before /metrics and /status, where they are beside the service. */
    readonly authenticate: Authenticate;
    /** Adds the service's own routes. */
    readonly routes: (app: FastifyInstance) => void | Promise<void>;
  };

/** A service that listens. Disposing takes no more requests and lets those that run end within `endWithinMs`. */
export type Serving = AsyncDisposable & {
  /** `http://host:port`, `https` with TLS. */
  readonly url: string;
  /** Of /metrics and /status: a port of their own where the settings name one, else the service's. */
  readonly monitoringUrl: string;
};

/**
 * Serves routes with health, status and metrics beside them.
 *
 * @throws CdcError SERVICE_HTTP_UNAVAILABLE, SERVICE_TLS_INVALID
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { settings, place, logger, served } = options;
  await using opened = new AsyncDisposableStack();
  const files = settings.tls === undefined ? null : { place: `${place}.tls`, tls: settings.tls };
  const certificate = files === null ? null : await readCertificate(files);
  const servers: FastifyInstance[] = [];
  if (files !== null && certificate !== null) {
    warnOfExpiry(certificate, files, logger);
    opened.use(followCertificate(files, (next) => servers.forEach(({ server }) => showCertificate(server, next)), logger));
  }
  const open = async (app: FastifyInstance, address: ServiceHttpConfig['http']): Promise<string> => {
    const unused = watchUnused(app);
    const url = await listen(app, address, certificate === null ? 'http' : 'https');
    servers.push(app);
    opened.defer(() => close(app, unused, settings.endWithinMs));
    return url;
  };
  const apart = settings.monitoring !== undefined;
  const app = await createServer({ ...options, certificate, served: [...served, healthServed, ...(apart ? [] : [monitoringServed])] });
  serveHealth(app, options);
  await options.routes(app);
  if (!apart) serveMonitoring(app, options);
  const url = await open(app, settings.http);
  let monitoringUrl = url;
  if (settings.monitoring !== undefined) {
    // Who monitors asks again and again, from one address.
    const quiet = { ...settings, rateLimit: { ...settings.rateLimit, requests: 0 } };
    const monitoring = await createServer({ settings: quiet, logger, certificate, served: [healthServed, monitoringServed] });
    serveHealth(monitoring, options);
    serveMonitoring(monitoring, { ...options, authenticate: null });
    monitoringUrl = await open(monitoring, settings.monitoring);
  }
  const resources = opened.move();
  return { url, monitoringUrl, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** To connections from now on. */
function showCertificate(server: FastifyInstance['server'], certificate: Certificate): void {
  if (server instanceof TlsServer) server.setSecureContext(certificate);
}
