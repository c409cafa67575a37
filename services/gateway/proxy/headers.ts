import type { IncomingHttpHeaders } from 'node:http';
import type { Trace } from './trace.ts';

/** Of one connection, and not of the request (RFC 9110, 7.6.1). What `Connection` names besides is removed by @fastify/reply-from. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
];
/** Of this gateway and a browser. The session's cookie and everything that only proxies may say stay here. */
const ours = ['cookie', 'x-csrf-token', 'forwarded', 'x-real-ip', 'x-forwarded-port', 'x-forwarded-prefix'];
/** An instance sets no cookies at the gateway's address: they would be sent to every service behind it. */
const notForClients = ['set-cookie', 'server', 'x-powered-by'];

export type Caller = {
  readonly trace: Trace;
  /** Addresses from the client on, as far as they are believed. */
  readonly addresses: readonly string[];
  readonly protocol: string;
  readonly host: string;
  /** The access token of the session; null: the request goes on as it came. */
  readonly accessToken: string | null;
};

/** The headers that go to an instance. */
export function headersForInstance(headers: IncomingHttpHeaders, caller: Caller): IncomingHttpHeaders {
  const { trace, addresses, protocol, host, accessToken } = caller;
  const kept = without(headers, [...hopByHop, ...ours, 'tracestate']);
  return {
    ...kept,
    'x-forwarded-for': addresses.join(', '),
    'x-forwarded-proto': protocol,
    'x-forwarded-host': host,
    'x-request-id': trace.requestId,
    traceparent: trace.traceparent,
    ...(trace.tracestate === null ? {} : { tracestate: trace.tracestate }),
    ...(accessToken === null ? {} : { authorization: `Bearer ${accessToken}` }),
  };
}

/** The headers that go to the client, of those of an instance. */
export function headersForClient<T extends Readonly<Record<string, unknown>>>(headers: T): T {
  const named = typeof headers['connection'] === 'string' ? headers['connection'].toLowerCase().split(/\s*,\s*/) : [];
  return without(headers, [...hopByHop, ...notForClients, ...named]);
}

function without<T extends object>(headers: T, names: readonly string[]): T {
  const kept = { ...headers };
  for (const name of names) Reflect.deleteProperty(kept, name);
  return kept;
}
