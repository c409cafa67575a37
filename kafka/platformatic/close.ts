import { atMost } from '#pipeline/index.ts';
import type { Base, Consumer } from '@platformatic/kafka';

const graceMs = 2000;

/**
 * Closes a client as well as it can be closed within a grace: a connection with unsent bytes closes when they are sent, which over a network that
 * has lost it is never.
 */
export async function close(client: Base, graceful: () => Promise<void> = () => client.close()): Promise<void> {
  // Those that closing takes out of the pool are to be found here.
  const connections = [...client.connections].map(([, connection]) => connection);
  await atMost(graceMs, graceful());
  // A consumer that could not leave its group is still open, and would make new connections.
  client.connections.close().catch(() => undefined);
  for (const { socket } of connections) if (!socket.destroyed) socket.destroy();
}

/** Leaves the group as well as it can be left: the broker takes the member out when its session times out. */
export async function leave(consumer: Consumer): Promise<void> {
  if (!consumer.closed) await close(consumer, () => consumer.close(true));
}

/** Breaks a client's connections: what waits for an answer fails, and new ones are made. */
export function breakConnections(client: Base): void {
  for (const [, { socket }] of client.connections) socket.destroy();
}
