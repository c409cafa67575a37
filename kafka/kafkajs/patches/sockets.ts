import { connect, isIP, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { atMost, CdcError } from '#pipeline/index.ts';
import type { ISocketFactory, RequestTimeoutEvent } from 'kafkajs';

/**
 * The sockets of one kafkajs client, so that they can be closed from outside. kafkajs by itself asks again and again over a connection whose
 * answers stay away, and to disconnect waits for them: over a network that has lost the connection that takes minutes.
 */
export type Sockets = {
  readonly create: ISocketFactory;
  /** Gives the client up: its connections are closed, and none comes to be any more, whatever kafkajs still tries. */
  cut(why?: Error): void;
  /** True once the client is given up. */
  isCut(): boolean;
  /** The outcome of what the client does, or a rejection as soon as it is given up. */
  whileOpen<T>(work: Promise<T>): Promise<T>;
};

/** How long a connection is silent before the system asks whether the other end is still there, in ms. */
const keepAliveMs = 10_000;

/**
 * @param authenticationMs how long a broker may leave the first question of an authentication unanswered before the client is given up: kafkajs sets no
 *   limit to that. Null where none is asked for: then the first question may be one that takes long (a join).
 */
export function createSockets(authenticationMs: number | null): Sockets {
  const open = new Set<Socket>();
  // Not one promise for all to race with: it would keep something of every race for as long as the client lives.
  const waiting = new Set<(why: Error) => void>();
  let given: Error | null = null;
  const cut = (why = new Error('the client was closed')): void => {
    given ??= why;
    for (const reject of waiting) reject(given);
    for (const socket of open) socket.destroy(given);
  };
  return {
    create: ({ host, port, ssl, onConnect }) => {
      if (given !== null) return stillborn();
      // As kafkajs makes them itself.
      const socket = ssl
        ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
        : connect({ host, port }, onConnect);
      socket.setKeepAlive(true, keepAliveMs);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      if (authenticationMs !== null) {
        const unheard = setTimeout(() => {
          if (socket.bytesWritten > 0 && socket.bytesRead === 0) cut(silent(`${host}:${port}`, 'authentication'));
        }, authenticationMs);
        socket.once('close', () => clearTimeout(unheard));
      }
      return socket;
    },
    cut,
    isCut: () => given !== null,
    async whileOpen<T>(work: Promise<T>) {
      const outcome = Promise.withResolvers<T>();
      work.then(outcome.resolve, outcome.reject);
      if (given !== null) outcome.reject(given);
      waiting.add(outcome.reject);
      try {
        return await outcome.promise;
      } finally {
        waiting.delete(outcome.reject);
      }
    },
  };
}

/** Why a client is given up: what its brokers leave unanswered. */
export function unanswered({ payload }: RequestTimeoutEvent): CdcError {
  return silent(payload.broker, payload.apiName);
}

function silent(broker: string, request: string): CdcError {
  return new CdcError('KAFKA_UNREACHABLE', `Kafka at ${broker} left a request unanswered (${request})`);
}

/** Disconnects within a grace, in ms; then nothing of the client lives on. */
export async function close(client: { disconnect(): Promise<void> }, sockets: Sockets, graceMs = 2000): Promise<void> {
  await atMost(graceMs, client.disconnect());
  sockets.cut();
}

/** A socket that fails before it is anything. */
function stillborn(): Socket {
  const socket = new Socket();
  process.nextTick(() => socket.destroy(new Error('the client was closed')));
  return socket;
}
