import type { Dialect } from '../source/dialect.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import { h2TablesQuery, readH2Catalog, readH2Identity } from './catalog.ts';
import { readH2ColumnDetails } from './column-details.ts';
import { h2MirrorType } from './mirror-type.ts';
import { h2Filled, h2Text } from './names.ts';
import { h2HighestIdQuery, h2PageQuery } from './page-query.ts';
import { columnsHashSql } from './relation-state.ts';
import { h2AvroValue, h2Declared, h2FieldType } from './schema-fields.ts';
import { openH2Session } from './session.ts';
import { encodeH2Column } from './value-encoders.ts';
import { h2Words } from './words.ts';

/** H2, as its server of Postgres' protocol shows it. No row has the transaction that wrote it, and a plain user sees no session but its own: there is no fence. */
export const h2: Dialect = {
  openSession: async (...where) => ({ ...(await openH2Session(...where)), dialect: h2 }),
  readIdentity: ({ query }) => readH2Identity(query),
  readCatalog: readH2Catalog,
  listTables: ({ query }) => query(h2TablesQuery),
  pageQuery: h2PageQuery,
  highestIdQuery: h2HighestIdQuery,
  watchSql,
  readWatch,
  async estimateRows({ query }, { id }) {
    const where = 't.table_schema = ? AND t.table_name = ?';
    const [[rows] = []] = await query(`SELECT t.row_count_estimate FROM information_schema.tables t WHERE ${where}`, [id.schema, id.table]);
    return rows ? Number(rows) : null;
  },
  encodeColumn: encodeH2Column,
  keyText: () => null,
  readColumnDetails: readH2ColumnDetails,
  fieldTypes: { typeOf: h2FieldType, declaredAs: h2Declared, avroValue: h2AvroValue },
  mirrorType: h2MirrorType,
  literal: ({ sqlType }, text) => h2Filled(sqlType, [text]),
  words: h2Words,
};

/** Columns and key, also of a table that gives no rows; and, where ids are all that is asked for, the next one, by which an emptied table is noticed. */
function watchSql({ relation, capture, nextId, id }: TableShape): string {
  if (relation === null) return 'NULL';
  const [schema, table] = [h2Text(id.schema), h2Text(id.table)];
  const hash = columnsHashSql(schema, table);
  if (capture !== 'id-window' || nextId === null) return hash;
  const next = `(SELECT MAX(n.identity_base) FROM information_schema.columns n WHERE n.table_schema = ${schema} AND n.table_name = ${table} AND n.is_identity = 'YES')`;
  return `${hash} || ' ' || ${next}`;
}

function readWatch({ relation }: TableShape, watched: string | null, high: bigint | null): bigint | null {
  if (relation === null) return null;
  const [hash, next] = (watched ?? '').split(' ');
  const isEmptied = next !== undefined && next !== '' && high !== null && BigInt(next) <= high;
  if (hash !== relation.columnsHash || isEmptied) throw new TableReshaped();
  return null;
}
