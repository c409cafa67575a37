import type { FieldType } from '../../schemas/field-type.ts';
import type { ArrayElements } from './array-text.ts';
import type { AvroWriter } from '../../encoding/avro-writer.ts';
import { DeepArray, unquoted, type AvroValue } from '../../encoding/avro-value.ts';
import type { ColumnType } from '../../encoding/column-type.ts';
import { isPlainUtc } from '../../encoding/plain-utc.ts';
import { bytesOfBits, elementsOf, encoderFor } from './value-encoders.ts';

/** Values of a Postgres column, in the form of `type` (schemas/postgres-fields.ts). */
export function postgresAvroValue(column: ColumnType, type: FieldType): AvroValue {
  if (type.base !== 'array') return { write: scalar(column.name, column.modifier, type) };
  return { write: arrayOf(column, scalar(column.name, column.modifier, type.items), type.depth) };
}

type Write = AvroValue['write'];

const asIs: Write = (writer, text) => writer.string(text);
const integer: Write = (writer, text) => writer.integer(text);
/** Number reads NaN and Infinity as Postgres writes them. */
const double: Write = (writer, text) => writer.double(Number(text));
const float: Write = (writer, text) => writer.float(Number(text));

function scalar(name: string, modifier: number, { base }: FieldType): Write {
  if (base === 'int' || base === 'long') return integer;
  if (base === 'double') return double;
  if (base === 'float') return float;
  if (base === 'boolean') return (writer, text) => writer.byte(text === 't' || text === '1' ? 1 : 0);
  if (base === 'bytes') return name === 'bytea' ? (writer, text) => writer.hex(text, 2) : (writer, text) => writer.sized(bytesOfBits(text));
  const quoted = quotedTypes.has(name) ? encoderFor({ name, isArray: false, modifier }) : null;
  if (quoted === null) return asIs;
  const write = unquoted(quoted);
  // The ordinary ones, quicker.
  if (name === 'numeric') return (writer, text) => (text.charCodeAt(text.length - 1) > 57 ? write(writer, text) : writer.string(text));
  if (name !== 'timestamptz') return write;
  const digits = modifier < 0 ? 6 : modifier;
  return (writer, text) => {
    if (!isPlainUtc(text)) write(writer, text);
    else writer.string(plainInstant(text, digits));
  };
}

/** Types whose JSON text is their own, in quotes and with nothing to escape. */
const quotedTypes: ReadonlySet<string> = new Set(['numeric', 'timestamp', 'timestamptz', 'interval', 'date', 'time', 'timetz', 'money']);

/** Whether such a type's values are quoted in JSON with nothing to escape. */
export function isQuotedInJson(name: string): boolean {
  return quotedTypes.has(name);
}

const zeros = ['', '0', '00', '000', '0000', '00000', '000000'] as const;

/** `2026-11-22 15:00:00.1+00` → `2026-11-22T15:00:00.100000Z` */
function plainInstant(text: string, digits: number): string {
  const missing = digits - Math.max(0, text.length - 23);
  const dot = missing === digits && digits > 0 ? '.' : '';
  return `${text.slice(0, 10)}T${text.slice(11, -3)}${dot}${zeros[Math.max(0, missing)] ?? ''}Z`;
}

/** Items are nullable: a block of them, then an empty one. Deeper arrays are a third kind of item. */
function arrayOf(column: ColumnType, write: Write, depth: number): Write {
  const items = (writer: AvroWriter, values: ArrayElements, below: number): void => {
    if (values.length > 0) writer.long(values.length);
    for (const value of values) {
      if (typeof value === 'string') {
        writer.byte(2);
        write(writer, value);
      } else if (value !== null) {
        if (below <= 1) throw new DeepArray(depth);
        writer.byte(4);
        items(writer, value, below - 1);
      } else writer.byte(0);
    }
    writer.byte(0);
  };
  return (writer, text) => items(writer, elementsOf(column, text), depth);
}
