import type { ColumnDetails } from '../schemas/field-type.ts';
import type { CatalogSource } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import { isInteger } from './types.ts';

/** Nothing of a default is evaluated; of other types than these a constant is not written as it is read. */
export async function readH2ColumnDetails(
  source: Pick<CatalogSource, 'query'>,
  { id, query }: Pick<TableShape, 'id' | 'query'>,
): Promise<ColumnDetails> {
  if (query !== null) return new Map();
  const rows = await source.query(detailsQuery, [id.schema, id.table]);
  return new Map(
    rows.map(([name, type, declared, sql]) => {
      const dataType = type ?? '';
      return [
        name ?? '',
        {
          declared: declared ?? '',
          dimensions: 0,
          allowed: dataType === 'enum' ? labelsOf(declared ?? '').join(',') : null,
          ...(dataType === 'enum' ? { labels: labelsOf(declared ?? '') } : {}),
          default: isInteger(dataType) || dataType === 'character varying' || dataType === 'enum' ? (sql ?? null) : null,
          castName: dataType,
        },
      ];
    }),
  );
}

/** `ENUM('a', 'it''s')` → a and it's */
function labelsOf(declared: string): readonly string[] {
  const quoted = declared.matchAll(/'(?<label>(?:[^']|'')*)'/g);
  return [...quoted].map(({ groups }) => (groups?.['label'] ?? '').replaceAll("''", "'"));
}

const detailsQuery = `
  SELECT c.column_name, LOWER(c.data_type), DATA_TYPE_SQL(c.table_schema, c.table_name, 'TABLE', c.dtd_identifier), c.column_default
  FROM information_schema.columns c WHERE c.table_schema = ? AND c.table_name = ? ORDER BY c.ordinal_position`;
