import { once } from 'node:events';
import { Client, type ClientConfig } from 'pg';

/** Takes its slot away from a connector that reads it, as a second consumer by mistake would, until disposed. */
export async function takeSlot(replicator: ClientConfig, slot: string, publication: string): Promise<AsyncDisposable> {
  const start = `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`;
  const asWalsender: ClientConfig & { readonly replication: string } = { ...replicator, replication: 'database' };
  for (;;) {
    const thief = new Client(asWalsender);
    thief.on('error', () => undefined);
    await thief.connect();
    await endReader(replicator, slot);
    const refused = thief.query(start).then(
      () => false,
      () => false,
    );
    const taken = once(thief.connection, 'replicationStart').then(() => true);
    if (await Promise.race([taken, refused])) return { [Symbol.asyncDispose]: () => thief.end() };
    await thief.end();
  }
}

async function endReader(replicator: ClientConfig, slot: string): Promise<void> {
  const client = new Client(replicator);
  await client.connect();
  try {
    await client.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [slot]);
  } finally {
    await client.end();
  }
}
