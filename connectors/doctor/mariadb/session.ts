import { CdcError, describeError } from '#pipeline/index.ts';
import { withMariadb, type MariadbQuery, type MariadbSource } from '../../binlog/mariadb-source.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { Onlooker } from '../probe/session.ts';
import { sqlAccount } from './sql-names.ts';

/** A session that only looks: read-only transactions, short timeouts, no lock but on a table's definition for an instant. */
const settings = [
  'SET SESSION TRANSACTION READ ONLY',
  'SET SESSION max_statement_time = 10, lock_wait_timeout = 2',
  // So that CURRENT_TIMESTAMP is here what it is for a session that sets nothing.
  'SET SESSION time_zone = @@global.time_zone',
];

/** What a look has brought, or why there was none. */
export async function lookAt<T>(
  source: MariadbSource,
  onlooker: Onlooker,
  look: (query: MariadbQuery) => Promise<T>,
): Promise<T | Finding> {
  try {
    return await withMariadb(source, async (query) => {
      for (const setting of settings) await query(setting);
      return await look(query);
    });
  } catch (error) {
    return connectionFinding(error, onlooker);
  }
}

function connectionFinding(error: unknown, { strategy, role, server }: Onlooker): Finding {
  if (!(error instanceof CdcError)) throw error;
  const detail = oneLine(error.cause ?? error);
  if (error.code === 'LEGACY_LOGIN_REFUSED') {
    return mariadbFinding('LOGIN_REFUSED', strategy, { kind: 'role', name: role }, { detail, sqlAccount: sqlAccount(role) });
  }
  if (error.code === 'LEGACY_DB_UNREACHABLE') {
    return mariadbFinding('SERVER_UNREACHABLE', strategy, { kind: 'server', name: server }, { role, detail });
  }
  throw error;
}

/** A look that the server refused or cut short: what it would have shown is unknown. */
export function probeFinding(error: unknown, subject: string, { strategy, role }: Onlooker): Finding {
  return mariadbFinding('PROBE_REFUSED', strategy, { kind: 'server', name: subject }, { role, detail: oneLine(error) });
}

function oneLine(error: unknown): string {
  return describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
