import type { AddressInfo } from 'node:net';
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { atMost, CdcError, describeError, type Logger, type QueryApiConfig } from '#pipeline/index.ts';
import type { Metrics } from './http/metrics.ts';
import { Problem, problemType, type ProblemKind } from './http/problems.ts';

/** The HTTP server without its routes: limits, security headers, problem documents, how it ends. */

type ServerOptions = {
  readonly settings: QueryApiConfig;
  readonly metrics: Metrics | null;
  readonly logger: Logger;
  /** The names of what it serves, for 405: anything else is 404. */
  readonly paths: readonly RegExp[];
};

/** What a request here may send beyond its head: nothing. */
const bodyMost = 1024;

export async function createServer({ settings, metrics, logger, paths }: ServerOptions): Promise<FastifyInstance> {
  const { requestTimeoutMs, trustedProxies, rateLimit: limit } = settings;
  const app = fastify({
    logger: false,
    bodyLimit: bodyMost,
    requestTimeout: requestTimeoutMs,
    // How soon a request that is too slow is noticed.
    http: { connectionsCheckingInterval: Math.min(1000, requestTimeoutMs), headersTimeout: requestTimeoutMs },
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    exposeHeadRoutes: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, problemOf(error, logger)),
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
      const problem = clientProblem(error.code);
      const body = problem.body();
      socket.end(
        `HTTP/1.1 ${problem.statusCode} ${problem.kind}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  });
  app.decorateRequest('tableAsked', null);
  app.setErrorHandler((error: FastifyError, _request, reply) => sendProblem(reply, problemOf(error, logger)));
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, notFound()));
  app.addHook('onRequest', async (request, reply) => refuseOthers(request, reply, paths));
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  });
  if (limit.requests > 0) {
    await app.register(rateLimit, {
      max: limit.requests,
      timeWindow: limit.windowMs,
      allowList: (request) => /^\/(?:livez|readyz)$/.test(pathOf(request)),
      errorResponseBuilder: (_request, { max, after }) =>
        new Problem('too-many-requests', `At most ${max} requests in ${limit.windowMs} ms. Try again in ${after}.`),
    });
  }
  app.addHook('onResponse', (request, reply, done) => {
    metrics?.answered(routeOf(request, reply), request.tableAsked ?? '', reply.statusCode, reply.elapsedTime / 1000);
    // Neither headers nor the query: they may hold what is secret.
    logger.debug(
      { method: request.method, path: pathOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    );
    done();
  });
  return app;
}

function pathOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('?', 1)[0] ?? '';
}

function routeOf(request: FastifyRequest, reply: FastifyReply): string {
  if (request.tableAsked === null) return request.routeOptions.url ?? 'none';
  if (String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')) return 'stream';
  return pathOf(request).split('/').length > 3 ? '/v1/{table}/{key}' : '/v1/{table}';
}

/** Methods that do not read, and requests with a body, before any of it is read. */
function refuseOthers(request: FastifyRequest, reply: FastifyReply, paths: readonly RegExp[]): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (hasBody) reply.header('connection', 'close');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    if (!paths.some((path) => path.test(pathOf(request)))) throw notFound();
    throw new Problem('method-not-allowed', 'GET and HEAD only.', { headers: { allow: 'GET, HEAD' } });
  }
  if (!hasBody) return;
  if (Number(length ?? 0) > bodyMost) throw new Problem('request-too-large', 'A request here has no body.');
  throw new Problem('unsupported-media-type', 'A request here has no body, of whatever type.');
}

function notFound(): Problem {
  return new Problem('not-found', 'Nothing is served at this address. /openapi.json lists what is.');
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.code(problem.statusCode).headers(problem.headers).header('cache-control', 'no-store').type(problemType).send(problem.body());
}

/** Before a request is one. */
function clientProblem(code: string): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers-too-large', 'Address and headers together have at most 16 KiB.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request-timeout', 'The request did not arrive in time.');
  return new Problem('bad-request', 'This is not HTTP/1.1.');
}

/** States of Postgres by what a client did. */
const valueStates = /^(?:22|23)/;

/** What a client is told of an error; what is our own is logged. */
function problemOf(error: unknown, logger: Logger): Problem {
  if (error instanceof Problem) {
    if (error.cause !== undefined) logger.warn({ reason: describeError(error.cause) }, error.message);
    return error;
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (valueStates.test(code)) return new Problem('value-invalid', `A value does not fit its column: ${describeError(error)}.`);
  const status = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  if (code.startsWith('FST_') && status < 500)
    return new Problem(statusKinds[status] ?? 'bad-request', 'The request cannot be understood.');
  if (code === '57014') return logged('query-timeout', 'The query took longer than this server allows. A narrower filter may help.');
  if (error instanceof CdcError || isAway(error, code)) return logged('model-unavailable', 'The read model cannot be read at present.');
  logger.error({ err: error }, 'a request failed');
  return new Problem('internal', 'The fault is in the log of the server.');

  function logged(kind: ProblemKind, detail: string): Problem {
    logger.warn({ reason: describeError(error) }, `a request was answered with ${kind}`);
    return new Problem(kind, detail);
  }
}

const statusKinds: Readonly<Record<number, ProblemKind>> = {
  413: 'request-too-large',
  415: 'unsupported-media-type',
  404: 'not-found',
  414: 'headers-too-large',
};

/** Of the pool or the connection: the server is away, ends, or answers too late. */
function isAway(error: unknown, code: string): boolean {
  if (code !== '') return /^(?:08|28|40|53|55|57|58|42501$|E[A-Z]+$)/.test(code);
  return error instanceof Error && /timeout|connection|terminated|not queryable/i.test(error.message);
}

/** @throws CdcError SERVICE_HTTP_UNAVAILABLE */
export async function listen(app: FastifyInstance, { host, port }: { readonly host: string; readonly port: number }): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new CdcError('SERVICE_HTTP_UNAVAILABLE', `cannot listen on ${host}:${port} (${describeError(error)})`, { cause: error });
  }
  const address: AddressInfo | string | null = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
}

/** Takes no more requests, lets those that run end, and cuts off what has not ended within `ms`. */
export async function close(app: FastifyInstance, ms: number): Promise<void> {
  const closing = app.close();
  app.server.closeIdleConnections();
  await atMost(ms, closing);
  app.server.closeAllConnections();
  await closing;
}
