import type { AvroValue } from '../encoding/avro-value.ts';
import { unquoted } from '../encoding/avro-value.ts';
import type { ColumnType } from '../encoding/column-type.ts';
import type { EventColumn } from '../encoding/event-encoder.ts';
import type { ColumnDetail, DeclaredAs, FieldType, PlainType } from '../schemas/field-type.ts';
import { isBinary, plainName } from './types.ts';
import { encodeH2Column } from './value-encoders.ts';

const meaning = (name: string): PlainType => ({ base: 'string', meaning: `io.debezium.${name}` });

/** One that is not listed is a string of its text, as it is in JSON. */
const types: Readonly<Record<string, PlainType>> = {
  tinyint: { base: 'int', connectType: 'int16' },
  smallint: { base: 'int', connectType: 'int16' },
  integer: { base: 'int' },
  bigint: { base: 'long' },
  real: { base: 'float' },
  'double precision': { base: 'double' },
  boolean: { base: 'boolean' },
  date: meaning('time.IsoDate'),
  time: meaning('time.IsoTime'),
  'time with time zone': meaning('time.ZonedTime'),
  timestamp: meaning('time.IsoTimestamp'),
  'timestamp with time zone': meaning('time.ZonedTimestamp'),
  interval: meaning('time.Interval'),
  uuid: meaning('data.Uuid'),
  json: meaning('data.Json'),
};

/** The type of an H2 column's field: what Debezium's connector gives the same type of Postgres. */
export function h2FieldType(type: ColumnType, detail: ColumnDetail | undefined): FieldType {
  const name = plainName(type);
  if (detail?.allowed) return { ...meaning('data.Enum'), parameters: { allowed: detail.allowed } };
  return isBinary(name) ? { base: 'bytes' } : (types[name] ?? { base: 'string' });
}

/** `NUMERIC(20, 4)` → NUMERIC of length 20 and scale 4. */
export function h2Declared(type: ColumnType, detail: ColumnDetail | undefined): DeclaredAs {
  const [, list = ''] = /\(([\d, ]+)\)/.exec(detail?.declared ?? '') ?? [];
  const [length, scale] = list.split(',').map((part) => part.trim());
  return { type: plainName(type).toUpperCase(), ...(length ? { length } : {}), ...(scale ? { scale } : {}) };
}

/** Types whose JSON text is their own, in quotes and with nothing to escape. */
const quoted: ReadonlySet<string> = new Set([
  'numeric', 'decfloat', 'date', 'time', 'time with time zone', 'timestamp', 'timestamp with time zone', 'interval',
]); // prettier-ignore

/** Values of an H2 column, in the form of its field. */
export function h2AvroValue(column: EventColumn, { base }: FieldType): AvroValue {
  if (base === 'int' || base === 'long') return { write: (writer, text) => writer.integer(text) };
  // Number reads NaN and Infinity as H2 writes them.
  if (base === 'double') return { write: (writer, text) => writer.double(Number(text)) };
  if (base === 'float') return { write: (writer, text) => writer.float(Number(text)) };
  if (base === 'boolean') return { write: (writer, text) => writer.byte(text === 't' ? 1 : 0) };
  if (base === 'bytes') return { write: (writer, text) => writer.hex(text) };
  return { write: quoted.has(plainName(column.type)) ? unquoted(encodeH2Column(column)) : (writer, text) => writer.string(text) };
}
