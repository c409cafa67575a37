import { frameOf, queryConnector } from '#change-events/index.ts';
import type { FieldTypes, TableFields } from '../schemas/table-fields.ts';
import { avroField } from './avro-field.ts';
import { AvroWriter } from './avro-writer.ts';
import { changedAtMillis, createEventEncoder, formatVersion, type EventEncoder, type EventShape } from './event-encoder.ts';

/** Of all tables: a record is written at one go. */
const writer = new AvroWriter();

/** Ids that the registry gave to a table's schemas. */
export type SchemaIds = { readonly key: number; readonly value: number };

/** The parts of a record that are the same in all of a table's, each as its bytes. */
export type AvroParts = {
  /** Confluent's header. */
  readonly key: Buffer;
  /** The header, and that there is no `before`. */
  readonly value: Buffer;
  /** Before and behind `source.ts_ms`; `sourceEnd` comes behind `snapshot`. */
  readonly sourceStart: Buffer;
  readonly sourceEnd: Buffer;
  /** `source.snapshot` */
  readonly snapshot: { readonly r: Buffer; readonly other: Buffer };
};

export function avroParts({ database, table, prefix }: EventShape, ids: SchemaIds): AvroParts {
  return {
    key: frameOf(ids.key),
    value: Buffer.concat([frameOf(ids.value), Buffer.from([0])]),
    sourceStart: strings(formatVersion, queryConnector, prefix),
    sourceEnd: strings(database, table.schema, table.table),
    snapshot: { r: strings('true'), other: strings('false') },
  };
}

/** What a record ends with: no `lsn`, no `transaction`, then `op` and `ts_ms`. */
export function writeTail(to: AvroWriter, op: string, publishedAt: number): void {
  to.byte(0);
  to.byte(0);
  to.string(op);
  to.byte(2);
  to.long(publishedAt);
}

/** Writes events as Avro behind Confluent's header, straight from the database's texts: schemas/avro-schema.ts says in which order. */
export function createAvroEncoder(shape: EventShape, fields: TableFields, types: FieldTypes, ids: SchemaIds): EventEncoder {
  const { timestamps, clock } = shape;
  const json = createEventEncoder(shape);
  const keyFields = fields.key.map((field) => avroField(shape, field, types, shape.keyText));
  const rowFields = fields.row.map((field) => avroField(shape, field, types));
  const parts = avroParts(shape, ids);

  /** From `source` to the end. */
  const rest = (changedAt: number | bigint | null, txId: string | null, op: string, publishedAt: number): void => {
    writer.raw(parts.sourceStart);
    if (changedAt === null) writer.byte(0);
    else {
      writer.byte(2);
      if (typeof changedAt === 'number') writer.long(changedAt);
      else writer.integer(changedAt.toString());
    }
    writer.raw(op === 'r' ? parts.snapshot.r : parts.snapshot.other);
    writer.raw(parts.sourceEnd);
    if (txId === null) writer.byte(0);
    else {
      writer.byte(2);
      writer.integer(txId);
    }
    writeTail(writer, op, publishedAt);
  };

  return {
    key: json.key,
    after: json.after,
    wireKey(row) {
      writer.begin();
      writer.raw(parts.key);
      for (const { index, write } of keyFields) write(writer, row[index] ?? null);
      return writer.end();
    },
    value(row, { op, txId, publishedAt }) {
      writer.begin();
      writer.raw(parts.value);
      writer.byte(2);
      for (const { index, write } of rowFields) write(writer, row[index] ?? null);
      rest(changedAtMillis(row, timestamps, clock), txId, op, publishedAt);
      return writer.end();
    },
    deletion(seenAt) {
      writer.begin();
      writer.raw(parts.value);
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
