import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { escapeIdentifier, escapeLiteral, type ClientConfig } from 'pg';
import type { Credentials, LegacyDbConfig, TlsConfig } from './config/schema.ts';
import { CdcError, describeError } from './errors.ts';

/** Where a Postgres database is, as pipeline.yaml says it. */
export type DatabaseLocation = {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly tls?: TlsConfig | undefined;
  readonly dialect?: LegacyDbConfig['dialect'];
};

/**
 * The configuration of a `pg` client or pool for one role. `applicationName` is what the DBA sees in pg_stat_activity.
 *
 * @throws CdcError DIALECT_UNSUPPORTED where the database is configured as another one; when a TLS file cannot be read
 */
export function postgresClientConfig(location: DatabaseLocation, credentials: Credentials, applicationName: string): ClientConfig {
  const { host, port, database, tls, dialect } = location;
  if (dialect !== undefined && dialect !== 'postgres') {
    const what = { mariadb: 'a MariaDB', h2: 'an H2' }[dialect];
    throw new CdcError('DIALECT_UNSUPPORTED', `${host}:${port}/${database} is ${what}, and this command asks a Postgres`);
  }
  return {
    host,
    port,
    database,
    user: credentials.user,
    password: credentials.password,
    application_name: applicationName,
    keepAlive: true,
    // Else the system's own: two hours. With it, a server that has gone without a word is missed after about twice as long.
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 10_000,
    ...(tls === undefined ? {} : { ssl: tlsOptions(tls) }),
  };
}

/**
 * SQL that makes a session mean what its statements say, whatever the role, the database or the server set: every name of ours is pg_catalog's, no one
 * ends the session while it idles, and it never takes the locks of a serializable transaction. `settings` come on top. To be sent as one simple query.
 */
export function sessionSql(settings: Readonly<Record<string, string>> = {}): string {
  const all = {
    search_path: 'pg_catalog',
    default_transaction_isolation: 'read committed',
    idle_in_transaction_session_timeout: '0',
    row_security: 'on',
    standard_conforming_strings: 'on',
    quote_all_identifiers: 'off',
    array_nulls: 'on',
    client_encoding: 'UTF8',
    ...settings,
  };
  // Not every version has them.
  const known = ['idle_session_timeout', 'transaction_timeout'].map(
    (name) => `SELECT set_config('${name}', '0', false) WHERE current_setting('${name}', true) IS NOT NULL`,
  );
  return [...Object.entries(all).map(([name, value]) => `SET ${escapeIdentifier(name)} = ${escapeLiteral(value)}`), ...known].join('; ');
}

/** Whether a login failed because the server asks for a password and none is set: pg says so in words of its protocol, and without a code. */
export function lacksPassword(error: unknown): boolean {
  return error instanceof Error && /client password must be a/.test(error.message);
}

/**
 * Node's TLS options from files, for every server there is.
 *
 * @throws CdcError CONFIG_INVALID when a file cannot be read
 */
export function tlsOptions(tls: TlsConfig): ConnectionOptions {
  return {
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.caFile === undefined ? {} : { ca: pem('caFile', tls.caFile) }),
    ...(tls.certFile === undefined ? {} : { cert: pem('certFile', tls.certFile) }),
    ...(tls.keyFile === undefined ? {} : { key: pem('keyFile', tls.keyFile) }),
  };
}

function pem(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CdcError('CONFIG_INVALID', `tls.${setting}: ${describeError(error)}`, { cause: error });
  }
}
