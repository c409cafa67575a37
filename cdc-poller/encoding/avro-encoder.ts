import { formatTableId, queryConnector, type TableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { ColumnField, FieldTypes, TableFields } from '../schemas/table-fields.ts';
import { DeepArray, unquoted, writeFixed, type AvroValue } from './avro-value.ts';
import { AvroWriter } from './avro-writer.ts';
import {
  changedAtMillis,
  createEventEncoder,
  formatVersion,
  unreadableValue,
  type EventEncoder,
  type EventShape,
  type KeyText,
  type RawRow,
} from './event-encoder.ts';
import { maskEncoder } from './masks.ts';

/** Of all tables: a record is written at one go. */
const writer = new AvroWriter();

/** Ids that the registry gave to a table's schemas. */
export type SchemaIds = { readonly key: number; readonly value: number };

/** Writes events as Avro behind Confluent's header, straight from the database's texts: schemas/avro-schema.ts says in which order. */
export function createAvroEncoder(shape: EventShape, fields: TableFields, types: FieldTypes, ids: SchemaIds): EventEncoder {
  const { database, table, prefix, timestamps, clock } = shape;
  const json = createEventEncoder(shape);
  const keyFields = fields.key.map((field) => fieldWriter(shape, field, types, shape.keyText));
  const rowFields = fields.row.map((field) => fieldWriter(shape, field, types));
  const sourceStart = strings(formatVersion, queryConnector, prefix);
  const sourceEnd = strings(database, table.schema, table.table);
  const [snapshot, stream] = [strings('true'), strings('false')];

  /** From `source` to the end. */
  const rest = (changedAt: number | bigint | null, txId: string | null, op: string, publishedAt: number): void => {
    writer.raw(sourceStart);
    if (changedAt === null) writer.byte(0);
    else {
      writer.byte(2);
      if (typeof changedAt === 'number') writer.long(changedAt);
      else writer.integer(changedAt.toString());
    }
    writer.raw(op === 'r' ? snapshot : stream);
    writer.raw(sourceEnd);
    if (txId === null) writer.byte(0);
    else {
      writer.byte(2);
      writer.integer(txId);
    }
    // No lsn, no transaction.
    writer.byte(0);
    writer.byte(0);
    writer.string(op);
    writer.byte(2);
    writer.long(publishedAt);
  };

  return {
    key: json.key,
    after: json.after,
    wireKey(row) {
      writer.begin(ids.key);
      for (const write of keyFields) write(row);
      return writer.end();
    },
    value(row, { op, txId, publishedAt }) {
      writer.begin(ids.value);
      writer.byte(0);
      writer.byte(2);
      for (const write of rowFields) write(row);
      rest(changedAtMillis(row, timestamps, clock), txId, op, publishedAt);
      return writer.end();
    },
    deletion(seenAt) {
      writer.begin(ids.value);
      writer.byte(0);
      writer.byte(0);
      rest(seenAt, null, 'd', seenAt);
      return writer.end();
    },
  };
}

/** The texts as they are in a record. */
function strings(...texts: readonly string[]): Buffer {
  const writing = new AvroWriter();
  for (const text of texts) writing.string(text);
  return writing.end();
}

function fieldWriter(
  { columns, table }: EventShape,
  { index, field, mask }: ColumnField,
  types: FieldTypes,
  keyText?: KeyText,
): (row: RawRow) => void {
  if (mask?.kind === 'fixed') {
    const { value } = mask;
    if (value === null) return () => writer.byte(0);
    const write = writeFixed(value, field.type);
    return () => write(writer);
  }
  const column = columns[index];
  if (column === undefined) throw new RangeError(`column ${index} of ${columns.length}`);
  const { write: plain, isNull }: AvroValue = mask === null ? types.avroValue(column, field.type) : { write: unquoted(maskEncoder(mask)) };
  const checked: AvroValue['write'] =
    field.type.base === 'array' ? (to, text) => writeArray(() => plain(to, text), table, column.name) : plain;
  const canonical = keyText?.(column) ?? null;
  const write: AvroValue['write'] = canonical === null ? checked : (to, text) => checked(to, canonical(text));
  const [none, some] = field.default === undefined ? ([0, 2] as const) : ([2, 0] as const);
  const { nullable } = field;
  return (row) => {
    const text = row[index] ?? null;
    if (text === null || (isNull !== undefined && isNull(text))) {
      if (!nullable) throw new TypeError(`column "${field.column}" is null, though the catalogue says that it never is`);
      writer.byte(none);
      return;
    }
    if (nullable) writer.byte(some);
    try {
      write(writer, text);
    } catch (error) {
      throw unreadableValue(error, table, column);
    }
  };
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
