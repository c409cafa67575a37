import { mariadbAccount, mariadbIdTypes, mariadbName, mariadbOrderedTypes, mariadbTable } from '#pipeline/index.ts';
import { columnList, lockSeconds, type Words } from '../source/words.ts';
import { mariadbKeyMisfit } from './values/key-types.ts';

export const mariadbWords: Words = {
  idTypes: mariadbIdTypes,
  orderedTypes: mariadbOrderedTypes,
  zonedTypes: ['timestamp'],
  localTypes: ['datetime'],
  keyMisfit: mariadbKeyMisfit,
  // The server takes no index on them without a length, and an index with one does not order rows.
  longTypes: ['tinytext', 'text', 'mediumtext', 'longtext', 'tinyblob', 'blob', 'mediumblob', 'longblob'],
  name: mariadbName,
  role: mariadbAccount,
  grant: (table, columns, role) => `GRANT SELECT${columnList(columns, mariadbName)} ON ${mariadbTable(table)} TO ${mariadbAccount(role)};`,
  createIndex: (table, columns) => [
    `SET SESSION lock_wait_timeout = ${lockSeconds};`,
    `ALTER TABLE ${mariadbTable(table)} ADD INDEX${columnList(columns, mariadbName)}, ALGORITHM=INPLACE, LOCK=NONE;`,
  ],
};
