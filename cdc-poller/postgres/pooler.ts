import type { Client } from 'pg';
import { CdcError } from '#pipeline/index.ts';

/** Its one value is what {@link isPooler} compares with. To be asked before anything is set: a pooler keeps what is set for whoever comes after. */
export const backendSql = 'pg_catalog.pg_backend_pid()';

/** Whether a connection pooler answers: it takes a login itself, with a process id that is none of the server's. */
export function isPooler(client: Client, backend: string): boolean {
  return 'processID' in client && String(client.processID) !== backend;
}

export function poolerBetween(place: string, cause?: unknown): CdcError {
  return new CdcError('POOLER_BETWEEN', `at ${place} a connection pooler answers, not the legacy database itself`, { cause });
}
