import type { Client } from 'pg';

/** A role as a DBA makes it for one of the programs. */
export type Role = { readonly user: string; readonly password: string; readonly attributes?: 'CREATEDB' | 'REPLICATION' };

/** Makes the roles that are missing, sets every password, and makes `database` for `owner`. Repeatable. */
export async function ensureRoles(
  superuser: Client,
  roles: readonly Role[],
  database: { readonly name: string; readonly owner: string },
): Promise<void> {
  for (const { user, password, attributes } of roles) {
    const name = superuser.escapeIdentifier(user);
    const found = await superuser.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [user]);
    if (found.rowCount === 0) await superuser.query(`CREATE ROLE ${name} LOGIN ${attributes ?? ''}`);
    await superuser.query(`ALTER ROLE ${name} PASSWORD ${superuser.escapeLiteral(password)}`);
  }
  const found = await superuser.query('SELECT 1 FROM pg_database WHERE datname = $1', [database.name]);
  if (found.rowCount === 0) {
    await superuser.query(
      `CREATE DATABASE ${superuser.escapeIdentifier(database.name)} OWNER ${superuser.escapeIdentifier(database.owner)}`,
    );
  }
}
