import type { ByteWriter } from '#kafka/index.ts';
import type { FieldType } from '../../schemas/field-type.ts';
import type { ColumnField, FieldTypes, TableFields } from '../../schemas/table-fields.ts';
import type { CopyRows } from '../../source/copy-rows.ts';
import { avroParts, writeTail, type SchemaIds } from '../avro-encoder.ts';
import { avroField, type AvroField } from '../avro-field.ts';
import { AvroWriter } from '../avro-writer.ts';
import type { EventColumn, EventShape } from '../event-encoder.ts';
import { longestByteValue, putLong, type ByteValue } from './byte-value.ts';
import type { ByteEncoder } from './byte-events.ts';
import { changedAtReader } from './changed-at.ts';

type ByteField = {
  /** In a page. */
  readonly column: number;
  readonly none: number | null;
  readonly some: number | null;
  readonly quick: ByteValue | null;
  readonly field: AvroField;
};

/** Values that go the plain way, of all tables. */
const plainly = new AvroWriter();

/**
 * Events as Avro, as {@link createAvroEncoder} writes them.
 *
 * @param json writes the rows' names
 * @param prefix columns of a page that come before the table's own, the transaction first
 * @param byteValue the quick way for a column's values as Avro; what it does not take goes the plain way, which decides
 */
export function createAvroByteEncoder(
  json: Pick<ByteEncoder, 'key'>,
  shape: EventShape,
  fields: TableFields,
  types: FieldTypes,
  ids: SchemaIds,
  prefix: number,
  byteValue: (column: EventColumn, type: FieldType) => ByteValue | null,
): ByteEncoder {
  const fieldsOf = (list: readonly ColumnField[], keyText?: EventShape['keyText']): readonly ByteField[] =>
    list.map((one) => {
      const field = avroField(shape, one, types, keyText);
      const { index, branches, plain } = field;
      return { column: index + prefix, ...branches, quick: plain === null ? null : byteValue(plain, one.field.type), field };
    });
  const keyFields = fieldsOf(fields.key, shape.keyText);
  const rowFields = fieldsOf(fields.row);
  const parts = avroParts(shape, ids);
  const start = Buffer.concat([parts.value, Buffer.from([2])]);
  const changedAt = changedAtReader(
    shape.timestamps.map((index) => index + prefix),
    shape.clock,
  );
  return {
    key: json.key,
    wireKey(rows, _key, to, isUtf8) {
      to.raw(parts.key);
      for (const field of keyFields) write(field, rows, to, isUtf8);
    },
    page({ op, publishedAt }) {
      const middle = Buffer.concat([op === 'r' ? parts.snapshot.r : parts.snapshot.other, parts.sourceEnd]);
      const tail = tailOf(op, publishedAt);
      return {
        value(rows, to, isUtf8) {
          to.raw(start);
          for (const field of rowFields) write(field, rows, to, isUtf8);
          to.raw(parts.sourceStart);
          putOptional(changedAt(rows), to);
          to.raw(middle);
          putOptional(rows.isNull(0) ? null : rows.number(0), to);
          to.raw(tail);
        },
      };
    },
  };
}

function tailOf(op: string, publishedAt: number): Buffer {
  const to = new AvroWriter();
  writeTail(to, op, publishedAt);
  return to.end();
}

function putOptional(value: number | bigint | null, to: ByteWriter): void {
  to.reserve(11);
  to.bytes[to.at] = value === null ? 0 : 2;
  to.at += 1;
  if (typeof value === 'number') putLong(value, to);
  else if (value !== null) {
    plainly.begin();
    plainly.integer(value.toString());
    to.raw(plainly.end());
  }
}

function write({ column, none, some, quick, field }: ByteField, rows: CopyRows, to: ByteWriter, isUtf8: boolean): void {
  if (quick !== null && isUtf8) {
    const from = rows.starts[column] ?? 0;
    const until = rows.ends[column] ?? -1;
    const { at } = to;
    if (until >= 0 && until - from <= longestByteValue) {
      to.reserve(until - from + 64);
      if (some !== null) {
        to.bytes[at] = some;
        to.at = at + 1;
      }
      if (quick(rows.bytes, from, until, to)) return;
      to.at = at;
    } else if (until < 0 && none !== null) {
      to.reserve(1);
      to.bytes[at] = none;
      to.at = at + 1;
      return;
    }
  }
  plainly.begin();
  field.write(plainly, rows.text(column));
  to.raw(plainly.end());
}
