import { connect, isIP, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

/**
 * The sockets of one kafkajs client, so that they can be closed from outside. kafkajs by itself goes on asking over a connection whose
 * answers stay away, and to disconnect waits for them: over a network that has lost the connection that takes minutes.
 */
export type Sockets = {
  readonly create: ISocketFactory;
  /** Closes the connections to a broker (`host:port`); whoever asks again gets new ones. */
  drop(broker: string, why: string): void;
  /** Closes all, and none comes to be any more: whatever kafkajs still tries fails at once. */
  cut(): void;
};

/** How long a connection is silent before the system asks whether the other end is still there, in ms. */
const keepAliveMs = 10_000;

export function createSockets(): Sockets {
  const open = new Map<Socket, string>();
  let isCut = false;
  return {
    create: ({ host, port, ssl, onConnect }) => {
      if (isCut) return stillborn();
      // As kafkajs makes them itself.
      const socket = ssl
        ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
        : connect({ host, port }, onConnect);
      socket.setKeepAlive(true, keepAliveMs);
      open.set(socket, `${host}:${port}`);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
    drop(broker, why) {
      for (const [socket, address] of open) if (address === broker) socket.destroy(new Error(why));
    },
    cut() {
      isCut = true;
      for (const socket of open.keys()) socket.destroy(new Error('the client was closed'));
    },
  };
}

/** Disconnects within a grace, in ms; then nothing of the client lives on. */
export async function close(client: { disconnect(): Promise<void> }, sockets: Sockets, graceMs = 2000): Promise<void> {
  const over = new AbortController();
  const disconnected = client.disconnect().catch(() => undefined);
  try {
    await Promise.race([disconnected, delay(graceMs, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
    sockets.cut();
  }
}

/** A socket that fails before it is anything. */
function stillborn(): Socket {
  const socket = new Socket();
  process.nextTick(() => socket.destroy(new Error('the client was closed')));
  return socket;
}
