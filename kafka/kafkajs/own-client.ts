import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import kafkajs, { type ISocketFactory, type Kafka as KafkaJs, type KafkaConfig } from 'kafkajs';

/** A kafkajs client for one admin, producer or consumer, and its end. */
export type OwnClient = {
  readonly kafka: KafkaJs;
  /** After the disconnect: no connection is left, and none is made. What goes on by itself, or is asked then, fails at once. */
  close(): void;
};

export type OwnClientConfig = Omit<KafkaConfig, 'brokers' | 'socketFactory' | 'ssl'> & {
  readonly brokers: readonly string[];
  /** Left out: without TLS. */
  readonly ssl?: ConnectionOptions;
};

const keepAliveMs = 60_000;

/**
 * kafkajs's `disconnect` is no end: whatever asks the broker afterwards (a question of several steps, a handler's heartbeat, a consumer
 * that joins or is started again) connects anew, and nobody is left to close that.
 */
export function ownClient({ brokers, ssl, ...config }: OwnClientConfig): OwnClient {
  const sockets = new Set<Socket>();
  let closed = false;
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    if (closed) throw new Error('this client is closed');
    const serverName = isIP(host) === 0 ? { servername: host } : {};
    const socket = ssl === undefined ? connectTcp({ host, port }, onConnect) : connectTls({ host, port, ...serverName, ...ssl }, onConnect);
    socket.setKeepAlive(true, keepAliveMs);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  return {
    kafka: new kafkajs.Kafka({
      ...config,
      ...(ssl === undefined ? {} : { ssl }),
      // Without brokers kafkajs knows that to try again is of no use.
      brokers: () => (closed ? [] : [...brokers]),
      socketFactory,
    }),
    close() {
      closed = true;
      // Whoever still waits for an answer is told.
      for (const socket of sockets) socket.destroy(socket.writableEnded ? undefined : new Error('this client is closed'));
    },
  };
}
