import { formatTableId, type TableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { ColumnField, FieldTypes } from '../schemas/table-fields.ts';
import { DeepArray, unquoted, writeFixed, type AvroValue } from './avro-value.ts';
import type { AvroWriter } from './avro-writer.ts';
import { unreadableValue, type EventColumn, type EventShape, type KeyText } from './event-encoder.ts';
import { maskEncoder } from './masks.ts';

/** A column's place in a record. */
export type AvroField = {
  /** In the columns that are read. */
  readonly index: number;
  /** What comes before a null and before a value: the branch of the union, or nothing. `none` is null where there is no null. */
  readonly branches: { readonly none: number | null; readonly some: number | null };
  /** The column, where its values are written as its type writes them: without mask, without another text of a key, each of them a value. */
  readonly plain: EventColumn | null;
  /** Writes the branch and the value. @throws CdcError VALUE_UNREADABLE, SCHEMA_INVALID */
  readonly write: (to: AvroWriter, text: string | null) => void;
};

/** @param keyText given for the fields of a key */
export function avroField(
  { columns, table }: EventShape,
  { index, field, mask }: ColumnField,
  types: FieldTypes,
  keyText?: KeyText,
): AvroField {
  const { nullable } = field;
  const [none, some] = field.default === undefined ? ([0, 2] as const) : ([2, 0] as const);
  const branches = nullable ? { none, some } : { none: null, some: null };
  if (mask?.kind === 'fixed') {
    const { value } = mask;
    if (value === null) return { index, branches, plain: null, write: (to) => to.byte(0) };
    return { index, branches, plain: null, write: writeFixed(value, field.type) };
  }
  const column = columns[index];
  if (column === undefined) throw new RangeError(`column ${index} of ${columns.length}`);
  const { write: ofType, isNull }: AvroValue = mask === null ? types.avroValue(column, field.type) : { write: unquoted(maskEncoder(mask)) };
  const checked: AvroValue['write'] =
    field.type.base === 'array' ? (to, text) => writeArray(() => ofType(to, text), table, column.name) : ofType;
  const canonical = keyText?.(column) ?? null;
  const write: AvroValue['write'] = canonical === null ? checked : (to, text) => checked(to, canonical(text));
  return {
    index,
    branches,
    plain: mask === null && canonical === null && isNull === undefined ? column : null,
    write(to, text) {
      if (text === null || (isNull !== undefined && isNull(text))) {
        if (!nullable) throw nullRefused(field.column);
        to.byte(none);
        return;
      }
      if (nullable) to.byte(some);
      try {
        write(to, text);
      } catch (error) {
        throw unreadableValue(error, table, column);
      }
    },
  };
}

function nullRefused(column: string): TypeError {
  return new TypeError(`column "${column}" is null, though the catalogue says that it never is`);
}

/** @throws CdcError SCHEMA_INVALID: the server does not hold arrays to the dimensions that they were declared with, but a schema has to */
function writeArray(write: () => void, table: TableId, column: string): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof DeepArray)) throw error;
    throw new CdcError('SCHEMA_INVALID', `column "${column}" of table ${formatTableId(table)} holds ${error.message}`, {
      cause: error,
      remedy: 'Declare the column with its dimensions (int[][]), leave it out (excludeColumns), or write the table as json.',
    });
  }
}
