import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { createAuthenticate } from '../http/auth.ts';
import { serve } from '../http/serve.ts';
import { runningService, type RunningService } from '../running-service.ts';
import { begin, firstLook, warnOfOpenDoors } from '../starting.ts';
import { openLegacy } from './database/legacy.ts';
import { serveCommands } from './http/commands.ts';
import { legacyProblemOf } from './http/failures.ts';
import { orderServiceDocument } from './http/openapi.ts';
import { createOrderMetrics, type Figures } from './metrics.ts';
import { createPrices } from './prices.ts';
import { requireOrders } from './settings.ts';

export type OrderServiceOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  /** Aborting it ends the service as disposing does. */
  readonly signal: AbortSignal;
};

/**
 * Serves commands on orders until disposed or aborted. A legacy database that is away is no reason not to start: requests get 503 and /readyz says why.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, DIALECT_UNSUPPORTED, ORDER_SERVICE_LOGIN_REFUSED, ORDER_SERVICE_GRANT_MISSING, ORDER_SERVICE_ROLE_TOO_STRONG,
 *   SERVICE_HTTP_UNAVAILABLE, SERVICE_TLS_INVALID
 */
export async function startOrderService(options: OrderServiceOptions): Promise<RunningService> {
  const required = requireOrders(options.config);
  const { orders: settings } = required;
  const { logger, stopping, until } = begin(options, { service: 'order-service' });
  await using opened = new AsyncDisposableStack();
  const legacy = opened.use(openLegacy(required, logger));
  let reachable = await firstLook(
    {
      look: () => legacy.check(),
      away: 'LEGACY_DB_UNREACHABLE',
      warning: 'the legacy database is away: commands are answered with 503 until it is back',
    },
    logger,
  );
  const prices = createPrices(settings.prices, logger);
  const guards = prices.guard === null ? [] : [prices.guard];
  const figures = (): Figures => ({
    pool: { total: legacy.pool.totalCount, idle: legacy.pool.idleCount, waiting: legacy.pool.waitingCount },
    legacyReachable: reachable,
  });
  const metrics = createOrderMetrics(figures, () => guards);
  const whyNotReady = async (): Promise<string | null> => {
    if (until.aborted) return 'the server is about to end';
    try {
      await legacy.check();
      reachable = true;
      return null;
    } catch (error) {
      reachable = false;
      return `the legacy database cannot be used: ${error instanceof CdcError ? `${error.code}: ` : ''}${describeError(error)}`;
    }
  };
  const authenticate = createAuthenticate(settings);
  warnOfOpenDoors(settings, 'change orders', logger);
  const serving = opened.use(
    await serve({
      settings,
      place: 'services.orders',
      logger,
      authenticate,
      whyNotReady,
      registry: metrics.registry,
      async status() {
        const why = await whyNotReady();
        const dependencies = Object.fromEntries(guards.map(({ name, figures: now }) => [name, now]));
        return { auth: settings.auth, ready: why === null, reasons: why === null ? [] : [why], ...figures(), dependencies };
      },
      served: [
        { path: /^\/v1\/orders$/, methods: ['POST'] },
        { path: /^\/v1\/orders\/[^/]+$/, methods: ['GET', 'PUT', 'PATCH', 'DELETE'] },
        { path: /^\/openapi\.json$/, methods: ['GET'] },
      ],
      bodyMost: settings.maxBodyBytes,
      problemOf: (error) => legacyProblemOf(error, logger),
      onAnswered: (request, reply) =>
        metrics.answered(request.method, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime / 1000),
      routes(app) {
        serveCommands(app, { legacy, prices, authenticate, settings, metrics, logger, signal: until });
        app.get('/openapi.json', async (request, reply) => {
          await authenticate(request.headers.authorization);
          return reply.header('cache-control', 'private, no-cache').send(orderServiceDocument(settings));
        });
      },
    }),
  );
  return runningService({
    name: 'the order service',
    serving,
    resources: opened.move(),
    stopping,
    until,
    auth: settings.auth,
    logger,
  });
}
