import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { requireScope, type Authenticate } from './auth.ts';
import type { Served } from './server.ts';

export type HealthOptions = {
  /** Why the service cannot do its work, asked now; null when it can. Never throws. */
  readonly whyNotReady: () => Promise<string | null>;
};

export type MonitoringOptions = {
  readonly registry: Registry;
  /** What `/status` answers. */
  readonly status: () => Promise<Readonly<Record<string, unknown>>>;
  /** Asked before /metrics and /status; null where the port is the monitoring's own. */
  readonly authenticate: Authenticate | null;
};

export const healthServed: Served = { path: /^\/(?:livez|readyz)$/, methods: ['GET'] };
export const monitoringServed: Served = { path: /^\/(?:metrics|status)$/, methods: ['GET'] };

/** `/livez`: 200 while the process answers at all. `/readyz`: whether the service can do its work, by trying. */
export function serveHealth(app: FastifyInstance, { whyNotReady }: HealthOptions): void {
  app.get('/livez', (_request, reply) => reply.type('text/plain; charset=utf-8').send('alive\n'));
  app.get('/readyz', async (_request, reply) => {
    const why = await whyNotReady();
    return reply
      .code(why === null ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ ready: why === null, reasons: why === null ? [] : [why] });
  });
}

/** `/status` for people and `/metrics` for Prometheus, by the scope `monitoring`. */
export function serveMonitoring(app: FastifyInstance, { registry, status, authenticate }: MonitoringOptions): void {
  const admit = async (authorization: string | undefined): Promise<void> => {
    if (authenticate !== null) requireScope((await authenticate(authorization)).has('monitoring'), 'monitoring');
  };
  app.get('/metrics', async (request, reply) => {
    await admit(request.headers.authorization);
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  app.get('/status', async (request, reply) => {
    await admit(request.headers.authorization);
    return reply.header('cache-control', 'no-store').send(await status());
  });
}
