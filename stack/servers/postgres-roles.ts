import type { Client } from 'pg';
import type { RolesAndDatabase } from '../roles-and-variables.ts';

/** Makes the roles that are missing, sets every password, and makes the database for its owner. Repeatable. */
export async function ensureRoles(superuser: Client, { roles, database }: RolesAndDatabase): Promise<void> {
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
