import { DatabaseError } from 'pg';
import { CdcError, describeError, postgresClientConfig, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { inTransaction, openPool } from '#read-model/index.ts';
import { createRoleSql, grantsSql } from './database/role.ts';
import { requireOrders } from './settings.ts';

export type OrderRolesOptions = {
  readonly config: PipelineConfig;
  /** Run the grants, as the owner of the tables. It makes no role. */
  readonly apply: boolean;
  readonly logger: Logger;
};

/** A place for the password in what is printed: a secret is not shown. */
const passwordHere = '<password>';

/**
 * The SQL of the order service's role and of its schema in the legacy database.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, DIALECT_UNSUPPORTED; with `apply` LEGACY_ROLE_NOT_CONFIGURED, LEGACY_DB_UNREACHABLE, ORDER_SERVICE_GRANT_MISSING
 */
export async function orderServiceRoles({ config, apply, logger }: OrderRolesOptions): Promise<string> {
  const { orders, legacyDb } = requireOrders(config);
  const asked = { ...orders, database: legacyDb.database };
  const grants = grantsSql(asked);
  if (!apply) return [...createRoleSql(orders, passwordHere), ...grants].map((sql) => `${sql};`).join('\n');
  const { owner } = legacyDb.roles;
  if (owner === undefined)
    throw new CdcError(
      'LEGACY_ROLE_NOT_CONFIGURED',
      'legacyDb.roles.owner is not set: it grants the rights and owns the schema of the service',
    );
  const database = postgresClientConfig(legacyDb, owner, 'cdc services roles');
  const pool = openPool(database, logger, 1);
  try {
    await inTransaction(pool, 'pg_catalog', async (client) => {
      for (const sql of grants) await client.query(sql);
    });
    return `${orders.user} may read and change orders and their items, and has the schema ${orders.schema} for its idempotency keys.`;
  } catch (error) {
    if (error instanceof DatabaseError && error.code?.startsWith('28') !== true)
      throw new CdcError('ORDER_SERVICE_GRANT_MISSING', `${orders.user} could not be granted what it needs: ${describeError(error)}`, {
        cause: error,
        remedy: 'Have a role that may create roles and owns the tables run the SQL that cdc services roles prints.',
      });
    const place = `${database.host}:${database.port}/${database.database} as ${database.user}`;
    throw new CdcError('LEGACY_DB_UNREACHABLE', `the legacy database ${place} does not answer: ${describeError(error)}`, { cause: error });
  } finally {
    await pool.end();
  }
}
