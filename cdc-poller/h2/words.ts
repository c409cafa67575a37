import { columnList, type Words } from '../source/words.ts';
import { h2KeyMisfit } from './key-types.ts';
import { h2Name, h2Table } from './names.ts';

const idTypes: readonly string[] = ['tinyint', 'smallint', 'integer', 'bigint'];

export const h2Words: Words = {
  idTypes,
  orderedTypes: [
    ...idTypes, 'numeric', 'decfloat', 'real', 'double precision', 'boolean', 'uuid', 'character', 'character varying', 'binary', 'binary varying', 'date', 'time', 'timestamp', 'timestamp with time zone',
  ], // prettier-ignore
  zonedTypes: ['timestamp with time zone'],
  localTypes: ['timestamp'],
  keyMisfit: h2KeyMisfit,
  // No index takes them.
  longTypes: ['character large object', 'binary large object'],
  name: h2Name,
  role: h2Name,
  // There are no rights on single columns.
  grant: (table, _columns, role) => `GRANT SELECT ON ${h2Table(table)} TO ${h2Name(role)};`,
  createIndex: (table, columns) => [
    '-- Writers of the table wait while it is built, and fail after their LOCK_TIMEOUT: run it while the application is stopped.',
    `CREATE INDEX ON ${h2Table(table)}${columnList(columns, h2Name)};`,
  ],
};
