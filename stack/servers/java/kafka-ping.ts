import { connect } from 'node:net';

/**
 * How many brokers a Kafka server knows to be alive: a Metadata request (version 1, no topics) on a bare socket, so that starting a
 * server needs no client library. 0 while it starts or does not answer.
 */
export function aliveBrokers(host: string, port: number, signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    let received = Buffer.alloc(0);
    const finish = (brokers: number): void => {
      socket.destroy();
      resolve(brokers);
    };
    socket.setTimeout(2000, () => finish(0));
    socket.on('error', () => finish(0));
    socket.on('close', () => finish(0));
    socket.on('connect', () => socket.write(metadataRequest()));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      // Size, correlation id, then the array of brokers, which begins with its length.
      if (received.length >= 12) finish(Math.max(0, received.readInt32BE(8)));
    });
  });
}

function metadataRequest(): Buffer {
  const request = Buffer.alloc(18);
  request.writeInt32BE(14, 0);
  request.writeInt16BE(3, 4); // Metadata
  request.writeInt16BE(1, 6); // version
  request.writeInt32BE(1, 8); // correlation id
  request.writeInt16BE(-1, 12); // no client id
  request.writeInt32BE(0, 14); // no topics
  return request;
}
