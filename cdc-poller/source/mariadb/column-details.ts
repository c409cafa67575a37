import type { TableId } from '#change-events/index.ts';
import type { ColumnDetails } from '../../schemas/field-type.ts';
import type { CatalogSource } from '../catalog.ts';
import { isBinary } from './types.ts';

/** Nothing of a default is evaluated. */
export async function readMariadbColumnDetails(
  { query }: Pick<CatalogSource, 'query'>,
  { schema, table }: TableId,
): Promise<ColumnDetails> {
  const rows = await query(detailsQuery, [schema, table]);
  return new Map(
    rows.map(([name, dataType, columnType, sql]) => [
      name ?? '',
      {
        declared: columnType ?? '',
        dimensions: 0,
        allowed: dataType === 'enum' || dataType === 'set' ? labels(columnType ?? '') : null,
        // A constant of bytes is not written as it is read.
        default: isBinary(dataType ?? '') ? null : (sql ?? null),
        castName: dataType ?? '',
      },
    ]),
  );
}

/** `enum('a','it''s')` → `a,it's` */
function labels(columnType: string): string {
  return columnType
    .slice(columnType.indexOf('(') + 2, -2)
    .split("','")
    .map((label) => label.replaceAll("''", "'"))
    .join(',');
}

/** MariaDB writes a text in quotes; MySQL does not, and its texts are then no plain constants here. */
const detailsQuery = `
  SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, COLUMN_DEFAULT
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
