import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that can fall silent like a cut network: bytes stay away, and neither side gets an end. */
export type MuteProxy = AsyncDisposable & {
  readonly port: number;
  /** Connections there are, and those to come, go silent. */
  mute(): void;
  /** How often somebody has said something that went nowhere. */
  saidInVain(): number;
  /** New connections get through; those that were silent stay so, as after a cut that outlasted the system's patience. */
  unmute(): void;
};

export async function createMuteProxy(target: { readonly host: string; readonly port: number }): Promise<MuteProxy> {
  const sockets = new Set<Socket>();
  let muted = false;
  let saidInVain = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const swallow = (socket: Socket): void => {
    socket
      .unpipe()
      .on('data', () => {
        saidInVain += 1;
      })
      .resume();
  };
  const server = createServer((incoming) => {
    keep(incoming);
    if (muted) return swallow(incoming);
    const outgoing = keep(connect(target));
    incoming.pipe(outgoing).pipe(incoming);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return {
    port: address.port,
    mute() {
      muted = true;
      for (const socket of sockets) swallow(socket);
    },
    saidInVain: () => saidInVain,
    unmute() {
      muted = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
