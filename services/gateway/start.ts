import cookie from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CdcError, type GatewayConfig, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { Problem } from '../http/problems.ts';
import { serve } from '../http/serve.ts';
import type { Served } from '../http/server.ts';
import { audiencesOf, type Audiences } from './login/audiences.ts';
import { gatewayCookies } from './login/cookies.ts';
import { refuseOtherSites } from './login/csrf.ts';
import { createGuard } from './login/guard.ts';
import { openProvider } from './login/provider.ts';
import { loginServed, serveLogin } from './login/routes.ts';
import { createSessions } from './login/sessions.ts';
import { begin } from '../starting.ts';
import { runningService, type RunningService } from '../running-service.ts';
import { createMetrics } from './metrics.ts';
import { pagePolicy, pageServed, servePage } from './page/files.ts';
import { nameRequests, proxyRoutes } from './proxy/routes.ts';
import { openUpstream, type Upstream } from './upstreams/upstream.ts';

export type GatewayOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  /** Aborting it ends the gateway as disposing does. */
  readonly signal: AbortSignal;
};

/**
 * One entrance to the services until disposed or aborted: it logs people in, gives their requests a token, and sends each request to an instance that can
 * answer. A provider or a service that is away is no reason not to start: what needs it gets 503.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, SERVICE_HTTP_UNAVAILABLE, SERVICE_TLS_INVALID, GATEWAY_AUDIENCE_UNSUPPORTED
 */
export async function startGateway(options: GatewayOptions): Promise<RunningService> {
  const settings = options.config.services?.gateway;
  if (settings === undefined) throw new CdcError('SERVICE_NOT_CONFIGURED', 'the configuration has no services.gateway');
  const { logger, stopping, until } = begin(options, { service: 'gateway' });
  await using opened = new AsyncDisposableStack();
  const upstreams = new Map<string, Upstream>();
  const metrics = createMetrics(() => ({ sessions: sessions.count, upstreams: [...upstreams.values()] }));
  const sessions = opened.use(createSessions(settings.session));
  const opening = Object.entries(settings.upstreams).map(([name, upstream]) =>
    openUpstream({ name, settings: upstream, logger, onTry: (outcome) => metrics.tried(name, outcome), signal: until }),
  );
  const tried = await Promise.allSettled(opening);
  for (const one of tried) if (one.status === 'fulfilled') upstreams.set(one.value.name, opened.use(one.value));
  for (const one of tried) if (one.status === 'rejected') throw one.reason;
  const audiences = audiencesOf(settings);
  const login = loginOf(settings, audiences, { sessions, logger, metrics });
  if (audiences.own.size > 0) await login?.provider.check();
  if (settings.auth === 'none') logger.warn('auth is none: nobody logs in, and everybody who reaches this port reaches the services');
  if (settings.oidc?.issuer.startsWith('http:') === true)
    logger.warn('the provider is asked without TLS: whoever is in between can log in as anybody');
  const whyNotReady = (): Promise<string | null> => {
    if (until.aborted) return Promise.resolve('the gateway is about to end');
    const isOut = [...upstreams.values()].every(({ instances }) => instances.every(({ ejected }) => ejected));
    return Promise.resolve(isOut ? 'no instance of any service can be reached' : null);
  };
  const serving = opened.use(
    await serve({
      settings,
      place: 'services.gateway',
      logger,
      authenticate: () => Promise.reject(new TypeError('monitoring has a port of its own')),
      whyNotReady,
      registry: metrics.registry,
      status: async () => {
        const why = await whyNotReady();
        return {
          ready: why === null,
          reasons: why === null ? [] : [why],
          auth: settings.auth,
          providerKnown: login?.provider.isKnown ?? null,
          sessions: sessions.count,
          upstreams: Object.fromEntries(
            [...upstreams.values()].map(({ name, instances }) => [
              name,
              instances.map(({ url, pending, ejected, reason }) => ({ url, pending, state: ejected ? 'out' : 'in', reason })),
            ]),
          ),
        };
      },
      served: [...servedBy(settings), ...(login === null ? [] : loginServed), ...(settings.page === undefined ? [] : [pageServed])],
      bodyMost: settings.bodyLimitBytes,
      problemOf: pathProblem,
      contentSecurityPolicy: pagePolicy,
      onAnswered: (request, reply) => {
        const isStream = String(reply.raw.getHeader('content-type')).startsWith('text/event-stream');
        metrics.answered(request.routeOptions.url ?? 'none', reply.statusCode, isStream ? null : reply.elapsedTime / 1000);
      },
      async routes(app) {
        await prepare(app);
        login?.serve(app);
        if (settings.page !== undefined)
          await servePage(app, {
            settings: { ...settings.page, login: login !== null },
            before: (request) => (login === null || login.guard.sessionOf(request) !== null ? null : '/auth/login?return_to=%2F'),
          });
        const admit = (request: FastifyRequest, reply: FastifyReply, upstream: string): Promise<void> =>
          login === null ? admitAll(request) : login.guard.admit(request, reply, audiences.of(upstream));
        await proxyRoutes(app, { routes: settings.routes, upstreams, admit, signal: until });
      },
    }),
  );
  return runningService({
    name: 'the gateway',
    serving,
    resources: opened.move(),
    stopping,
    until,
    auth: settings.auth,
    logger,
  });
}

/** Bodies as they are, of whatever type. */
async function prepare(app: FastifyInstance): Promise<void> {
  await app.register(cookie);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  nameRequests(app);
}

type LoginParts = Readonly<{
  sessions: ReturnType<typeof createSessions>;
  logger: Logger;
  metrics: ReturnType<typeof createMetrics>;
}>;

/** Null with auth: none. */
function loginOf({ auth, oidc, publicUrl }: GatewayConfig, audiences: Audiences, { sessions, logger, metrics }: LoginParts) {
  if (auth === 'none' || oidc === undefined || publicUrl === undefined) return null;
  const provider = openProvider(oidc, audiences, publicUrl, logger);
  const cookies = gatewayCookies(publicUrl);
  const { refreshBeforeMs } = oidc;
  const guard = createGuard({
    sessions,
    cookies,
    provider,
    publicUrl,
    refreshBeforeMs,
    logger,
    onRefresh: (outcome) => metrics.refresh(outcome),
  });
  const serveRoutes = (app: FastifyInstance): void =>
    serveLogin(app, { provider, sessions, guard, cookies, publicUrl, logger, onLogin: (outcome) => metrics.login(outcome) });
  return { provider, guard, serve: serveRoutes };
}

async function admitAll(request: FastifyRequest): Promise<void> {
  if (request.headers.authorization === undefined) refuseOtherSites(request);
}

function servedBy({ routes }: GatewayConfig): readonly Served[] {
  return routes.map(({ prefix, methods }) => ({
    path: new RegExp(`^${prefix.replace(/\/$/, '').replaceAll(/[^\w/]/g, String.raw`\$&`)}(?:/|$)`),
    methods,
  }));
}

/** What @fastify/http-proxy throws for a path that would leave its prefix. */
function pathProblem(error: unknown): Problem | null {
  const isRefused = error instanceof Error && 'statusCode' in error && error.statusCode === 400;
  return isRefused ? new Problem('bad-request', 'The path leads out of its route.') : null;
}
