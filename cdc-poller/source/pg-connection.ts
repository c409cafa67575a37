import { DatabaseError, type Client } from 'pg';
import { atMost, CdcError, describeError } from '#pipeline/index.ts';

/** What sessions have in common that speak the Postgres protocol: of Postgres itself, and of H2's server. */

/** An orderly end needs a server that still answers. */
const endGraceMs = 2000;

/** Values stay the server's text. */
export const rawTypes = { getTypeParser: () => (value: string) => value };

/** Ends a connection, also one that the network has lost. */
export async function endConnection(client: Client): Promise<void> {
  await atMost(endGraceMs, client.end());
  client.connection.stream.destroy();
}

/** An error that the server did not send is about the way to it: CdcError LEGACY_DB_UNREACHABLE. Any other is given back. */
export function lostConnection(error: unknown, place: string): unknown {
  if (error instanceof DatabaseError) return error;
  return new CdcError('LEGACY_DB_UNREACHABLE', `the connection to the legacy database ${place} is lost (${describeError(error)})`, {
    cause: error,
  });
}
