import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';

/** What joins the log lines and traces of one request across services. Passed on with every call that the request makes. */
export type CallContext = {
  readonly requestId: string;
  /** W3C trace context, as it came; null where the request had none. */
  readonly traceparent: string | null;
  readonly tracestate: string | null;
};

const idForm = /^[\w.:/+=@-]{1,128}$/;
const traceparentForm = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-[\w-]{1,64})?$/;

/** The request's own `X-Request-Id`, or a new one. One of another form could forge lines of a log. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const { 'x-request-id': given } = headers;
  return typeof given === 'string' && idForm.test(given) ? given : randomUUID();
}

export function contextOf({ id, headers }: Pick<FastifyRequest, 'id' | 'headers'>): CallContext {
  const { traceparent, tracestate } = headers;
  const isTraced = typeof traceparent === 'string' && traceparentForm.test(traceparent);
  return {
    requestId: id,
    traceparent: isTraced ? traceparent : null,
    tracestate: isTraced && typeof tracestate === 'string' && tracestate.length <= 512 ? tracestate : null,
  };
}

/** The headers that pass the context on. */
export function contextHeaders({ requestId, traceparent, tracestate }: CallContext): Readonly<Record<string, string>> {
  return {
    'x-request-id': requestId,
    ...(traceparent === null ? {} : { traceparent }),
    ...(tracestate === null ? {} : { tracestate }),
  };
}
