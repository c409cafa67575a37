import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Agent, Dispatcher } from 'undici';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GatewayConfig } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import { mayTryAnother, problemOfFailure } from '../upstreams/failures.ts';
import type { Instance } from '../upstreams/instances.ts';
import type { Upstream } from '../upstreams/upstream.ts';
import { headersForClient, headersForInstance } from './headers.ts';
import { traceOf, type Trace } from './trace.ts';

declare module 'fastify' {
  interface FastifyRequest {
    trace: Trace | null;
    /** The access token that goes with this request to an instance; null: it goes on as it came. */
    accessToken: string | null;
  }
}

export type ProxyOptions = {
  readonly routes: GatewayConfig['routes'];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Ends live streams, which would keep the server from ending. */
  readonly signal: AbortSignal;
  /** Refuses, or gives the request its access token for the upstream. */
  readonly admit: (request: FastifyRequest, reply: FastifyReply, upstream: string) => Promise<void>;
};

/** Names each request, and says the name to the client. */
export function nameRequests(app: FastifyInstance): void {
  app.decorateRequest('trace', null);
  app.decorateRequest('accessToken', null);
  app.addHook('onRequest', async (request, reply) => {
    request.trace = traceOf(request.headers);
    reply.header('x-request-id', request.trace.requestId);
  });
}

/**
 * Passes requests on by their prefix, as they are. @fastify/http-proxy does the work; which instance takes a request, and whether another one is tried, is
 * decided for each request.
 */
export async function proxyRoutes(app: FastifyInstance, { routes, upstreams, signal, admit }: ProxyOptions): Promise<void> {
  for (const { prefix, methods, upstream: name } of routes) {
    const upstream = upstreams.get(name);
    if (upstream === undefined) throw new TypeError(`no upstream ${name}`);
    const path = prefix.replace(/\/$/, '');
    await app.register(async (scope) => {
      scope.addHook('preHandler', (request: FastifyRequest, reply: FastifyReply) => admit(request, reply, name));
      await scope.register(httpProxy, {
        upstream: '',
        prefix: path,
        rewritePrefix: path,
        httpMethods: methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
        // Bodies are read whole, within the server's limits: a slow client costs an instance nothing, and a request can be sent again.
        proxyPayloads: false,
        disableCache: true,
        disableRequestLogging: true,
        undici: abortable(upstream.agent),
        handler: (_request, reply, dest, options) => tryInstance({ upstream, reply, dest, options, signal, tried: new Set() }),
        replyOptions: {
          // An address for the check of the path. The instance is chosen in `handler`.
          getUpstream: () => 'http://upstream.invalid',
          // What is tried again is decided in `tryInstance`.
          retryDelay: () => null,
          rewriteRequestHeaders: (request, headers) => {
            const { trace, ips = [request.ip], protocol, host, accessToken } = request;
            const caller = { trace: trace ?? traceOf(headers), addresses: ips.toReversed(), protocol, host, accessToken };
            return headersForInstance(headers, caller);
          },
          rewriteHeaders: (headers) => headersForClient(headers),
        },
      });
    });
  }
}

type Sent = {
  readonly upstream: Upstream;
  readonly reply: FastifyReply;
  readonly dest: string;
  readonly options: NonNullable<FastifyHttpProxyOptions['replyOptions']>;
  readonly signal: AbortSignal;
  readonly tried: Set<Instance>;
};

/** Sends a request to one instance, and to another one when that is safe. Nothing has gone to the client before an answer begins. */
function tryInstance(sent: Sent): FastifyReply {
  const { upstream, reply, dest, options, signal, tried } = sent;
  const { body, method, headers } = reply.request;
  const attempt = upstream.begin(tried);
  tried.add(attempt.instance);
  // Whatever becomes of the answer: a client that has gone is not said to us in another way.
  reply.raw.once('close', () => attempt.release());
  const contentType = headers['content-type'] ?? 'application/octet-stream';
  const from = (): FastifyReply =>
    reply.from(dest, {
      ...options,
      ...(Buffer.isBuffer(body) ? { body, contentType } : {}),
      getUpstream: () => attempt.instance.url,
      onResponse: (_request, _reply, { stream }) => {
        attempt.answered();
        const isLive = String(reply.getHeader('content-type')).startsWith('text/event-stream');
        if (isLive) endWith(signal, reply);
        reply.send(stream);
      },
      onError: (_reply, { error }) => {
        const cause = error.cause ?? error;
        const failure = attempt.failed(cause);
        const problem = problemOfFailure(failure, upstream.name, cause);
        if (!mayTryAnother(method, failure) || upstream.instances.every((other) => tried.has(other))) return void reply.send(problem);
        try {
          tryInstance(sent);
        } catch (none) {
          reply.send(none instanceof Problem ? problem : none);
        }
      },
    });
  return clients.run(signalOf(reply), from);
}

/** The client whose request is being sent: the library does not say it where it sends. */
const clients = new AsyncLocalStorage<AbortSignal>();

/** The same agent, whose requests end when their clients go: an instance does not work on for nobody. */
function abortable(agent: Agent): Agent {
  const request = (options: Dispatcher.RequestOptions, done: (error: Error | null, answer: Dispatcher.ResponseData) => void): void =>
    agent.request({ ...options, signal: clients.getStore() ?? null }, done);
  return new Proxy(agent, { get: (target, name) => (name === 'request' ? request : Reflect.get(target, name)) });
}

/** Aborted when the client goes before it has its whole answer. */
function signalOf({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

function endWith(signal: AbortSignal, { raw }: FastifyReply): void {
  const end = (): void => void raw.destroy();
  signal.addEventListener('abort', end, { once: true });
  raw.once('close', () => signal.removeEventListener('abort', end));
}
