import { escapeLiteral } from 'pg';
import type { TableId } from '#change-events/index.ts';
import { mariadbAccount, mariadbName, mariadbText, postgresName, visibleLine, type LegacyDbConfig } from '#pipeline/index.ts';

export type RoleAsked = {
  readonly user: string;
  /** Empty for a role that exists and whose password we do not have. */
  readonly password: string;
  /** The server has it already: it only gets its rights. */
  readonly exists: boolean;
};
export type RolesAsked = { readonly poller: RoleAsked | null; readonly replicator: RoleAsked | null };

/**
 * SQL that makes the roles, for whoever may: with the rights that each needs and no others. What the log needs besides, `cdc connectors prepare` makes and grants.
 * The passwords are those of `.env`. A role that exists keeps its password and attributes: others may use it.
 */
export function rolesSql({ dialect, database }: LegacyDbConfig, { poller, replicator }: RolesAsked, tables: readonly TableId[]): string {
  if (dialect === 'mariadb') return mariadbRoles(database, poller, replicator);
  if (dialect === 'h2') return h2Roles(poller, tables);
  const lines = [
    `-- Run it as somebody who ${poller?.exists === false || replicator?.exists === false ? 'may create roles, and ' : ''}may grant rights on the tables, in the database that is captured:`,
    `--   psql --dbname ${visibleLine(postgresName(database))} --set ON_ERROR_STOP=1 --file roles.sql`,
  ];
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  for (const [role, attributes] of [
    [poller, ''],
    [replicator, ' REPLICATION'],
  ] as const) {
    if (role === null) continue;
    const name = postgresName(role.user);
    lines.push(
      '',
      attributes === '' ? '-- Reads the tables, and nothing else.' : '-- Debezium: reads the log, and the tables for its first snapshot.',
      role.exists
        ? `-- The role ${visibleLine(name)} exists.`
        : `CREATE ROLE ${name} LOGIN${attributes} PASSWORD ${escapeLiteral(role.password)};`,
      `GRANT CONNECT ON DATABASE ${postgresName(database)} TO ${name};`,
      ...schemas.map((schema) => `GRANT USAGE ON SCHEMA ${postgresName(schema)} TO ${name};`),
      ...tables.map(({ schema, table }) => `GRANT SELECT ON ${postgresName(schema)}.${postgresName(table)} TO ${name};`),
    );
  }
  return `${lines.join('\n')}\n`;
}

function mariadbRoles(database: string, poller: RoleAsked | null, replicator: RoleAsked | null): string {
  const lines = ["-- Run by a DBA: mariadb < roles.sql. Narrow the hosts (@'%') to those that the programs run on."];
  if (poller !== null) {
    const account = mariadbAccount(`${poller.user}@%`);
    lines.push(
      '',
      '-- Reads the tables, and nothing else.',
      mariadbUser(account, poller),
      `GRANT SELECT ON ${mariadbName(database)}.* TO ${account};`,
    );
  }
  if (replicator !== null) {
    const account = mariadbAccount(`${replicator.user}@%`);
    lines.push(
      '',
      '-- Debezium: reads the binlog. Its rights come from cdc connectors prepare, which a DBA runs.',
      mariadbUser(account, replicator),
    );
  }
  return `${lines.join('\n')}\n`;
}

function mariadbUser(account: string, { password, exists }: RoleAsked): string {
  return exists ? `-- The user ${visibleLine(account)} exists.` : `CREATE USER ${account} IDENTIFIED BY ${mariadbText(password)};`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function h2Roles(poller: RoleAsked | null, tables: readonly TableId[]): string {
  if (poller === null) return '';
  return [
    '-- Run by an administrator of the H2, over JDBC.',
    `CREATE USER ${quoted(poller.user)} PASSWORD '${poller.password.replaceAll("'", "''")}';`,
    ...tables.map(({ schema, table }) => `GRANT SELECT ON ${quoted(schema)}.${quoted(table)} TO ${quoted(poller.user)};`),
    '',
  ].join('\n');
}
