import { escapeLiteral } from 'pg';
import { CdcError, postgresName, type QueryApiConfig } from '#pipeline/index.ts';
import { queryText, type Database } from '#read-model/index.ts';
import { needlessRights } from '../../service-role.ts';
import type { Catalogue } from './catalogue.ts';

/** The API's role: what it is granted, and whether a role is no more and no less than that. */

/** Of the model's own tables, those that say what is served and how fresh it is. */
const ownTables = ['model_version', 'mirrored_tables', 'model_projections', 'projection_faults', 'applied_offsets', 'freshness'] as const;

type RoleAsked = Pick<QueryApiConfig, 'user'> & {
  readonly model: string;
  readonly database: string;
  /** The role that makes the model's tables. */ readonly owner: string;
};

/** SQL that makes the role. For whoever may create roles. */
export function createRoleSql({ user }: RoleAsked, password: string): readonly string[] {
  return [`CREATE ROLE ${postgresName(user)} LOGIN PASSWORD ${escapeLiteral(password)}`];
}

/** SQL that grants the role what it needs and nothing else, new tables and rebuilt versions included. For the owner of the tables. Repeatable. */
export function grantsSql({ user, model, database, owner }: RoleAsked, { tables }: Catalogue): readonly string[] {
  const [role, schema] = [postgresName(user), postgresName(model)];
  const names = [...ownTables, ...[...tables.keys()].toSorted()];
  return [
    `GRANT CONNECT ON DATABASE ${postgresName(database)} TO ${role}`,
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
    ...names.map((table) => `GRANT SELECT ON ${schema}.${postgresName(table)} TO ${role}`),
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${postgresName(owner)} IN SCHEMA ${schema} GRANT SELECT ON TABLES TO ${role}`,
  ];
}

/** What a role may do beyond reading; empty when it is nothing. Asked as the role itself. */
export async function excessOf(database: Database): Promise<{ readonly role: string; readonly excess: string }> {
  const [row] = await queryText(
    database,
    `SELECT current_user,
            concat_ws(', ', ${needlessRights},
              (SELECT 'may write ' || min(format('%I.%I', n.nspname, c.relname)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname !~ '^(pg_|information_schema$)' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')))
       FROM pg_roles r WHERE r.rolname = current_user`,
  );
  return { role: row?.[0] ?? '', excess: row?.[1] ?? '' };
}

/**
 * Asks as the role itself.
 *
 * @throws CdcError QUERY_API_ROLE_TOO_STRONG when it may do more than read, QUERY_API_GRANT_MISSING when it may not read a table
 */
export async function requireReader(database: Database, model: string, { tables }: Catalogue): Promise<void> {
  const [row] = await queryText(
    database,
    `SELECT CASE WHEN has_schema_privilege($1, 'CREATE') THEN 'may create tables in the model' END,
            (SELECT string_agg(name, ', ') FROM unnest($2::text[]) AS name
              WHERE NOT has_table_privilege(format('%I.%I', $1, name), 'SELECT'))`,
    [model, [...ownTables, ...tables.keys()]],
  );
  const { role, excess } = await excessOf(database);
  const [creates = null, missing = null] = row ?? [];
  const more = [excess, creates].filter((one) => one !== null && one !== '').join(', ');
  if (more !== '') throw new CdcError('QUERY_API_ROLE_TOO_STRONG', `role ${role} ${more}: the query API needs a role that reads only`);
  if (missing !== null) throw new CdcError('QUERY_API_GRANT_MISSING', `role ${role} may not read ${missing} of read model ${model}`);
}
