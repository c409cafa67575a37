import { Client, DatabaseError, type ClientConfig } from 'pg';
import { CdcError, describeError } from '#pipeline/index.ts';

const unreachable = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);

/** An open client that closes itself at the end of its scope. */
export type OpenClient = Client & AsyncDisposable;

/**
 * Connects to the legacy database. A connection that breaks while idle does not end the process; the next query reports it.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING, LEGACY_ROLE_MISSING or LEGACY_LOGIN_REFUSED
 */
export async function openClient(config: ClientConfig): Promise<OpenClient> {
  const client = new Client(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw explainError(error, config);
  }
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Whether the connection is gone, so that another one is needed. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof DatabaseError)
    return ['57P01', '57P02', '57P03', '53300'].includes(error.code ?? '') || (error.code ?? '').startsWith('08');
  if (error instanceof AggregateError) return error.errors.some(isConnectionLoss);
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && unreachable.has(error.code)) return true;
  // pg gives these no code.
  return /Connection terminated|timeout expired|not queryable|Client was closed/.test(error.message);
}

/** The CdcError that says what is wrong with the legacy database and what to do; any other error comes back as it is. */
export function explainError(error: unknown, config: ClientConfig): Error {
  const server = `${config.host ?? 'localhost'}:${config.port ?? 5432}`;
  const database = config.database ?? '';
  const user = config.user ?? '';
  const options = { cause: error };
  if (error instanceof DatabaseError) {
    switch (error.code ?? '') {
      case '3D000':
        return new CdcError('LEGACY_DB_MISSING', `database ${database} does not exist in the legacy server ${server}`, {
          cause: error,
          remedy: `Create it: CREATE DATABASE ${database} OWNER …; or correct legacyDb.database.`,
        });
      case '28000':
        if (/does not exist/.test(error.message)) return roleMissing(user, server, error);
        return new CdcError('LEGACY_LOGIN_REFUSED', `${server} refuses the login of ${user}: ${error.message}`, options);
      case '28P01':
        return new CdcError('LEGACY_LOGIN_REFUSED', `${server} refuses the login of ${user}: ${error.message}`, options);
      case '42501':
        return new CdcError('LEGACY_PRIVILEGE_MISSING', `${user} in database ${database} at ${server}: ${error.message}`, options);
      case '42P01':
        return new CdcError('LEGACY_TABLES_MISSING', `database ${database} at ${server}: ${error.message}`, options);
    }
  }
  if (isConnectionLoss(error)) {
    return new CdcError('LEGACY_DB_UNREACHABLE', `no answer from the legacy database at ${server}: ${describeError(error)}`, options);
  }
  return error instanceof Error ? error : new Error(describeError(error), { cause: error });
}

/** The error for a role that the server does not have. */
export function roleMissing(role: string, server: string, cause?: unknown): CdcError {
  return new CdcError('LEGACY_ROLE_MISSING', `role ${role} does not exist in the legacy server ${server}`, {
    cause,
    remedy: `Create it: CREATE ROLE ${role} LOGIN PASSWORD '…'; or correct legacyDb.roles.`,
  });
}
