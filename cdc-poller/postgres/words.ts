import type { TableId } from '#change-events/index.ts';
import { postgresName } from '#pipeline/index.ts';
import { columnList, lockSeconds, type Words } from '../source/words.ts';
import { keyMisfit } from './values/key-types.ts';

const idTypes: readonly string[] = ['int2', 'int4', 'int8'];

export const postgresWords: Words = {
  idTypes,
  orderedTypes: [
    ...idTypes, 'numeric', 'oid', 'uuid', 'text', 'varchar', 'bpchar', 'name', 'date', 'time', 'timestamp', 'timestamptz', 'bytea', 'bool', 'inet', 'macaddr', 'float4', 'float8',
  ], // prettier-ignore
  zonedTypes: ['timestamptz'],
  localTypes: ['timestamp'],
  keyMisfit,
  longTypes: ['numeric', 'text', 'varchar', 'bpchar', 'bytea'],
  name: postgresName,
  role: postgresName,
  grant: (table, columns, role) => `GRANT SELECT${columnList(columns, postgresName)} ON ${postgresTable(table)} TO ${postgresName(role)};`,
  createIndex(table, columns, leaves) {
    const on = (where: TableId): string => `${postgresTable(where)}${columnList(columns, postgresName)}`;
    if (leaves === null) return [`CREATE INDEX CONCURRENTLY ON ${on(table)};`];
    // It cannot be made concurrently, but takes in the partitions' indexes that are there, and then has nothing to build.
    const bare = leaves.filter(({ indexes }) => !indexes.some((index) => equal(index, columns)));
    return [
      ...bare.map(({ id }) => `CREATE INDEX CONCURRENTLY ON ${on(id)};`),
      `SET lock_timeout = '${lockSeconds}s';`,
      `CREATE INDEX ON ${on(table)};`,
    ];
  },
};

function postgresTable({ schema, table }: TableId): string {
  return `${postgresName(schema)}.${postgresName(table)}`;
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => name === b[at]);
}
