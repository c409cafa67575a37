import { DatabaseError, type ClientConfig, type Pool } from 'pg';
import { CdcError, describeError, type ErrorCode, type Logger } from '#pipeline/index.ts';
import { inTransaction, openPool } from '#read-model/index.ts';

/** The role of a service in its database: how its SQL is printed and run, and what makes any role too strong. */

/** A place for the password in what is printed: a secret is not shown. */
export const passwordHere = '<password>';

export function printedSql(statements: readonly string[]): string {
  return statements.map((sql) => `${sql};`).join('\n');
}

/** SQL that gives a text for each right of the role `r` (of pg_roles, the one who asks) which no service needs, NULL for one that it has not. */
export const needlessRights = `CASE WHEN r.rolsuper THEN 'is a superuser' END, CASE WHEN r.rolcreaterole THEN 'may create roles' END,
              CASE WHEN r.rolcreatedb THEN 'may create databases' END, CASE WHEN r.rolreplication THEN 'may replicate' END,
              CASE WHEN r.rolbypassrls THEN 'passes by row security' END,
              CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN 'may create schemas' END`;

export type Owner = {
  readonly database: ClientConfig;
  readonly logger: Logger;
  /** Who is granted something, for the error. */
  readonly user: string;
  /** When the server refuses a statement. */
  readonly refused: { readonly code: ErrorCode; readonly remedy: string };
  /** When it does not answer, or refuses the login. */
  readonly unreachable: (error: unknown) => CdcError;
};

/** Does something as the owner of the tables, over one connection. @throws CdcError of `refused`, of `unreachable`, or of `work` */
export async function asOwner<T>({ database, logger, user, refused, unreachable }: Owner, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = openPool(database, logger, 1);
  try {
    return await work(pool);
  } catch (error) {
    if (error instanceof CdcError) throw error;
    if (!(error instanceof DatabaseError) || error.code?.startsWith('28') === true) throw unreachable(error);
    const message = `${user} could not be granted what it needs: ${describeError(error)}`;
    throw new CdcError(refused.code, message, { cause: error, remedy: refused.remedy });
  } finally {
    await pool.end();
  }
}

/** All or none of them. */
export async function runGrants(pool: Pool, searchPath: string, grants: readonly string[]): Promise<void> {
  await inTransaction(pool, searchPath, async (client) => {
    for (const sql of grants) await client.query(sql);
  });
}
