import type { FastifyInstance } from 'fastify';
import type { QueryApiConfig } from '#pipeline/index.ts';
import { instantOf } from '../changes/streams.ts';
import { formatPosition } from '../freshness/position.ts';
import type { Reader } from '../model/reader.ts';
import { requireScope, type Authenticate } from './auth.ts';
import { freshnessOf } from './freshness-headers.ts';
import type { Figures, Metrics } from './metrics.ts';

export type OperationsOptions = {
  readonly reader: Reader;
  readonly metrics: Metrics;
  readonly figures: () => Figures;
  /** Asked before /metrics and /status; null where the port is the monitoring's own. */
  readonly authenticate: Authenticate | null;
  readonly settings: Pick<QueryApiConfig, 'auth'>;
  readonly staleAfterMs: number;
  /** Why the model cannot be read, by a query of now; null when it can. Never throws. */
  readonly whyNotReady: () => Promise<string | null>;
};

/** `/livez`: 200 while the process answers at all. `/readyz`: whether the model can be read, by reading it. */
export function serveHealth(app: FastifyInstance, { whyNotReady }: Pick<OperationsOptions, 'whyNotReady'>): void {
  app.get('/livez', (_request, reply) => reply.type('text/plain; charset=utf-8').send('alive\n'));
  app.get('/readyz', async (_request, reply) => {
    const why = await whyNotReady();
    return reply
      .code(why === null ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ ready: why === null, reasons: why === null ? [] : [why] });
  });
}

/** `/status` for people and `/metrics` for Prometheus. */
export function serveMonitoring(app: FastifyInstance, options: OperationsOptions): void {
  const { reader, metrics, figures, authenticate, settings, staleAfterMs, whyNotReady } = options;
  const admit = async (authorization: string | undefined): Promise<void> => {
    if (authenticate !== null) requireScope((await authenticate(authorization)).mayMonitor, 'monitoring');
  };
  app.get('/metrics', async (request, reply) => {
    await admit(request.headers.authorization);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  app.get('/status', async (request, reply) => {
    await admit(request.headers.authorization);
    const why = await whyNotReady();
    const base = { model: reader.model, auth: settings.auth, ready: why === null, reasons: why === null ? [] : [why], ...figures() };
    if (why !== null) return reply.header('cache-control', 'no-store').send(base);
    const { tables } = await reader.catalogue();
    const { position, asOf, stalenessMs } = await reader.applied();
    return reply.header('cache-control', 'no-store').send({
      ...base,
      freshness: freshnessOf(stalenessMs, staleAfterMs),
      asOf: asOf === null ? null : instantOf(asOf),
      stalenessMs: stalenessMs === null ? null : Number(stalenessMs),
      position: formatPosition(position),
      tables: [...tables.values()].map(({ name, kind }) => ({ name, kind })),
    });
  });
}
