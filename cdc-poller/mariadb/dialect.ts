import { mariadbText } from '#pipeline/index.ts';
import { mariadbAvroValue } from './values/avro-values.ts';
import { encodeMariadbColumn, mariadbKeyText } from './values/value-encoders.ts';
import { mariadbDeclared, mariadbFieldType } from './values/schema-fields.ts';
import type { Dialect } from '../source/dialect.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import { mariadbWords } from './words.ts';
import { mariadbTablesQuery, readMariadbCatalog, readMariadbIdentity } from './catalog.ts';
import { readMariadbColumnDetails } from './column-details.ts';
import { isGeometry, mariadbMirrorType } from './values/mirror-type.ts';
import { mariadbHighestIdQuery, mariadbPageQuery } from './page-query.ts';
import { openMariadbSession } from './session.ts';

/** MariaDB and MySQL. No row says which transaction wrote it, and no role with SELECT alone sees which are open: there is no fence. */
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
  keyText: mariadbKeyText,
  readColumnDetails: readMariadbColumnDetails,
  fieldTypes: { typeOf: mariadbFieldType, declaredAs: mariadbDeclared, avroValue: mariadbAvroValue },
  mirrorType: mariadbMirrorType,
  writtenAsStructure: ({ type: { name } }) => isGeometry(name),
  literal: ({ sqlType }, text) => sqlType.replace('?', () => mariadbText(text)),
  words: mariadbWords,
};

/** The columns come with each page. Where ids are all that is asked for, a table that was emptied would show nothing new: its next id shows it. */
function watchSql({ capture, nextId, id }: TableShape): string {
  if (capture !== 'id-window' || nextId === null) return 'NULL';
  return `(SELECT t.AUTO_INCREMENT FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = ${mariadbText(id.schema)} AND t.TABLE_NAME = ${mariadbText(id.table)})`;
}
