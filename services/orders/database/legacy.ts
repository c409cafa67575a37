import { DatabaseError, type Pool } from 'pg';
import { CdcError, describeError, postgresClientConfig, sessionSql, type Logger } from '#pipeline/index.ts';
import { openPool } from '#read-model/index.ts';
import { postgresFailure } from '../../http/postgres-failures.ts';
import type { OrdersSettings } from '../settings.ts';
import { requireWriter } from './role.ts';

/** The legacy database, as the service's role. */
export type Legacy = AsyncDisposable & {
  readonly pool: Pool;
  /**
   * That the database answers, and once that the role is what it must be.
   *
   * @throws CdcError LEGACY_DB_UNREACHABLE, ORDER_SERVICE_LOGIN_REFUSED, ORDER_SERVICE_GRANT_MISSING, ORDER_SERVICE_ROLE_TOO_STRONG
   */
  check(): Promise<void>;
  /** {@link check}, until it was right once: a command finds out by itself whether the database is away. */
  checkOnce(): Promise<void>;
};

/** A session that has stopped in the middle of a command keeps its locks for so long at most. */
const idleInTransactionMs = 10_000;

/** Opens the pool; asks nothing yet. Every statement and every wait for a lock ends within `statementTimeoutMs`. */
export function openLegacy({ orders, legacyDb }: OrdersSettings, logger: Logger): Legacy {
  const { statementTimeoutMs, connections } = orders;
  const config = {
    ...postgresClientConfig(legacyDb, orders, 'cdc order-service'),
    connectionTimeoutMillis: statementTimeoutMs,
    query_timeout: statementTimeoutMs * 2 + 1000,
  };
  const session = sessionSql({
    default_transaction_read_only: 'off',
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: String(statementTimeoutMs),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
    DateStyle: 'ISO, YMD',
    TimeZone: 'UTC',
    jit: 'off',
  });
  const pool = openPool(config, logger, connections, session);
  let checked = false;
  const check = async (): Promise<void> => {
    try {
      if (checked) await pool.query('SELECT 1');
      else await requireWriter(pool, orders);
      checked = true;
    } catch (error) {
      throw error instanceof CdcError ? error : classified(error);
    }
  };
  return {
    pool,
    check,
    checkOnce: () => (checked ? Promise.resolve() : check()),
    [Symbol.asyncDispose]: () => pool.end(),
  };

  function classified(error: unknown): unknown {
    const code = error instanceof DatabaseError ? (error.code ?? '') : '';
    const what = `${orders.user} at ${legacyDb.host}:${legacyDb.port}/${legacyDb.database}: ${describeError(error)}`;
    if (code.startsWith('28') || code === '3D000') return new CdcError('ORDER_SERVICE_LOGIN_REFUSED', what, { cause: error });
    if (code === '42501') return new CdcError('ORDER_SERVICE_GRANT_MISSING', what, { cause: error });
    return postgresFailure(error) === null ? error : new CdcError('LEGACY_DB_UNREACHABLE', what, { cause: error });
  }
}
