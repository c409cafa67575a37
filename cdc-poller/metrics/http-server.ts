import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CdcError, describeError } from '#pipeline/index.ts';
import type { Metrics, ProcessFigures } from './prometheus.ts';
import { readinessOf } from './readiness.ts';

export type PollerHttp = AsyncDisposable & { readonly url: string };

type Answer = { readonly status: number; readonly type: string; readonly body: string };

/**
 * Serves `/metrics` (Prometheus), `/livez` (200 while the process answers at all), `/readyz` (503 with the reasons while not all is well)
 * and `/status` (the figures as JSON). Read-only, without login: bind it to an address that only the monitoring reaches.
 *
 * @throws CdcError POLLER_HTTP_UNAVAILABLE when the address cannot be bound
 */
export async function startPollerHttp(
  { host, port }: { readonly host: string; readonly port: number },
  metrics: Metrics,
  figures: () => ProcessFigures,
): Promise<PollerHttp> {
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, type, body } = await answer(request, metrics, figures);
    response.writeHead(status, { 'content-type': type }).end(body);
  };
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new CdcError('POLLER_HTTP_UNAVAILABLE', `cannot listen on ${host}:${port} (${describeError(error)})`, { cause: error });
  }
  return {
    url: urlOf(server, host),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer({ method, url }: IncomingMessage, metrics: Metrics, figures: () => ProcessFigures): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET only');
  try {
    switch (url?.split('?', 1)[0] ?? '/') {
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.render() };
      case '/livez':
        return text(200, 'alive');
      case '/readyz': {
        const { ready, reasons } = readinessOf(figures());
        return json(ready ? 200 : 503, { ready, reasons });
      }
      case '/status':
        return json(200, figures());
      default:
        return text(404, '/metrics, /livez, /readyz or /status');
    }
  } catch (error) {
    return text(500, describeError(error));
  }
}

function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
