import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { CdcError, describeError } from './errors.ts';

/** Not by `import`: that reads every export of node:http, and among them the WebSocket of undici, which takes 40 ms of each start to load. */
const { createServer } = process.getBuiltinModule('node:http');

/** What a process shows of itself. Each is asked again for each request. */
export type Monitored = {
  /** Why the process does not do its work, one sentence each; empty when it does. */
  readonly whyNotReady: () => readonly string[] | Promise<readonly string[]>;
  /** The figures, as JSON takes them. */
  readonly status: () => unknown;
  readonly contentType: string;
  /** The figures in Prometheus' form. */
  readonly metrics: () => Promise<string>;
};

export type MonitoringServer = AsyncDisposable & { readonly url: string; readonly port: number };

type Answer = { readonly status: number; readonly type: string; readonly body: string };

/**
 * Serves `/metrics` (Prometheus), `/livez` (200 while the process answers at all), `/readyz` (503 with the reasons while it does not do its
 * work) and `/status` (the figures as JSON) at a port (0: a free one) of `host`. Read-only, without login: bind it to an address that only
 * the monitoring reaches. Poller, guard and read model all use it.
 *
 * @param setting what names the address, for the error
 * @throws CdcError MONITORING_UNAVAILABLE when the address cannot be bound
 */
export async function serveMonitoring(
  { host, port }: { readonly host: string; readonly port: number },
  monitored: Monitored,
  setting: string,
): Promise<MonitoringServer> {
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, type, body } = await answer(request, monitored);
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  };
  const server = createServer((request, response) => {
    void respond(request, response);
  });
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new CdcError('MONITORING_UNAVAILABLE', `${setting}: cannot listen on ${host}:${port} (${describeError(error)})`, {
      cause: error,
    });
  }
  const bound = portOf(server);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer({ method, url }: IncomingMessage, monitored: Monitored): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET only');
  try {
    switch (url?.split('?', 1)[0] ?? '/') {
      case '/metrics':
        return { status: 200, type: monitored.contentType, body: await monitored.metrics() };
      case '/livez':
        return text(200, 'alive');
      case '/readyz': {
        const reasons = await monitored.whyNotReady();
        return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
      }
      case '/status':
        return json(200, await monitored.status());
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

/** Offsets are integers of 64 bits: as text they survive every JSON reader. */
function json(status: number, value: unknown): Answer {
  const body = JSON.stringify(value, (_name, member: unknown) => (typeof member === 'bigint' ? member.toString() : member));
  return { status, type: 'application/json; charset=utf-8', body: `${body}\n` };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
