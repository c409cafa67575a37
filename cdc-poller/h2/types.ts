import type { ColumnType } from '../encoding/column-type.ts';

/** A column as information_schema has it, in lower case. */
export type DeclaredType = {
  /** `timestamp with time zone` */
  readonly dataType: string;
  /** As the database writes it: `NUMERIC(20, 4)`, `ENUM('a', 'b')`. */
  readonly declared: string;
  /** Digits of the second; null where the type has none. */
  readonly digits: number | null;
};

/**
 * The type of a column as encoders know it: the modifier is the number of digits of the second. One with more of them than µs have a name of their own, so that
 * none is taken for the time of a row, by which pages and windows go to the µs.
 */
export function columnTypeOf({ dataType, digits }: DeclaredType): ColumnType {
  const isFine = dataType.startsWith('timestamp') && digits !== null && digits > microDigits;
  return { name: isFine ? dataType.replace('timestamp', `timestamp(${digits})`) : dataType, isArray: false, modifier: digits ?? -1 };
}

export const microDigits = 6;

/** The type's name without its digits. */
export function plainName({ name }: Pick<ColumnType, 'name'>): string {
  return name.replace(/\(\d+\)/, '');
}

const integers: ReadonlySet<string> = new Set(['tinyint', 'smallint', 'integer', 'bigint']);

export function isInteger(name: string): boolean {
  return integers.has(name);
}

const binaries: ReadonlySet<string> = new Set(['binary', 'binary varying', 'binary large object']);

export function isBinary(name: string): boolean {
  return binaries.has(name);
}

const others: ReadonlySet<string> = new Set([
  'character', 'character varying', 'character large object', 'varchar_ignorecase', 'boolean', 'numeric', 'decfloat', 'real', 'double precision',
  'date', 'time', 'time with time zone', 'timestamp', 'timestamp with time zone', 'interval', 'enum', 'json', 'uuid',
]); // prettier-ignore

/** Whether the poller knows how values of the type are written. The server fails on some arrays, and has no text for the rest that is certain. */
export function isKnown(dataType: string): boolean {
  return integers.has(dataType) || binaries.has(dataType) || others.has(dataType);
}

/** A column as it is read: bytes, which the server writes in two ways or as no text at all, as hex; times with a zone, each in one of its own, in UTC. */
export function readSql(type: Pick<ColumnType, 'name'>, column: string): string {
  const name = plainName(type);
  if (isBinary(name)) return `RAWTOHEX(${column})`;
  return name.endsWith('with time zone') ? `${column} AT TIME ZONE 'UTC'` : column;
}

/** SQL that makes a value of the type from the text that replaces the question mark. In the mode of Postgres some types have no name to cast to. */
export function castOf({ dataType, declared }: DeclaredType): string {
  if (isBinary(dataType)) return 'X?';
  if (integers.has(dataType)) return 'CAST(? AS BIGINT)';
  if (dataType === 'numeric' || dataType === 'character') return `CAST(? AS ${declared})`;
  if (dataType === 'time with time zone') return 'CAST(? AS TIME(9) WITH TIME ZONE)';
  if (dataType === 'timestamp with time zone') return 'CAST(? AS TIMESTAMP(9) WITH TIME ZONE)';
  if (dataType === 'time' || dataType === 'timestamp') return `CAST(? AS ${dataType.toUpperCase()}(9))`;
  return casted.has(dataType) ? `CAST(? AS ${dataType.toUpperCase()})` : '?';
}

const casted: ReadonlySet<string> = new Set(['boolean', 'decfloat', 'real', 'double precision', 'date', 'uuid']);

/** What the protocol has of a query's columns: Postgres' oids. It has one number for several types of H2's own, which are then not known. */
export const typesByOid: Readonly<Record<string, string>> = {
  16: 'boolean', 17: 'binary varying', 20: 'bigint', 21: 'smallint', 23: 'integer', 25: 'character large object', 700: 'real', 701: 'double precision',
  1042: 'character varying', 1043: 'character varying', 1082: 'date', 1083: 'time', 1114: 'timestamp', 1184: 'timestamp with time zone', 1266: 'time with time zone', 1700: 'decfloat',
}; // prettier-ignore
