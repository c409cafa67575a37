import type { Logger, PipelineConfig } from '#pipeline/index.ts';
import { readDatabaseConfig, requireModel, requireReadModel, unreachable } from '#read-model/index.ts';
import { asOwner, passwordHere, printedSql, runGrants } from '../service-role.ts';
import { readCatalogue } from './model/catalogue.ts';
import { createRoleSql, grantsSql } from './model/role.ts';
import { requireQueryApi } from './settings.ts';

export type RolesOptions = {
  readonly config: PipelineConfig;
  /** Run the grants, as the role that owns the model. It makes no role. */
  readonly apply: boolean;
  readonly logger: Logger;
};

/**
 * The SQL of the query API's role: it may read the model's tables, those that will be made in it too, and nothing else.
 *
 * @throws CdcError SERVICE_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, READ_DB_UNREACHABLE, with `apply` QUERY_API_GRANT_MISSING
 */
export async function queryApiRoles({ config, apply, logger }: RolesOptions): Promise<string> {
  const { queryApi, model } = requireQueryApi(config);
  const readModel = requireReadModel(config);
  const database = readDatabaseConfig(readModel);
  const refused = {
    code: 'QUERY_API_GRANT_MISSING',
    remedy: 'Have a role that may create roles run the SQL that cdc services roles prints.',
  } as const;
  const asked = { user: queryApi.user, model, database: readModel.database, owner: readModel.user };
  const owner = { database, logger, user: queryApi.user, refused, unreachable: (error: unknown) => unreachable(database, error) };
  return asOwner(owner, async (pool) => {
    const catalogue = await readCatalogue(pool, model, requireModel(readModel, model).topicPrefix);
    const grants = grantsSql(asked, catalogue);
    if (!apply) return printedSql([...createRoleSql(asked, passwordHere), ...grants]);
    await runGrants(pool, model, grants);
    return `${queryApi.user} may read the ${catalogue.tables.size} tables of ${model}, and those that are made in it later.`;
  });
}
