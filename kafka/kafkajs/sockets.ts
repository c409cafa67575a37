import { connect, isIP, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { CdcError } from '#pipeline/index.ts';
import type { ISocketFactory, RequestTimeoutEvent } from 'kafkajs';

/**
 * The sockets of one kafkajs client, so that they can be closed from outside. kafkajs by itself asks again and again over a connection whose
 * answers stay away, and to disconnect waits for them: over a network that has lost the connection that takes minutes.
 */
export type Sockets = {
  readonly create: ISocketFactory;
  /** Gives the client up: its connections are closed, and none comes to be any more, whatever kafkajs still tries. */
  cut(why?: Error): void;
  /** The outcome of what the client does, or a rejection as soon as it is given up. */
  whileOpen<T>(work: Promise<T>): Promise<T>;
};

/** How long a connection is silent before the system asks whether the other end is still there, in ms. */
const keepAliveMs = 10_000;

export function createSockets(): Sockets {
  const open = new Set<Socket>();
  const given = Promise.withResolvers<never>();
  // Nobody may be at work just then.
  given.promise.catch(() => undefined);
  let isCut = false;
  return {
    create: ({ host, port, ssl, onConnect }) => {
      if (isCut) return stillborn();
      // As kafkajs makes them itself.
      const socket = ssl
        ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
        : connect({ host, port }, onConnect);
      socket.setKeepAlive(true, keepAliveMs);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
    cut(why = new Error('the client was closed')) {
      isCut = true;
      given.reject(why);
      for (const socket of open) socket.destroy(why);
    },
    whileOpen: (work) => Promise.race([work, given.promise]),
  };
}

/** Why a client is given up: what its brokers leave unanswered. */
export function unanswered({ payload }: RequestTimeoutEvent): CdcError {
  return new CdcError('KAFKA_UNREACHABLE', `Kafka at ${payload.broker} left a request unanswered (${payload.apiName})`);
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
