import type { AddressInfo } from 'node:net';
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

/** Takes no more requests, lets those that run end, and cuts off what has not ended within `ms`. */
export async function close(app: FastifyInstance, ms: number): Promise<void> {
  const closing = app.close();
  app.server.closeIdleConnections();
  // A connection whose last request ends now would be kept open for the next one, and the end wait for it.
  const sweep = setInterval(() => app.server.closeIdleConnections(), 50);
  await atMost(ms, closing);
  clearInterval(sweep);
  app.server.closeAllConnections();
  await closing;
}
