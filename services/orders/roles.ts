import { CdcError, describeError, postgresClientConfig, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { asOwner, passwordHere, printedSql, runGrants } from '../service-role.ts';
import { createRoleSql, grantsSql } from './database/role.ts';
import { requireOrders } from './settings.ts';

export type OrderRolesOptions = {
  readonly config: PipelineConfig;
  /** Run the grants, as the owner of the tables. It makes no role. */
  readonly apply: boolean;
  readonly logger: Logger;
};

/**
 * The SQL of the order service's role and of its schema in the legacy database.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, DIALECT_UNSUPPORTED; with `apply` LEGACY_ROLE_NOT_CONFIGURED, LEGACY_DB_UNREACHABLE, ORDER_SERVICE_GRANT_MISSING
 */
export async function orderServiceRoles({ config, apply, logger }: OrderRolesOptions): Promise<string> {
  const { orders, legacyDb } = requireOrders(config);
  const asked = { ...orders, database: legacyDb.database };
  const grants = grantsSql(asked);
  if (!apply) return printedSql([...createRoleSql(orders, passwordHere), ...grants]);
  const { owner } = legacyDb.roles;
  if (owner === undefined)
    throw new CdcError(
      'LEGACY_ROLE_NOT_CONFIGURED',
      'legacyDb.roles.owner is not set: it grants the rights and owns the schema of the service',
    );
  const database = postgresClientConfig(legacyDb, owner, 'cdc services roles');
  const place = `${database.host}:${database.port}/${database.database} as ${database.user}`;
  const refused = {
    code: 'ORDER_SERVICE_GRANT_MISSING',
    remedy: 'Have a role that may create roles and owns the tables run the SQL that cdc services roles prints.',
  } as const;
  const unreachable = (error: unknown): CdcError =>
    new CdcError('LEGACY_DB_UNREACHABLE', `the legacy database ${place} does not answer: ${describeError(error)}`, { cause: error });
  await asOwner({ database, logger, user: orders.user, refused, unreachable }, (pool) => runGrants(pool, 'pg_catalog', grants));
  return `${orders.user} may read and change orders and their items, and has the schema ${orders.schema} for its idempotency keys.`;
}
