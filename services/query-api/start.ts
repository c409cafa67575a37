import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { requireModel, requireReadModel } from '#read-model/index.ts';
import { createStreams } from './changes/streams.ts';
import { followPositions } from './freshness/follow-positions.ts';
import { createAuthenticate } from '../http/auth.ts';
import { serve } from '../http/serve.ts';
import { runningService, type RunningService } from '../running-service.ts';
import { begin, firstLook, warnOfOpenDoors } from '../starting.ts';
import { modelProblemOf } from './http/failures.ts';
import { createMetrics, type Figures } from './http/metrics.ts';
import { openApiDocument } from './http/openapi.ts';
import { modelStatus } from './http/status.ts';
import { routeOf, serveTables } from './http/tables.ts';
import { createFallback } from './fallback/fallback.ts';
import { openReader } from './model/reader.ts';
import type { Applied } from './model/readings.ts';
import { requireQueryApi } from './settings.ts';

export type QueryApiOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  /** Aborting it ends the API as disposing does. */
  readonly signal: AbortSignal;
};

const apiPaths = [/^\/v1\/[^/]/, /^\/openapi\.json$/];

/**
 * Serves a read model over HTTP until disposed or aborted. A read database that is away is no reason not to start: requests get 503 and /readyz says why.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, QUERY_API_LOGIN_REFUSED, QUERY_API_GRANT_MISSING,
 *   QUERY_API_ROLE_TOO_STRONG, SERVICE_HTTP_UNAVAILABLE, SERVICE_TLS_INVALID
 */
export async function startQueryApi(options: QueryApiOptions): Promise<RunningService> {
  const { config } = options;
  const { queryApi: settings, model } = requireQueryApi(config);
  const readModel = requireReadModel(config);
  const { staleAfterMs, clockAheadMs } = requireModel(readModel, model);
  const { logger, stopping, until } = begin(options, { service: 'query-api', model });
  await using opened = new AsyncDisposableStack();
  const reader = opened.use(openReader({ readModel, queryApi: settings, model, logger }));
  await firstLook(
    {
      look: () => reader.catalogue(),
      away: 'READ_DB_UNREACHABLE',
      warning: 'the read database is away: requests are answered with 503 until it is back',
    },
    logger,
  );
  const fallback =
    settings.fallback === undefined
      ? null
      : opened.use(
          createFallback({ settings: settings.fallback, queryApi: settings, legacyDb: config.legacyDb, reader, clockAheadMs, logger }),
        );
  await fallback?.check();
  const whenAway = fallback === null ? 'wait' : 'give-up';
  const positions = followPositions({ reader, clockAheadMs, whenAway, logger, signal: until });
  const streams = opened.use(createStreams({ most: settings.streams, bufferBytes: settings.streamBufferBytes, positions, logger }));
  let readable = false;
  let stalenessMs: number | null = null;
  const figures = (): Figures => ({
    streams: streams.figures,
    pool: { total: reader.pool.totalCount, idle: reader.pool.idleCount, waiting: reader.pool.waitingCount },
    modelReadable: readable,
    stalenessMs,
    lastAnswers: fallback?.lastAnswers ?? { answers: 0, bytes: 0 },
  });
  const askHowFar = async (): Promise<Applied> => {
    await reader.catalogue();
    return reader.applied();
  };
  const whyModelAway = async (): Promise<string | null> => {
    try {
      const applied = await (fallback === null ? askHowFar() : fallback.model.run(askHowFar));
      stalenessMs = applied.stalenessMs === null ? null : Number(applied.stalenessMs);
      readable = true;
      return null;
    } catch (error) {
      readable = false;
      return `read model ${model} cannot be read: ${error instanceof CdcError ? `${error.code}: ` : ''}${describeError(error)}`;
    }
  };
  const whyNotReady = async (): Promise<string | null> => {
    if (until.aborted) return 'the server is about to end';
    const why = await whyModelAway();
    return fallback?.canAnswer === true ? null : why;
  };
  const metrics = createMetrics(figures, () => fallback?.guards ?? []);
  const authenticate = createAuthenticate(settings);
  warnOfOpenDoors(settings, 'read every table of the model', logger);
  const serving = opened.use(
    await serve({
      settings,
      place: 'services.queryApi',
      logger,
      authenticate,
      whyNotReady,
      registry: metrics.registry,
      status: () => modelStatus({ reader, figures, settings, staleAfterMs, whyNotReady, whyModelAway, guards: fallback?.guards ?? [] }),
      served: apiPaths.map((path) => ({ path, methods: ['GET'] })),
      problemOf: (error) => modelProblemOf(error, logger),
      onAnswered: (request, reply, path) =>
        metrics.answered(routeOf(request, reply, path), request.tableAsked ?? '', reply.statusCode, reply.elapsedTime / 1000),
      routes(app) {
        serveTables(app, {
          reader,
          fallback,
          positions,
          streams,
          authenticate,
          metrics,
          settings,
          staleAfterMs,
          clockAheadMs,
          signal: until,
        });
        app.get('/openapi.json', async (request, reply) => {
          await authenticate(request.headers.authorization);
          const { tables } = await reader.catalogue();
          const { auth, defaultLimit, maxLimit } = settings;
          return reply
            .header('cache-control', 'private, no-cache')
            .send(openApiDocument({ model, tables: [...tables.values()], auth, defaultLimit, maxLimit }));
        });
      },
    }),
  );
  return runningService({
    name: 'the query API',
    serving,
    resources: opened.move(),
    stopping,
    until,
    auth: settings.auth,
    logger,
    // Live streams would keep the server from ending.
    endFirst: () => streams[Symbol.asyncDispose](),
  });
}
