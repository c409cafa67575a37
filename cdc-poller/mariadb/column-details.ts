import type { ColumnDetails } from '../schemas/field-type.ts';
import type { CatalogSource } from '../source/dialect.ts';
import type { CatalogColumn } from '../source/table/catalog-table.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import { isBinary } from './values/types.ts';

/** Nothing of a default is evaluated. */
export async function readMariadbColumnDetails(
  source: Pick<CatalogSource, 'query'>,
  { id, query, columns }: Pick<TableShape, 'id' | 'query' | 'columns'>,
): Promise<ColumnDetails> {
  if (query !== null) {
    return new Map(
      columns.map((column) => [
        column.name,
        { declared: withSign(column), dimensions: 0, allowed: null, default: null, castName: column.type.name },
      ]),
    );
  }
  const rows = await source.query(detailsQuery, [id.schema, id.table]);
  return new Map(
    rows.map(([name, dataType, columnType, sql]) => [
      name ?? '',
      {
        declared: columnType ?? '',
        dimensions: 0,
        allowed:
          dataType === 'enum' || dataType === 'set'
            ? labelsOf(columnType ?? '')
                .map((label) => label.replaceAll(',', String.raw`\,`))
                .join(',')
            : null,
        ...(dataType === 'enum' ? { labels: [...labelsOf(columnType ?? ''), noLabel] } : {}),
        // A constant of bytes is not written as it is read.
        default: isBinary(dataType ?? '') ? null : (sql ?? null),
        castName: dataType ?? '',
      },
    ]),
  );
}

/** Of a query: how its numbers are compared shows which have no sign. */
function withSign({ type, sqlType }: CatalogColumn): string {
  return `${type.name}${sqlType.includes('UNSIGNED') ? ' unsigned' : ''}`;
}

/** What a value of an enum is that was none of its labels when it was written (without a strict sql_mode). */
const noLabel = '';

/** `enum('a','it''s','x,y')` → a, it's and `x,y`. (Debezium lists them with commas, and a backslash before one in a label.) */
function labelsOf(columnType: string): readonly string[] {
  const quoted = columnType.matchAll(/'(?<label>(?:[^']|'')*)'/g);
  return [...quoted].map(({ groups }) => (groups?.['label'] ?? '').replaceAll("''", "'"));
}

/** MariaDB writes a text in quotes; MySQL does not, and its texts are then no plain constants here. */
const detailsQuery = `
  SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, COLUMN_DEFAULT
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
