import { CdcError, describeError, mariadbAccount } from '#pipeline/index.ts';
import { withMariadb, type MariadbQuery, type MariadbSource } from '#connectors/mariadb/mariadb-source.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { Viewer } from '../postgres/probe/session.ts';

/** A session that only looks: read-only transactions, short timeouts, no lock but on a table's definition for an instant. */
const settings = [
  'SET SESSION TRANSACTION READ ONLY',
  'SET SESSION max_statement_time = 10, lock_wait_timeout = 2',
  // So that CURRENT_TIMESTAMP is here what it is for a session that sets nothing.
  'SET SESSION time_zone = @@global.time_zone',
];

/** What an examination has found, or why there was none. */
export async function withSession<T>(
  source: MariadbSource,
  viewer: Viewer,
  examine: (query: MariadbQuery) => Promise<T>,
): Promise<T | Finding> {
  try {
    return await withMariadb(source, async (query) => {
      for (const setting of settings) await query(setting);
      return await examine(query);
    });
  } catch (error) {
    return connectionFinding(error, viewer);
  }
}

function connectionFinding(error: unknown, { strategy, role, server }: Viewer): Finding {
  if (!(error instanceof CdcError)) throw error;
  const detail = oneLine(error.cause ?? error);
  if (error.code === 'LEGACY_LOGIN_REFUSED') {
    return mariadbFinding('LEGACY_LOGIN_REFUSED', strategy, { kind: 'role', name: role }, { detail, sqlAccount: mariadbAccount(role) });
  }
  if (error.code === 'LEGACY_DB_UNREACHABLE') {
    return mariadbFinding('LEGACY_DB_UNREACHABLE', strategy, { kind: 'server', name: server }, { role, detail });
  }
  throw error;
}

/** A question that the server refused or cut short: its answer is unknown. */
export function probeFinding(error: unknown, subject: string, { strategy, role }: Viewer): Finding {
  return mariadbFinding('PROBE_REFUSED', strategy, { kind: 'server', name: subject }, { role, detail: oneLine(error) });
}

function oneLine(error: unknown): string {
  return describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
