import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { Problem, problemType } from './problems.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Records of a TLS handshake begin with it (RFC 8446, 5.1). */
const handshake = 22;
const readMs = 1000;

/**
 * An HTTPS server that answers who speaks plain HTTP to it: 400 and why, where Node alone would cut the connection. Nothing that comes in plain text is handled.
 *
 * @param firstByteMs how long a client may take until it says anything, and until the handshake is done
 */
export function createTlsServer(options: ServerOptions, firstByteMs: number, handler: Handler): Server {
  const server = createServer({ ...options, handshakeTimeout: firstByteMs }, handler);
  // There is nobody yet to whom an answer could be sent: a handshake that fails is cut off.
  server.removeAllListeners('tlsClientError');
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const secure = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const cut = (): void => void socket.destroy();
    socket.setTimeout(firstByteMs, cut);
    socket.on('error', cut);
    socket.once('data', (first: Buffer) => {
      socket.setTimeout(0).off('timeout', cut).off('error', cut);
      if (first[0] !== handshake) return refusePlain(socket);
      // From the beginning again, for the handshake.
      socket.pause();
      socket.unshift(first);
      for (const listener of secure) Reflect.apply(listener, server, [socket]);
    });
  });
  return server;
}

function refusePlain(socket: Socket): void {
  const problem = new Problem('bad-request', 'This port is HTTPS: ask by https://.');
  const body = problem.body();
  // Read on, so that the end of the connection does not overtake the answer.
  socket.on('error', () => undefined).resume();
  socket.setTimeout(readMs, () => socket.destroy());
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
