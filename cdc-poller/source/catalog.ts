import { parseTableId } from '#change-events/index.ts';
import type { PollerTableConfig } from '#pipeline/index.ts';
import type { CatalogTable } from './table-shape.ts';

/** Runs a query and gives its rows as texts. */
export type TextQuery = (text: string, values?: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>;

/** Reads what the catalogue tells of a table; needs no rights on it. */
export async function readCatalog(query: TextQuery, config: PollerTableConfig): Promise<CatalogTable> {
  const id = parseTableId(config.table);
  const [relation] = await query(relationQuery, [id.schema, id.table]);
  if (relation === undefined) {
    const similar = await query(similarQuery, [id.table]);
    return {
      id,
      exists: false,
      kind: '',
      readable: false,
      columns: [],
      primaryKey: [],
      indexed: false,
      similar: similar.map(([name]) => name ?? ''),
    };
  }
  const [oid = '', kind = '', readable] = relation;
  const columns = await query(columnsQuery, [oid ?? '']);
  const primaryKey = await query(primaryKeyQuery, [oid ?? '']);
  const indexed = await query(indexQuery, [oid ?? '', config.timestampColumn, config.incrementingColumn]);
  return {
    id,
    exists: true,
    kind: kind ?? '',
    readable: readable === 't',
    columns: columns.map(([name, typeName, isArray, modifier, notNull]) => ({
      name: name ?? '',
      type: { name: typeName ?? '', isArray: isArray === 't', modifier: Number(modifier) },
      notNull: notNull === 't',
    })),
    primaryKey: primaryKey.map(([name]) => name ?? ''),
    indexed: indexed.length > 0,
    similar: [],
  };
}

/** The database, its role and itself. */
export type ServerIdentity = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly role: string;
};

export async function readServerIdentity(query: TextQuery): Promise<ServerIdentity> {
  const [row = []] = await query(identityQuery);
  const [systemIdentifier, timeline, inRecovery, database, role] = row;
  return {
    systemIdentifier: systemIdentifier ?? '',
    timeline: timeline ?? '',
    inRecovery: inRecovery === 't',
    database: database ?? '',
    role: role ?? '',
  };
}

/** The timeline is the checkpoint's on a standby too, where the WAL position functions refuse. */
const identityQuery = `
  SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()),
         pg_is_in_recovery(), current_database(), current_user`;

/** has_table_privilege alone says yes where the schema's USAGE is missing. */
const relationQuery = `
  SELECT c.oid, c.relkind, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

const similarQuery = `
  SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (c.relname ILIKE '%' || $1 || '%' OR $1 ILIKE '%' || c.relname || '%')
  ORDER BY 1 LIMIT 3`;

/** A domain is told as its base type, an array as its element. */
const columnsQuery = `
  WITH RECURSIVE base AS (
    SELECT a.attnum, a.attname, a.attnotnull, a.atttypmod AS modifier, a.atttypid AS type FROM pg_attribute a
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.attname, b.attnotnull OR t.typnotnull, t.typtypmod, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.type
    WHERE t.typtype = 'd'
  )
  SELECT b.attname, coalesce(e.typname, t.typname), e.oid IS NOT NULL, b.modifier, b.attnotnull
  FROM base b JOIN pg_type t ON t.oid = b.type
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  WHERE t.typtype <> 'd'
  ORDER BY b.attnum`;

const primaryKeyQuery = `
  SELECT a.attname FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1::oid AND i.indisprimary
  ORDER BY k.place`;

const indexQuery = `
  SELECT 1 FROM pg_index i
  JOIN pg_attribute first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0] AND first.attname = $2
  JOIN pg_attribute second ON second.attrelid = i.indrelid AND second.attnum = i.indkey[1] AND second.attname = $3
  WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL`;
