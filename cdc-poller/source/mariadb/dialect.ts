import { mariadbAvroValue } from '../../encoding/mariadb-avro.ts';
import { encodeMariadbColumn } from '../../encoding/mariadb-values.ts';
import { mariadbDeclared, mariadbFieldType } from '../../schemas/mariadb-fields.ts';
import type { Dialect } from '../dialect.ts';
import { TableReshaped } from '../table-reshaped.ts';
import type { TableShape } from '../table-shape.ts';
import { mariadbWords } from '../words.ts';
import { mariadbTablesQuery, readMariadbCatalog, readMariadbIdentity } from './catalog.ts';
import { readMariadbColumnDetails } from './column-details.ts';
import { mariadbHighestIdQuery, mariadbPageQuery } from './page-query.ts';
import { openMariadbSession } from './session.ts';

/** MariaDB and MySQL. No row tells which transaction wrote it, and no role with SELECT alone sees which are open: there is no fence. */
export const mariadb: Dialect = {
  openSession: async (...where) => ({ ...(await openMariadbSession(...where)), dialect: mariadb }),
  readIdentity: ({ query }) => readMariadbIdentity(query),
  readCatalog: readMariadbCatalog,
  listTables: ({ query }) => query(mariadbTablesQuery),
  pageQuery: mariadbPageQuery,
  highestIdQuery: mariadbHighestIdQuery,
  watchSql,
  readWatch(_shape, watched, high) {
    if (watched !== null && high !== null && BigInt(watched) <= high) throw new TableReshaped();
    return null;
  },
  async estimateRows({ query }, { id }) {
    const [[rows] = []] = await query('SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?', [
      id.schema,
      id.table,
    ]);
    return rows ? Number(rows) : null;
  },
  encodeColumn: encodeMariadbColumn,
  readColumnDetails: readMariadbColumnDetails,
  fieldTypes: { typeOf: mariadbFieldType, declaredAs: mariadbDeclared, avroValue: mariadbAvroValue },
  words: mariadbWords,
};

/** The columns come with each page. Where ids are all that is asked for, a table that was emptied would show nothing new: its next id tells. */
function watchSql({ capture, nextId, id }: TableShape): string {
  if (capture !== 'id-window' || nextId === null) return 'NULL';
  return `(SELECT t.AUTO_INCREMENT FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = ${literal(id.schema)} AND t.TABLE_NAME = ${literal(id.table)})`;
}

function literal(name: string): string {
  return `'${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
