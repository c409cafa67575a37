import type { Connection } from 'mysql2/promise';

type Roles = Readonly<Record<'owner' | 'poller' | 'replicator', { readonly user: string; readonly password: string }>>;

/**
 * Makes the users that are missing, sets every password, and makes `database`: its owner may do everything in it, the poller read it, the
 * replicator read it and the binlog. Repeatable.
 */
export async function ensureMariadbRoles(root: Connection, roles: Roles, database: string): Promise<void> {
  for (const { user, password } of Object.values(roles)) {
    const account = `${root.escape(user)}@'%'`;
    await root.query(`CREATE USER IF NOT EXISTS ${account}`);
    await root.query(`ALTER USER ${account} IDENTIFIED BY ${root.escape(password)}`);
  }
  const name = root.escapeId(database);
  const [owner, poller, replicator] = [roles.owner, roles.poller, roles.replicator].map(({ user }) => `${root.escape(user)}@'%'`);
  await root.query(`CREATE DATABASE IF NOT EXISTS ${name} CHARACTER SET utf8mb4`);
  await root.query(`GRANT ALL PRIVILEGES ON ${name}.* TO ${owner}`);
  await root.query(`GRANT SELECT ON ${name}.* TO ${poller}`);
  // What Debezium's MariaDB connector asks for: RELOAD locks for the moment in which its snapshot begins.
  await root.query(`GRANT SELECT, LOCK TABLES ON ${name}.* TO ${replicator}`);
  await root.query(`GRANT RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${replicator}`);
}
