import type { ClientConfig } from 'pg';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { CdcError, describeError } from '#pipeline/index.ts';

/** How the replicator logs in to a MariaDB. */
export type MariadbSource = { readonly dialect: 'mariadb'; readonly connection: ConnectionOptions };

/** How a connector's role logs in to the source that the connector reads. */
export type Source = ClientConfig | MariadbSource;

export function isMariadb(source: Source): source is MariadbSource {
  return 'dialect' in source;
}

/** Runs SQL and gives the rows' values as the server's own text. */
export type MariadbQuery = (sql: string, values?: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>;

/** Runs `work` on a connection of its own. @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED */
export async function withMariadb<T>({ connection: options }: MariadbSource, work: (query: MariadbQuery) => Promise<T>): Promise<T> {
  const connection = await connect(options);
  try {
    return await work(async (sql, values = []) => texts(await connection.query({ sql, timeout: 15_000 }, [...values])));
  } finally {
    await connection.end().catch(() => undefined);
  }
}

/** Whether the server refused a statement with this code of its own (`ER_…`). */
export function isRefusal(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

async function connect(options: ConnectionOptions): Promise<Connection> {
  const { createConnection } = await import('mysql2/promise');
  try {
    return await createConnection(options);
  } catch (error) {
    const server = `${options.host ?? 'localhost'}:${options.port ?? 3306}`;
    if (isRefusal(error, 'ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_HOST_NOT_PRIVILEGED')) {
      throw new CdcError('LEGACY_LOGIN_REFUSED', `${server} refuses the login of ${options.user ?? ''}: ${describeError(error)}`, {
        cause: error,
      });
    }
    throw new CdcError('LEGACY_DB_UNREACHABLE', `cannot connect to the legacy database at ${server}: ${describeError(error)}`, {
      cause: error,
    });
  }
}

function texts([rows]: readonly unknown[]): readonly (readonly (string | null)[])[] {
  if (!Array.isArray(rows)) return [];
  return rows.map((row: unknown) =>
    Array.isArray(row) ? row.map((value: unknown) => (Buffer.isBuffer(value) ? value.toString() : null)) : [],
  );
}
