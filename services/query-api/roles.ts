import { DatabaseError } from 'pg';
import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { inTransaction, openPool, readDatabaseConfig, requireModel, requireReadModel, unreachable } from '#read-model/index.ts';
import { readCatalogue } from './model/catalogue.ts';
import { createRoleSql, grantsSql } from './model/role.ts';
import { requireQueryApi } from './settings.ts';

export type RolesOptions = {
  readonly config: PipelineConfig;
  /** Run the grants, as the role that owns the model. It makes no role. */
  readonly apply: boolean;
  readonly logger: Logger;
};

/** A place for the password in what is printed: a secret is not shown. */
const passwordHere = '<password>';

/**
 * The SQL of the query API's role: it may read the model's tables, those that will be made in it too, and nothing else.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, READ_DB_UNREACHABLE, with `apply` QUERY_API_GRANT_MISSING
 */
export async function queryApiRoles({ config, apply, logger }: RolesOptions): Promise<string> {
  const { queryApi, model } = requireQueryApi(config);
  const readModel = requireReadModel(config);
  const database = readDatabaseConfig(readModel);
  const pool = openPool(database, logger, 1);
  try {
    const catalogue = await readCatalogue(pool, model, requireModel(readModel, model).topicPrefix);
    const asked = { user: queryApi.user, model, database: readModel.database, owner: readModel.user };
    const grants = grantsSql(asked, catalogue);
    if (!apply) return [...createRoleSql(asked, passwordHere), ...grants].map((sql) => `${sql};`).join('\n');
    await inTransaction(pool, model, async (client) => {
      for (const sql of grants) await client.query(sql);
    });
    return `${queryApi.user} may read the ${catalogue.tables.size} tables of ${model}, and those that are made in it later.`;
  } catch (error) {
    if (error instanceof CdcError) throw error;
    if (error instanceof DatabaseError)
      throw new CdcError('QUERY_API_GRANT_MISSING', `${queryApi.user} could not be granted what it needs: ${describeError(error)}`, {
        cause: error,
        remedy: 'Have a role that may create roles run the SQL that cdc services roles prints.',
      });
    throw unreachable(database, error);
  } finally {
    await pool.end();
  }
}
