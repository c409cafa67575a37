import type { ConnectionOptions } from 'mysql2/promise';
import type { Credentials } from './config/schema.ts';
import { tlsOptions, type DatabaseLocation } from './postgres.ts';

/**
 * The configuration of a `mysql2` connection for one role. `programName` is what the DBA sees among the connection's attributes. Values come as the
 * server's own bytes: no number, date or JSON is made of them.
 *
 * @throws when a TLS file cannot be read
 */
export function mariadbConnectionOptions(
  { host, port, database, tls }: Omit<DatabaseLocation, 'database'> & { readonly database?: string },
  { user, password }: Credentials,
  programName: string,
): ConnectionOptions {
  return {
    host,
    port,
    user,
    password,
    ...(database === undefined ? {} : { database }),
    charset: 'utf8mb4',
    typeCast: false,
    rowsAsArray: true,
    // Otherwise mysql2 makes code of the columns' names, and takes none that every object has (__proto__, __defineGetter__).
    disableEval: true,
    enableKeepAlive: true,
    connectTimeout: 10_000,
    connectAttributes: { program_name: programName },
    ...(tls === undefined ? {} : { ssl: sslOptions(tls) }),
  };
}

/** As {@link tlsOptions}, in the words of mysql2. The name in the certificate counts, as it does for Postgres. */
function sslOptions(tls: NonNullable<DatabaseLocation['tls']>): NonNullable<ConnectionOptions['ssl']> {
  const { rejectUnauthorized = true, ca, cert, key } = tlsOptions(tls);
  return {
    rejectUnauthorized,
    verifyIdentity: rejectUnauthorized,
    ...(typeof ca === 'string' ? { ca } : {}),
    ...(typeof cert === 'string' ? { cert } : {}),
    ...(typeof key === 'string' ? { key } : {}),
  };
}

/** Types of columns that may be an id that grows, as information_schema's data_type names them. */
export const mariadbIdTypes: readonly string[] = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint'];

/**
 * Types whose order the server and its indexes know, and whose text reads back as the same value: not float, whose text is rounded, nor enum
 * and set, which are ordered by number and compared by text.
 */
export const mariadbOrderedTypes: readonly string[] = [
  ...mariadbIdTypes, 'decimal', 'double', 'year', 'char', 'varchar', 'tinytext', 'text', 'mediumtext', 'binary', 'varbinary', 'uuid', 'inet4', 'inet6', 'date', 'time', 'datetime', 'timestamp',
]; // prettier-ignore
