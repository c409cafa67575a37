import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ClientConfig } from 'pg';
import type { Credentials, LegacyDbConfig, TlsConfig } from './config/schema.ts';
import { CdcError } from './errors.ts';

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
  if (dialect === 'mariadb')
    throw new CdcError('DIALECT_UNSUPPORTED', `${host}:${port}/${database} is a MariaDB, and this command asks a Postgres`);
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

/** Node's TLS options from files; also for Kafka. */
export function tlsOptions(tls: TlsConfig): ConnectionOptions {
  return {
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile, 'utf8') }),
    ...(tls.certFile === undefined ? {} : { cert: readFileSync(tls.certFile, 'utf8') }),
    ...(tls.keyFile === undefined ? {} : { key: readFileSync(tls.keyFile, 'utf8') }),
  };
}
