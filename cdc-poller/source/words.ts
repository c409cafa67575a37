import { mariadbIdTypes, mariadbOrderedTypes } from '#pipeline/index.ts';

/** What a table is judged by, and told in, in the words of its database. */
export type Words = {
  /** Types of columns that may be an id that grows. */
  readonly idTypes: readonly string[];
  /** Types whose order the database and its indexes know, and whose text reads back as the same value. */
  readonly orderedTypes: readonly string[];
  /** Types of timestamps that are instants, and of those that are readings of a clock. */
  readonly zonedTypes: readonly string[];
  readonly localTypes: readonly string[];
  /** SQL for the owner. */
  readonly grant: (table: { readonly schema: string; readonly table: string }, columns: readonly string[], role: string) => string;
  readonly setNotNull: (table: string, column: string) => string;
  readonly createUniqueIndex: (table: string, columns: readonly string[]) => string;
  readonly createIndex: (table: string, columns: readonly string[]) => string;
};

const idTypes: readonly string[] = ['int2', 'int4', 'int8'];

export const postgresWords: Words = {
  idTypes,
  orderedTypes: [
    ...idTypes, 'numeric', 'oid', 'uuid', 'text', 'varchar', 'bpchar', 'name', 'date', 'time', 'timestamp', 'timestamptz', 'bytea', 'bool', 'inet', 'macaddr', 'float4', 'float8',
  ], // prettier-ignore
  zonedTypes: ['timestamptz'],
  localTypes: ['timestamp'],
  grant: ({ schema, table }, columns, role) =>
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT${list(columns)} ON ${schema}.${table} TO ${role};`,
  setNotNull: (table, column) => `ALTER TABLE ${table} ALTER COLUMN ${column} SET NOT NULL`,
  createUniqueIndex: (table, columns) => `CREATE UNIQUE INDEX CONCURRENTLY ON ${table}${list(columns)};`,
  createIndex: (table, columns) => `CREATE INDEX CONCURRENTLY ON ${table}${list(columns)};`,
};

export const mariadbWords: Words = {
  idTypes: mariadbIdTypes,
  orderedTypes: mariadbOrderedTypes,
  zonedTypes: ['timestamp'],
  localTypes: ['datetime'],
  grant: ({ schema, table }, columns, role) => `GRANT SELECT${list(columns)} ON ${schema}.${table} TO ${account(role)};`,
  setNotNull: (table, column) => `ALTER TABLE ${table} MODIFY ${column} … NOT NULL`,
  createUniqueIndex: (table, columns) => `ALTER TABLE ${table} ADD UNIQUE INDEX${list(columns)};`,
  createIndex: (table, columns) => `ALTER TABLE ${table} ADD INDEX${list(columns)};`,
};

function list(columns: readonly string[]): string {
  return columns.length === 0 ? '' : ` (${columns.join(', ')})`;
}

/** `cdc_poller@%` → `'cdc_poller'@'%'` */
function account(role: string): string {
  const at = role.lastIndexOf('@');
  return at < 0 ? `'${role}'` : `'${role.slice(0, at)}'@'${role.slice(at + 1)}'`;
}
