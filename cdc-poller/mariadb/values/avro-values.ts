import type { FieldType } from '../../schemas/field-type.ts';
import type { AvroValue } from '../../encoding/avro-value.ts';
import type { EventColumn } from '../../encoding/event-encoder.ts';
import { bytesOfBits, encodeMariadbColumn } from './value-encoders.ts';

const temporal: ReadonlySet<string> = new Set(['date', 'datetime', 'timestamp', 'time']);

/** Values of a MariaDB or MySQL column, in the form of `type` (schemas/mariadb-fields.ts). */
export function mariadbAvroValue(column: EventColumn, { base }: FieldType): AvroValue {
  const { name, modifier } = column.type;
  const encode = encodeMariadbColumn(column);
  if (base === 'int' || base === 'long') return { write: (writer, text) => writer.integer(text) };
  if (base === 'double') return { write: (writer, text) => writer.double(Number(text)) };
  if (base === 'float') return { write: (writer, text) => writer.float(Number(text)) };
  if (base === 'boolean') return { write: (writer, text) => writer.byte(/^0*$/.test(text) ? 0 : 1) };
  if (base === 'bytes') {
    return name === 'bit'
      ? { write: (writer, text) => writer.sized(bytesOfBits(text, modifier)) }
      : { write: (writer, text) => writer.hex(text) };
  }
  if (temporal.has(name)) {
    return { write: (writer, text) => writer.string(encode(text).slice(1, -1)), isNull: (text) => encode(text) === 'null' };
  }
  // Without the zeros in front.
  if (name === 'bigint') return { write: (writer, text) => writer.string(encode(text)) };
  return { write: (writer, text) => writer.string(text) };
}
