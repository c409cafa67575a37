import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What names a request on its way through the services. */
export type Trace = { readonly requestId: string; readonly traceparent: string; readonly tracestate: string | null };

const knownId = /^[\w.:-]{1,128}$/;
/** W3C Trace Context, level 1. A later version may have more behind it. */
const known = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/;
const statesMost = 512;

/** What the caller has given its request, where it is well-formed; else new. A traceparent of our own is not sampled: we record nothing. */
export function traceOf(headers: IncomingHttpHeaders): Trace {
  const { 'x-request-id': id, traceparent, tracestate } = headers;
  const isTraced = typeof traceparent === 'string' && known.test(traceparent);
  return {
    requestId: typeof id === 'string' && knownId.test(id) ? id : randomUUID(),
    traceparent: isTraced ? traceparent : `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`,
    tracestate: isTraced && typeof tracestate === 'string' && tracestate.length <= statesMost ? tracestate : null,
  };
}
