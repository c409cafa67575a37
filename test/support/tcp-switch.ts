import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

type Target = { readonly host: string; readonly port: number };

/** One address before several servers, as a virtual IP of a failover is. */
export type TcpSwitch = AsyncDisposable & {
  readonly host: string;
  readonly port: number;
  /** Ends the connections that there are. New ones go to another server. */
  to(target: Target): void;
};

export async function createTcpSwitch(first: Target): Promise<TcpSwitch> {
  const host = '127.0.0.1';
  const sockets = new Set<Socket>();
  let target = first;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((incoming) => {
    const outgoing = keep(connect(target));
    keep(incoming).pipe(outgoing).pipe(incoming);
    // One that cannot be reached, or has gone, is not waited for.
    incoming.on('close', () => outgoing.destroy());
    outgoing.on('close', () => incoming.destroy());
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return {
    host,
    port: address.port,
    to(next) {
      target = next;
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
