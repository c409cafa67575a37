import type { ColumnType } from '../../encoding/column-type.ts';
import type { ColumnDetail, DeclaredAs, FieldType, PlainType } from '../../schemas/field-type.ts';

const string: PlainType = { base: 'string' };
const unbounded = '2147483647';

const meaning = (name: string): PlainType => ({ base: 'string', meaning: `io.debezium.${name}` });

/** By the name of a built-in type. One that is not listed is a string of its text, as it is in JSON. */
const types: Readonly<Record<string, PlainType>> = {
  int2: { base: 'int', connectType: 'int16' },
  int4: { base: 'int' },
  int8: { base: 'long' },
  oid: { base: 'long' },
  float4: { base: 'float' },
  float8: { base: 'double' },
  bool: { base: 'boolean' },
  bytea: { base: 'bytes' },
  timestamptz: meaning('time.ZonedTimestamp'),
  timestamp: meaning('time.IsoTimestamp'),
  date: meaning('time.IsoDate'),
  time: meaning('time.IsoTime'),
  timetz: meaning('time.ZonedTime'),
  interval: meaning('time.Interval'),
  uuid: meaning('data.Uuid'),
  json: meaning('data.Json'),
  jsonb: meaning('data.Json'),
  xml: meaning('data.Xml'),
  tsvector: meaning('data.Tsvector'),
};

/** The dimensions that Postgres gives an array at most. */
const maxDimensions = 6;

/**
 * The type of a Postgres column's field. An array that is declared with several dimensions may have any number of them; one whose elements are arrays in their
 * own right has each array's.
 */
export function postgresFieldType(
  { name, isArray, modifier, delimiters = [','] }: ColumnType,
  detail: ColumnDetail | undefined,
): FieldType {
  const plain = plainType(name, modifier, detail?.allowed ?? null);
  if (!isArray) return plain;
  return { base: 'array', items: plain, depth: delimiters.length + ((detail?.dimensions ?? 0) > 1 ? maxDimensions - 1 : 0) };
}

function plainType(name: string, modifier: number, allowed: string | null): PlainType {
  if (allowed !== null) return { ...meaning('data.Enum'), parameters: { allowed } };
  if (name === 'bit' && modifier === 1) return { base: 'boolean' };
  if (name === 'bit' || name === 'varbit') {
    return { base: 'bytes', meaning: 'io.debezium.data.Bits', parameters: { length: modifier < 0 ? unbounded : String(modifier) } };
  }
  return types[name] ?? string;
}

const serials: Readonly<Record<string, string>> = { int2: 'smallserial', int4: 'serial', int8: 'bigserial' };
const lengths: Readonly<Record<string, string>> = {
  int2: '5',
  int4: '10',
  oid: '10',
  int8: '19',
  float4: '8',
  float8: '17',
  bool: '1',
  char: '1',
};

/** How a column was declared, as Debezium's connector says it (column.propagate.source.type), which is as Postgres's JDBC driver sees it. */
export function postgresDeclared({ name, isArray, modifier }: ColumnType, detail: ColumnDetail | undefined): DeclaredAs {
  const serial = detail?.default?.startsWith('nextval(') === true ? serials[detail.declared] : undefined;
  const type = (serial ?? detail?.declared ?? `${isArray ? '_' : ''}${name.split('.').at(-1) ?? name}`).toUpperCase();
  if (name === 'numeric') {
    if (modifier < 0) return { type, length: '0' };
    const packed = modifier - 4;
    return { type, length: String(packed >> 16), scale: String(((packed & 0x7ff) ^ 1024) - 1024) };
  }
  if (name === 'float4' || name === 'float8') return { type, length: lengths[name] ?? '', scale: lengths[name] ?? '' };
  const clock = clockWidth(name);
  if (clock !== null) {
    const precision = modifier < 0 ? 6 : name === 'interval' && (modifier & 0xffff) === 0xffff ? 6 : modifier & 0xffff;
    // A second's fraction is shown with two digits at least, behind its dot.
    const fraction = precision === 0 ? 0 : Math.max(2, precision) + 1;
    return { type, length: String(name === 'interval' ? clock : clock + fraction), scale: String(precision) };
  }
  if (name === 'date') return { type, length: '13', scale: '0' };
  const declared = name === 'varchar' || name === 'bpchar' ? modifier - 4 : name === 'bit' || name === 'varbit' ? modifier : -1;
  return { type, length: declared > 0 ? String(declared) : (lengths[name] ?? unbounded), scale: '0' };
}

/** Characters without the fraction of a second. */
function clockWidth(name: string): number | null {
  const widths: Readonly<Record<string, number>> = { time: 8, timetz: 14, timestamp: 22, timestamptz: 28, interval: 49 };
  return widths[name] ?? null;
}
