import type { ColumnType } from '../../encoding/value-encoders.ts';

/** A column as information_schema tells it. */
export type DeclaredType = {
  /** `bigint` */
  readonly dataType: string;
  /** `bigint(20) unsigned` */
  readonly columnType: string;
};

/**
 * The type of a column as encoders know it: the modifier is the length of a bit column, and the digits of the second. A float with a
 * number of decimals is a double to Debezium.
 */
export function columnTypeOf({ dataType, columnType }: DeclaredType): ColumnType {
  const arguments_ = /\((?<list>[\d,]+)\)/.exec(columnType)?.groups?.['list'] ?? '';
  if (dataType === 'float' && arguments_.includes(',')) return { name: 'double', isArray: false, modifier: -1 };
  const hasModifier = dataType === 'bit' || dataType === 'datetime' || dataType === 'timestamp' || dataType === 'time';
  return { name: dataType, isArray: false, modifier: hasModifier ? Number(arguments_) : -1 };
}

const integers: readonly string[] = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year'];
const binaries: readonly string[] = ['bit', 'binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'vector'];
const geometries: readonly string[] = [
  'geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geometrycollection', 'geomcollection',
]; // prettier-ignore

export function isBinary(name: string): boolean {
  return binaries.includes(name) || geometries.includes(name);
}

/** Types whose own text loses something: floats are rounded to six digits, bytes are no text. */
export function readsThrough(name: string): 'HEX' | 'DOUBLE' | null {
  if (isBinary(name)) return 'HEX';
  return name === 'float' ? 'DOUBLE' : null;
}

/** SQL that makes a value of the type from the text that stands for the question mark. A number that is compared as a text is compared as a double. */
export function castOf({ dataType, columnType }: DeclaredType): string {
  if (isBinary(dataType)) return 'UNHEX(?)';
  if (integers.includes(dataType))
    return columnType.includes('unsigned') || dataType === 'year' ? 'CAST(? AS UNSIGNED)' : 'CAST(? AS SIGNED)';
  if (dataType === 'decimal') return `CAST(? AS DECIMAL${/\([\d,]+\)/.exec(columnType)?.[0] ?? '(65,30)'})`;
  if (dataType === 'double') return 'CAST(? AS DOUBLE)';
  if (dataType === 'date') return 'CAST(? AS DATE)';
  if (dataType === 'time') return 'CAST(? AS TIME(6))';
  return dataType === 'datetime' || dataType === 'timestamp' ? 'CAST(? AS DATETIME(6))' : '?';
}
