import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A request as an instance behind the gateway got it. */
export type Received = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
};

/** A service of one's own behind the gateway, which answers 200 to checks and keeps what else it got. */
export type OwnInstance = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly received: readonly Received[];
};

export type OwnInstanceOptions = {
  readonly port?: number;
  readonly host?: string;
  /** Default: 200 and `{}`. */
  readonly answer?: (received: Received, response: ServerResponse) => void;
  /** Called before the body is read. True: that was the answer. */
  readonly atOnce?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Status of /readyz, asked for each time. */
  readonly ready?: () => number;
  /** Default: plain HTTP. */
  readonly server?: (handler: (request: IncomingMessage, response: ServerResponse) => void) => Server;
};

export async function startInstance(options: OwnInstanceOptions = {}): Promise<OwnInstance> {
  const { port = 0, host = '127.0.0.1', ready = () => 200, atOnce = () => false } = options;
  const {
    server: create = createServer,
    answer = (_received, response) => void response.setHeader('content-type', 'application/json').end('{}'),
  } = options;
  const received: Received[] = [];
  const server = create((request, response) => {
    if (request.url === '/readyz') return void response.writeHead(ready()).end();
    if (atOnce(request, response)) return undefined;
    void (async () => {
      try {
        const body = await buffer(request);
        const { method = '', url = '', headers, rawHeaders } = request;
        const one = { method, url, headers, rawHeaders, body };
        received.push(one);
        answer(one, response);
      } catch {
        response.destroy();
      }
    })();
    return undefined;
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host}:${bound}`,
    port: bound,
    received,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
