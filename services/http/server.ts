import {
  fastify,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerFactory,
} from 'fastify';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { describeError, type Logger, type ServiceHttpConfig } from '#pipeline/index.ts';
import type { Certificate } from './certificates.ts';
import { codeOf } from './postgres-failures.ts';
import { Problem, problemType, type ProblemKind } from './problems.ts';
import { requestIdOf } from './request-ids.ts';
import { createTlsServer } from './tls-server.ts';

/** The HTTP server of a service without its routes: limits, security headers, problem documents, how it ends. */

/** What is served at addresses of one form. Anything else there is 405, and 404 at any other address. */
export type Served = {
  readonly path: RegExp;
  /** GET is HEAD too. A body is taken with POST, PUT and PATCH only. */
  readonly methods: readonly ('GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE')[];
};

export type ServerOptions = {
  readonly settings: Pick<ServiceHttpConfig, 'requestTimeoutMs' | 'trustedProxies' | 'rateLimit'>;
  readonly logger: Logger;
  /** Of an HTTPS server; null: plain HTTP. */
  readonly certificate: Certificate | null;
  readonly served: readonly Served[];
  /** Largest body in bytes, of methods that take one. Default: 1024, for services that take none. */
  readonly bodyMost?: number;
  /** What a client gets for an error of the service's own; null: 500, and the error is logged. */
  readonly problemOf?: (error: unknown) => Problem | null;
  /** Called for each answer, when it is sent. `path`: without the query, which may hold what is secret. */
  readonly onAnswered?: (request: FastifyRequest, reply: FastifyReply, path: string) => void;
  /** Directives of the Content-Security-Policy. Default: a browser may load nothing. */
  readonly contentSecurityPolicy?: Readonly<Record<string, readonly string[]>>;
};

const loadNothing = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] };
const bodyMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
const smallBody = 1024;
/** Longer than proxies in front keep a connection that has nothing to do: they are to end it, and not we while they send. */
const keepAliveMs = 72_000;

export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { settings, logger, certificate, served, bodyMost = smallBody, onAnswered, contentSecurityPolicy = loadNothing } = options;
  const { requestTimeoutMs, trustedProxies, rateLimit: limit } = settings;
  const problemOf = (error: unknown): Problem => requestProblem(error) ?? options.problemOf?.(error) ?? unexpected(error, logger);
  const answerError = (error: unknown, reply: FastifyReply): FastifyReply => {
    const problem = problemOf(error);
    if (problem.cause !== undefined) logger.warn({ reason: describeError(problem.cause) }, problem.message);
    return sendProblem(reply, problem);
  };
  // How soon a request that is too slow is noticed.
  const http = {
    connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
    headersTimeout: requestTimeoutMs,
    // Node refuses a time for the head that is longer than that for the whole, which is five minutes where it is not said.
    requestTimeout: requestTimeoutMs,
  };
  const secure = (shown: Certificate): FastifyServerFactory => {
    const tls = { ...http, ...shown, keepAliveTimeout: keepAliveMs };
    return (handler) => createTlsServer(tls, requestTimeoutMs, handler);
  };
  const app = fastify({
    logger: false,
    genReqId: requestIdOf,
    bodyLimit: bodyMost,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    http,
    ...(certificate === null ? {} : { serverFactory: secure(certificate) }),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    exposeHeadRoutes: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: (error, _request, reply) => void answerError(error, reply),
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
      const problem = clientProblem(error.code);
      const body = problem.body();
      socket.end(
        `HTTP/1.1 ${problem.statusCode} ${problem.kind}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => answerError(error, reply));
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, notFound()));
  const everyAnswer = await securityHeaders(contentSecurityPolicy);
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(everyAnswer).header('x-request-id', request.id);
    refuseOthers(request, reply, served, bodyMost);
    done();
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
    onAnswered?.(request, reply, pathOf(request));
    // Neither headers nor the query: they may hold what is secret.
    if (logger.isLevelEnabled('debug'))
      logger.debug(
        {
          requestId: request.id,
          method: request.method,
          path: pathOf(request),
          status: reply.statusCode,
          ms: Math.round(reply.elapsedTime),
        },
        'answered',
      );
    done();
  });
  return app;
}

/** What helmet sets. It is the same for each answer, so helmet is asked once, and not with each request. */
async function securityHeaders(contentSecurityPolicy: Readonly<Record<string, readonly string[]>>): Promise<Record<string, string>> {
  const app = fastify();
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: Object.fromEntries(Object.entries(contentSecurityPolicy).map(([name, sources]) => [name, [...sources]])),
    },
  });
  app.get('/', (_request, reply) => reply.code(204).send());
  const { headers } = await app.inject('/');
  await app.close();
  const ofTheAnswer = new Set(['date', 'connection', 'content-length']);
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined || ofTheAnswer.has(name) ? [] : [[name, String(value)]])),
  );
}

function pathOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('?', 1)[0] ?? '';
}

/** Methods that are not served, and bodies that are not taken, before any of them is read. */
function refuseOthers(request: FastifyRequest, reply: FastifyReply, served: readonly Served[], bodyMost: number): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (!hasBody && (request.method === 'GET' || request.method === 'HEAD')) return;
  const here = served.filter(({ path }) => path.test(pathOf(request))).flatMap(({ methods }) => methods);
  const isServed = here.some((method) => method === request.method);
  if (hasBody && !(isServed && bodyMethods.has(request.method))) reply.header('connection', 'close');
  if (request.method !== 'GET' && request.method !== 'HEAD' && !isServed) {
    if (here.length === 0) throw notFound();
    const allowed = [...new Set(here)].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const named = allowed.length === 1 ? allowed.join('') : `${allowed.slice(0, -1).join(', ')} and ${allowed.at(-1)}`;
    throw new Problem('method-not-allowed', `${named} only.`, { headers: { allow: allowed.join(', ') } });
  }
  if (!hasBody) return;
  if (bodyMethods.has(request.method)) {
    if (Number(length ?? 0) <= bodyMost) return;
    reply.header('connection', 'close');
    throw new Problem('request-too-large', `A body here has at most ${bodyMost} bytes.`);
  }
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

/** What the request itself has wrong; null for any other error. */
function requestProblem(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  const status = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  if (!codeOf(error).startsWith('FST_') || status >= 500) return null;
  return new Problem(statusKinds[status] ?? 'bad-request', 'The request cannot be understood.');
}

function unexpected(error: unknown, logger: Logger): Problem {
  logger.error({ err: error }, 'a request failed');
  return new Problem('internal', 'The fault is in the log of the server.');
}

const statusKinds: Readonly<Record<number, ProblemKind>> = {
  413: 'request-too-large',
  415: 'unsupported-media-type',
  404: 'not-found',
  414: 'headers-too-large',
};
