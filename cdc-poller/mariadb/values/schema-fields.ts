import type { ColumnType } from '../../encoding/column-type.ts';
import { anyDecimals, isBinary } from './types.ts';
import type { ColumnDetail, DeclaredAs, PlainType } from '../../schemas/field-type.ts';

const meaning = (name: string): PlainType => ({ base: 'string', meaning: `io.debezium.${name}` });

const types: Readonly<Record<string, PlainType>> = {
  tinyint: { base: 'int', connectType: 'int16' },
  smallint: { base: 'int', connectType: 'int16' },
  mediumint: { base: 'int' },
  int: { base: 'int' },
  bigint: { base: 'long' },
  year: { base: 'int', meaning: 'io.debezium.time.Year' },
  double: { base: 'double' },
  date: meaning('time.IsoDate'),
  datetime: meaning('time.IsoTimestamp'),
  timestamp: meaning('time.ZonedTimestamp'),
  time: meaning('time.IsoTime'),
  json: meaning('data.Json'),
  uuid: meaning('data.Uuid'),
  enum: meaning('data.Enum'),
  set: meaning('data.EnumSet'),
};
const unsigned: Readonly<Record<string, PlainType>> = {
  smallint: { base: 'int' },
  int: { base: 'long' },
  // No long holds it.
  bigint: { base: 'string' },
};

/** The type of a MariaDB or MySQL column's field, as Debezium's connector has it; where it gives a struct or bytes, what JSON has here. */
export function mariadbFieldType({ name, modifier }: ColumnType, detail: ColumnDetail | undefined): PlainType {
  if (name === 'bit') {
    if (modifier <= 1) return { base: 'boolean' };
    return { base: 'bytes', meaning: 'io.debezium.data.Bits', parameters: { length: String(modifier) } };
  }
  // With a number of decimals it is a double to Debezium.
  if (name === 'float') return { base: modifier === anyDecimals ? 'float' : 'double' };
  if (isBinary(name)) return { base: 'bytes' };
  const plain = (detail?.declared.includes('unsigned') === true ? unsigned[name] : undefined) ?? types[name] ?? { base: 'string' };
  return detail?.allowed ? { ...plain, parameters: { allowed: detail.allowed } } : plain;
}

/** `int(10) unsigned` → INT UNSIGNED of length 10. */
export function mariadbDeclared({ name }: ColumnType, detail: ColumnDetail | undefined): DeclaredAs {
  const labels = detail?.allowed;
  // The longest text of a set has every label, of one character each to Debezium, and the commas between them.
  if (labels) return { type: name.toUpperCase(), length: String(name === 'set' ? labels.split(/(?<!\\),/).length * 2 - 1 : 1) };
  const declared = detail?.declared ?? name;
  const [, list = ''] = /\(([\d,]+)\)/.exec(declared) ?? [];
  const [length, scale] = list.split(',');
  const type =
    `${name}${declared.includes('unsigned') ? ' unsigned' : ''}${declared.includes('zerofill') ? ' zerofill' : ''}`.toUpperCase();
  return { type, ...(length ? { length } : {}), ...(scale ? { scale } : {}) };
}
