import type { FieldPacket } from 'mysql2/promise';
import type { DescribedColumn } from '../../source/dialect.ts';

/** The protocol's type codes by the names that information_schema has for them; text or bytes, where both are, by the character set. */
const names: Readonly<Record<number, string>> = {
  0: 'decimal', 1: 'tinyint', 2: 'smallint', 3: 'int', 4: 'float', 5: 'double', 7: 'timestamp', 8: 'bigint', 9: 'mediumint', 10: 'date', 11: 'time', 12: 'datetime',
  13: 'year', 16: 'bit', 242: 'vector', 245: 'json', 246: 'decimal', 255: 'geometry',
}; // prettier-ignore
const texts: Readonly<Record<number, readonly [text: string, bytes: string]>> = {
  249: ['tinytext', 'tinyblob'], 250: ['mediumtext', 'mediumblob'], 251: ['longtext', 'longblob'], 252: ['text', 'blob'], 253: ['varchar', 'varbinary'], 254: ['char', 'binary'],
}; // prettier-ignore

const binaryCharset = 63;
const unsignedFlag = 32;
const enumFlag = 256;
const setFlag = 2048;

/** A column of a query's result, in information_schema's words: `bigint unsigned`, `datetime` with the digits of its second. */
export function typeOfField(field: FieldPacket): DescribedColumn {
  const { name, columnType = 253, characterSet, decimals, columnLength = 0, extendedTypeName } = field;
  const flags = typeof field.flags === 'number' ? field.flags : 0;
  const [text, bytes] = texts[columnType] ?? ['varchar', 'varbinary'];
  const plain = names[columnType] ?? (characterSet === binaryCharset ? bytes : text);
  const shaped = flags & enumFlag ? 'enum' : flags & setFlag ? 'set' : plain;
  const isUnsigned = /^(?:tiny|small|medium|big)?int$/.test(shaped) && (flags & unsignedFlag) !== 0;
  return {
    name,
    typeOid: `${extendedTypeName ?? shaped}${isUnsigned ? ' unsigned' : ''}`,
    modifier: shaped === 'bit' ? columnLength : decimals,
  };
}
