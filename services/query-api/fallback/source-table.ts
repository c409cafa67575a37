import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import { qualified, queryText, type Database } from '#read-model/index.ts';
import { leadingColumns, type Table } from '../model/catalogue.ts';
import type { Column } from '../model/values.ts';
import type { ListQuery } from '../lists/list-query.ts';

/** A mirror as its source table can be asked for it: the mirror's columns with the mirror's types, and the source's own indexes. */
export type SourceTable = {
  /** In place of the mirror: lists are served by indexes that the source has. */
  readonly table: Table;
  /** What comes after FROM. */
  readonly from: string;
};

const described = z.object({
  partitioned: z.boolean(),
  columns: z.array(z.object({ at: z.number(), name: z.string() })),
  indexes: z.array(z.object({ columns: z.array(z.number()), options: z.array(z.number()) })).nullable(),
});

/** Null when the source has no such table, or lacks a column of the mirror. */
export async function readSourceTable(database: Database, mirror: Table): Promise<SourceTable | null> {
  const { source } = mirror;
  if (source === null) return null;
  const [row] = await queryText(
    database,
    `SELECT row_to_json(d) FROM (SELECT c.relkind = 'p' AS partitioned,
        (SELECT json_agg(json_build_object('at', a.attnum, 'name', a.attname)) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
        (SELECT json_agg(json_build_object('columns', i.indkey::int2[], 'options', i.indoption::int2[]))
           FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
          WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree') AS indexes
       FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')) d`,
    [qualified(source.schema, source.table)],
  );
  const json = row?.[0];
  if (typeof json !== 'string') return null;
  const { partitioned, columns, indexes } = described.parse(JSON.parse(json));
  const byName = new Map(mirror.columns.map((column) => [column.name, column]));
  if (!mirror.columns.every(({ name }) => columns.some((column) => column.name === name))) return null;
  const byNumber = new Map(
    columns.flatMap(({ at, name }) => {
      const column = byName.get(name);
      return column === undefined ? [] : [[at, column] as const];
    }),
  );
  const ordered = (indexes ?? []).map((index) => leadingColumns(index, byNumber)).filter((listed) => listed.length > 0);
  return { table: { ...mirror, indexes: ordered, deleted: null }, from: fromSql(mirror, source, partitioned) };
}

/** The columns with the types that they have in the mirror, so that the same text comes of them. A cast to the same type keeps an index of use. */
function fromSql({ columns }: Pick<Table, 'columns'>, { schema, table }: NonNullable<Table['source']>, partitioned: boolean): string {
  const selected = columns.map(({ name, type }) => `s.${escapeIdentifier(name)}::${type} AS ${escapeIdentifier(name)}`);
  return `(SELECT ${selected.join(', ')} FROM ${partitioned ? '' : 'ONLY '}${qualified(schema, table)} s)`;
}

/** Types whose order is that of a collation, or not known: two databases may put their values in another order. */
const ordered: ReadonlySet<string> = new Set([
  'int2',
  'int4',
  'int8',
  'numeric',
  'float4',
  'float8',
  'bool',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'bytea',
]);

/** Whether pages of this list are the same at the source as in the model, so that a cursor of one is good at the other. */
export function hasOneOrder({ order, filters }: ListQuery): boolean {
  const filtered = new Set(filters.map(({ column }) => column.name));
  return order.every((column) => filtered.has(column.name) || isOrdered(column));
}

function isOrdered({ base, isArray }: Column): boolean {
  return base !== null && !isArray && ordered.has(base);
}
