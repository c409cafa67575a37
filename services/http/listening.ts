import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { atMost, CdcError, describeError } from '#pipeline/index.ts';

/** How a server begins to listen, and how it ends. */

/** @throws CdcError SERVICE_HTTP_UNAVAILABLE */
export async function listen(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
  scheme: 'http' | 'https',
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new CdcError('SERVICE_HTTP_UNAVAILABLE', `cannot listen on ${host}:${port} (${describeError(error)})`, { cause: error });
  }
  const address: AddressInfo | string | null = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`;
}

/** Connections on which no request has begun yet. */
export type Unused = {
  /** Cuts off those that have been there for `ms`. */
  cutOlderThan(ms: number): void;
};

/**
 * Remembers connections until their first request. Node counts one that is new and silent as busy, for as long as a request may take to arrive, and its
 * closeIdleConnections leaves it. Clients open such connections: undici one for each fetch that is aborted, which it gives up after 4 s.
 */
export function watchUnused({ server }: FastifyInstance): Unused {
  const unused = new Map<string, { readonly socket: Socket; readonly since: number }>();
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    unused.set(name, { socket, since: performance.now() });
    socket.once('close', () => {
      if (unused.get(name)?.socket === socket) unused.delete(name);
    });
  });
  server.on('request', ({ socket }) => unused.delete(nameOf(socket)));
  return {
    cutOlderThan(ms) {
      const before = performance.now() - ms;
      for (const { socket, since } of unused.values()) if (since <= before) socket.destroy();
    },
  };
}

/** Of TLS a request has another socket than the connection had, at the same address. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** So long a request may be on its way on a connection that was opened for it. */
const firstRequestMs = 500;

/** Takes no more requests, lets those that run end, and cuts off what has not ended within `ms`. */
export async function close(app: FastifyInstance, unused: Unused, ms: number): Promise<void> {
  const closing = app.close();
  const sweepAll = (): void => {
    app.server.closeIdleConnections();
    unused.cutOlderThan(firstRequestMs);
  };
  sweepAll();
  // A connection whose last request ends now would be kept open for the next one, and the end wait for it.
  const sweep = setInterval(sweepAll, 50);
  await atMost(ms, closing);
  clearInterval(sweep);
  app.server.closeAllConnections();
  unused.cutOlderThan(0);
  await closing;
}
