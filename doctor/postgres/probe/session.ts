import { Client, DatabaseError, type ClientConfig } from 'pg';
import type * as z from 'zod';
import { backendSql, isPooler, poolerBetween } from '#cdc-poller/judge.ts';
import { CdcError, describeError, lacksPassword, type LegacyDbConfig } from '#pipeline/index.ts';
import { refusalFinding } from '../../refusal-finding.ts';
import { finding, type Finding, type Strategy } from '../../finding.ts';
import { sqlName } from '#connectors/postgres/sql-names.ts';

/** Who looks, for which strategy, and where. */
export type Viewer = { readonly strategy: Strategy; readonly role: string; readonly server: string; readonly database: string };

/** A session that only reads: read-only transactions, short timeouts. */
export type DoctorSession = AsyncDisposable & {
  /** The one JSON value that `sql` selects, checked. */
  read<T>(sql: string, schema: z.ZodType<T>, values?: readonly unknown[]): Promise<T>;
};

/**
 * Every name in the queries is pg_catalog's; waiting for a lock, or a slow catalogue, ends soon. Compiling a catalogue query takes longer
 * than running it a hundred times.
 */
const settings = `
  SET search_path = pg_catalog; SET default_transaction_read_only = on; SET statement_timeout = '10s'; SET lock_timeout = '2s';
  SET idle_in_transaction_session_timeout = '10s'; SET row_security = on; SET jit = off`;

/**
 * @param pooler as legacyDb.pooler says; without it a pooler is refused before anything is set: in transaction mode that would be set for others too
 * @throws what pg throws, or CdcError POOLER_BETWEEN; {@link connectionFinding} says it as a finding
 */
export async function openDoctorSession(config: ClientConfig, pooler?: LegacyDbConfig['pooler']): Promise<DoctorSession> {
  const client = new Client({ ...config, application_name: 'cdc doctor' });
  // A connection that breaks between two queries says so by this event; the next query reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<unknown[]>({ text: `SELECT ${backendSql}::pg_catalog.text`, rowMode: 'array' });
    if (pooler === undefined && isPooler(client, String(rows[0]?.[0]))) throw poolerBetween(placeOf(config));
    await client.query(settings);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  return {
    async read(sql, schema, values = []) {
      const { rows } = await client.query<unknown[]>({ text: sql, values: [...values], rowMode: 'array' });
      return schema.parse(rows[0]?.[0]);
    },
    async [Symbol.asyncDispose]() {
      await client.end();
    },
  };
}

function placeOf({ host = '', port, database = '' }: ClientConfig): string {
  return `${host}:${port ?? ''}/${database}`;
}

/** Why a role has no session, as a finding. */
export function connectionFinding(error: unknown, { strategy, role, server, database }: Viewer): Finding {
  if (error instanceof CdcError && error.code === 'POOLER_BETWEEN')
    // The connector's file says where Debezium logs in: that may be the server itself.
    return refusalFinding(error.code, error, strategy, { kind: 'server', name: server }, strategy === 'log' ? 'unknown' : 'error');
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  const noPassword = lacksPassword(error);
  const detail = noPassword ? 'it asks for a password, and none is set' : oneLine(error);
  if (code === '3D000') return finding('LEGACY_DB_MISSING', strategy, { kind: 'server', name: database }, {});
  if (noPassword || code.startsWith('28') || code === '42501') {
    return finding(
      'LEGACY_LOGIN_REFUSED',
      strategy,
      { kind: 'role', name: role },
      { detail, sqlRole: sqlName(role), database: sqlName(database), replication: strategy === 'log' ? ' REPLICATION' : '' },
    );
  }
  return finding('LEGACY_DB_UNREACHABLE', strategy, { kind: 'server', name: server }, { role, detail });
}

/** A question that the server refused or cut short: its answer is unknown. */
export function probeFinding(error: unknown, subject: string, { strategy, role }: Viewer): Finding {
  return finding('PROBE_REFUSED', strategy, { kind: 'server', name: subject }, { role, detail: oneLine(error), sqlRole: sqlName(role) });
}

function oneLine(error: unknown): string {
  return describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
