import { CdcError } from '#pipeline/index.ts';
import { queryText, qualified, text, type Database, type TextRow } from './database.ts';
import type { Mirror, MirrorColumn } from './mirror.ts';
import { widerFor } from './schema/column-demand.ts';
import { toParameter } from './values/parameter.ts';
import type { ColumnType } from './values/column-type.ts';
import { unavailableTest } from './values/unavailable.ts';

/** The column that a mirror has beyond its source's: the log position of the row's last event. */
export const lsnColumn = '_lsn';

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
    `SELECT m.mirror_table, m.source_schema, m.source_table, a.attname, base.typname, elem.typname,
            CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, format_type(base.oid, -1), array_position(i.indkey::int2[], a.attnum),
            a.attnotnull, m.columns_version
       FROM ${qualified(schema, 'mirrored_tables')} m
       LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', $1::text, m.mirror_table)) AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_type base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
       LEFT JOIN pg_type elem ON elem.oid = base.typelem AND base.typcategory = 'A'
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
  const sourceColumns = rows.filter((row) => row[3] !== lsnColumn);
  const columns = sourceColumns.map(toColumn);
  const key = sourceColumns
    .flatMap((row, index) => (row[8] === null || row[8] === undefined ? [] : [{ index, position: Number(row[8]) }]))
    .toSorted((a, b) => a.position - b.position)
    .map(({ index }) => index);
  if (key.length === 0) throw new CdcError('READ_MODEL_MIRROR_INVALID', `mirror table ${schema}.${table} has no primary key`);
  if (sourceColumns.length === rows.length) {
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
    columnsVersion: Number(text(first, 10)),
  };
}

function toColumn(row: TextRow): MirrorColumn {
  const type = { name: text(row, 4), element: row[5] ?? null, modifier: Number(text(row, 6)) };
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

/** A json column may be one that was added for arrays of whatever type (schema/column-demand.ts). */
function isUnavailable(type: ColumnType): MirrorColumn['isUnavailable'] {
  const test = unavailableTest(type);
  if (type.name !== 'json') return test;
  const arrayTest = unavailableTest({ ...type, element: 'text' });
  return (value) => test(value) || arrayTest(value);
}
