import { CdcError } from '#pipeline/index.ts';
import { queryText, qualified, text, type Database, type TextRow } from '../database.ts';
import type { Mirror, MirrorColumn } from './mirror.ts';
import { widerFor } from './column-demand.ts';
import { toParameter } from '../decode/values/parameter.ts';
import { vectorDelimiter, type ColumnType } from '../decode/values/column-type.ts';
import { unavailableTest } from '../decode/values/unavailable.ts';
import { identitySql } from './other-mirrors.ts';
import { bytesComment, deletedColumn, lsnColumn } from './own-columns.ts';

/** Types whose own array carries them; every other type travels as text and is cast, which costs a little more. */
const carriers: ReadonlySet<string> = new Set(
  'bool int2 int4 int8 float4 float8 numeric text varchar timestamptz timestamp date time timetz interval uuid json jsonb bytea'.split(' '),
);
const plainTypes: ReadonlySet<string> = new Set('bool int2 int4 int8 float4 float8 numeric date uuid'.split(' '));

/**
 * Reads what `schema`'s mirrors look like: its tables named in mirrored_tables with their columns, types and keys.
 *
 * @throws CdcError READ_MODEL_MIRROR_INVALID naming a table that is missing or has no primary key
 */
export async function loadMirrors(database: Database, schema: string): Promise<readonly Mirror[]> {
  const rows = await queryText(
    database,
    `WITH RECURSIVE level AS (
       SELECT m.mirror_table, a.attnum, a.atttypid AS type, a.atttypmod AS modifier, a.atttypid AS outermost, ''::text AS delimiters
         FROM ${qualified(schema, 'mirrored_tables')} m
         JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', $1::text, m.mirror_table)) AND a.attnum > 0 AND NOT a.attisdropped
       UNION ALL
       SELECT l.mirror_table, l.attnum, coalesce(e.oid, t.typbasetype), CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE l.modifier END,
              CASE WHEN l.delimiters = '' AND e.oid IS NULL THEN t.typbasetype ELSE l.outermost END, l.delimiters || coalesce(e.typdelim::text, '')
         FROM level l JOIN pg_type t ON t.oid = l.type LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
        WHERE t.typtype = 'd' OR e.oid IS NOT NULL
     ), resolved AS (
       SELECT l.*, t.typtype, CASE WHEN n.nspname = 'pg_catalog' THEN t.typname::text ELSE format('%I.%I', n.nspname, t.typname) END AS name
         FROM level l JOIN pg_type t ON t.oid = l.type JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype <> 'd' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
     )
     SELECT m.mirror_table, m.source_schema, m.source_table, a.attname, r.name, r.delimiters, r.modifier, format_type(r.outermost, -1),
            array_position(i.indkey::int2[], a.attnum), a.attnotnull, m.columns_version, r.typtype,
            (SELECT c.relnatts FROM pg_class c WHERE c.oid = a.attrelid), m.deletes, m.history, m.follows, ${identitySql('m')}, col_description(a.attrelid, a.attnum)
       FROM ${qualified(schema, 'mirrored_tables')} m
       LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', $1::text, m.mirror_table)) AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN resolved r ON r.mirror_table = m.mirror_table AND r.attnum = a.attnum
       LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
      ORDER BY m.mirror_table, a.attnum`,
    [schema],
  );
  const byTable = Map.groupBy(rows, (row) => text(row, 0));
  return [...byTable].map(([table, columns]) => toMirror(schema, table, columns));
}

function toMirror(schema: string, table: string, rows: readonly TextRow[]): Mirror {
  const [first] = rows;
  if (first === undefined || first[3] === null) {
    throw new CdcError('READ_MODEL_MIRROR_INVALID', `mirror table ${schema}.${table} does not exist`);
  }
  const marks = first[13] === 'mark';
  const sourceColumns = rows.filter((row) => row[3] !== lsnColumn && !(marks && row[3] === deletedColumn));
  const columns = sourceColumns.map(toColumn);
  const key = sourceColumns
    .flatMap((row, index) => (row[8] === null || row[8] === undefined ? [] : [{ index, position: Number(row[8]) }]))
    .toSorted((a, b) => a.position - b.position)
    .map(({ index }) => index);
  if (key.length === 0) throw new CdcError('READ_MODEL_MIRROR_INVALID', `mirror table ${schema}.${table} has no primary key`);
  if (!rows.some((row) => row[3] === lsnColumn)) {
    throw new CdcError('READ_MODEL_MIRROR_INVALID', `mirror table ${schema}.${table} has no column ${lsnColumn}`, {
      remedy: `ALTER TABLE ${qualified(schema, table)} ADD COLUMN ${lsnColumn} bigint`,
    });
  }
  return {
    source: { schema: text(first, 1), table: text(first, 2) },
    schema,
    table,
    columns,
    key,
    columnNames: new Set(columns.map(({ name }) => name)),
    columnsSpent: Number(text(first, 12)),
    columnsVersion: Number(text(first, 10)),
    deletes: marks ? 'mark' : 'remove',
    history: first[14] === 't',
    follows: first[15] === 't',
    identity: text(first, 16),
  };
}

function toColumn(row: TextRow): MirrorColumn {
  // A composite's kind: values come as the bytes of their text.
  const kind = row[17] === bytesComment ? 'c' : text(row, 11);
  const type = columnType(text(row, 4), text(row, 5), Number(text(row, 6)), kind);
  // Carriers have no length or scale: to cast would cut silently, whereas the column's own check refuses.
  const carried = type.element === null && carriers.has(type.name);
  return {
    name: text(row, 3),
    carrier: carried ? `pg_catalog.${type.name}` : 'pg_catalog.text',
    cast: carried ? null : text(row, 7),
    plain: carried && plainTypes.has(type.name),
    toParameter: toParameter(type),
    isUnavailable: isUnavailable(type),
    required: row[9] === 't' && row[8] === null,
    widerFor: widerFor(type),
  };
}

/** Types that are arrays in all but their text. */
const vectors: Readonly<Record<string, string>> = { int2vector: 'int2', oidvector: 'oid' };

/** `name` is that of the innermost elements; `delimiters` are empty for what is no array. */
function columnType(name: string, delimiters: string, modifier: number, kind: string): ColumnType {
  const element = vectors[name] ?? name;
  const all = [...delimiters.split(''), ...(element === name ? [] : [vectorDelimiter])];
  return all.length === 0 ? { name, element: null, modifier, kind } : { name, element, modifier, kind, delimiters: all };
}

/** A json column may be one that was added for arrays of whatever type (schema/column-demand.ts). */
function isUnavailable(type: ColumnType): MirrorColumn['isUnavailable'] {
  const test = unavailableTest(type);
  if (type.name !== 'json') return test;
  const arrayTest = unavailableTest({ ...type, element: 'text' });
  return (value) => test(value) || arrayTest(value);
}
