import type { ColumnType } from '../../encoding/column-type.ts';

/** A column as information_schema describes it. */
export type DeclaredType = {
  /** `bigint` */
  readonly dataType: string;
  /** `bigint(20) unsigned` */
  readonly columnType: string;
};

/**
 * The type of a column as encoders know it: the modifier is the length of a bit column, the digits of the second, or the decimals of a float.
 */
export function columnTypeOf({ dataType, columnType }: DeclaredType): ColumnType {
  const declared = /\((?<list>[\d,]+)\)/.exec(columnType)?.groups?.['list'] ?? '';
  if (dataType === 'float') return { name: dataType, isArray: false, modifier: Number(declared.split(',')[1] ?? anyDecimals) };
  const hasModifier = dataType === 'bit' || dataType === 'datetime' || dataType === 'timestamp' || dataType === 'time';
  return { name: dataType, isArray: false, modifier: hasModifier ? Number(declared) : -1 };
}

/** What the protocol says of a float that was declared without decimals. */
export const anyDecimals = 31;

const integers: ReadonlySet<string> = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year']);

export function isInteger(name: string): boolean {
  return integers.has(name);
}

const binaries: ReadonlySet<string> = new Set([
  'bit', 'binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'vector',
  'geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geometrycollection', 'geomcollection',
]); // prettier-ignore

export function isBinary(name: string): boolean {
  return binaries.has(name);
}

const others: ReadonlySet<string> = new Set([
  'decimal', 'float', 'double', 'char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'set', 'json', 'uuid', 'inet4', 'inet6', 'date', 'time', 'datetime', 'timestamp',
]); // prettier-ignore

/** Whether the poller knows how values of the type are written; what a newer server, or a plugin of it, may have besides is refused by its name. */
export function isKnown(name: string): boolean {
  return integers.has(name) || binaries.has(name) || others.has(name);
}

/** Types whose own text loses something: floats are rounded to six digits, bytes are no text. */
export function readsThrough(name: string): 'HEX' | 'DOUBLE' | null {
  if (isBinary(name)) return 'HEX';
  return name === 'float' ? 'DOUBLE' : null;
}

/** SQL that makes a value of the type from the text that replaces the question mark. A number that is compared as a text is compared as a double. */
export function castOf({ dataType, columnType }: DeclaredType): string {
  if (isBinary(dataType)) return 'UNHEX(?)';
  if (integers.has(dataType)) return columnType.includes('unsigned') || dataType === 'year' ? 'CAST(? AS UNSIGNED)' : 'CAST(? AS SIGNED)';
  if (dataType === 'decimal') return `CAST(? AS DECIMAL${/\([\d,]+\)/.exec(columnType)?.[0] ?? '(65,30)'})`;
  if (dataType === 'double') return 'CAST(? AS DOUBLE)';
  if (dataType === 'date') return 'CAST(? AS DATE)';
  if (dataType === 'time') return 'CAST(? AS TIME(6))';
  return dataType === 'datetime' || dataType === 'timestamp' ? 'CAST(? AS DATETIME(6))' : '?';
}
