import type { TableFields } from '../schemas/table-fields.ts';
import { pagePrefix, type Dialect } from '../source/dialect.ts';
import { createAvroEncoder, type SchemaIds } from './avro-encoder.ts';
import { createAvroByteEncoder } from './bytes/avro-byte-encoder.ts';
import { createByteEncoder } from './bytes/byte-encoder.ts';
import type { ByteEncoder } from './bytes/byte-events.ts';
import { createEventEncoder, type EventEncoder, type EventShape } from './event-encoder.ts';
import { createFramedJsonEncoder } from './framed-json-encoder.ts';

/**
 * What a table's events are written by, beside the table itself: plain data, so that a thread writes what the poller has registered, and not what the
 * catalogue says by then.
 */
export type TableFormat =
  | { readonly format: 'json' }
  | { readonly format: 'json-schema'; readonly ids: SchemaIds }
  | { readonly format: 'avro'; readonly ids: SchemaIds; readonly fields: TableFields };

type Types = Pick<Dialect, 'bytes' | 'fieldTypes'>;

/** The encoder of a table; with one for bytes where the database's pages are read so. */
export function encoderOf(format: TableFormat, dialect: Types, event: EventShape): EventEncoder {
  const texts = textEncoderOf(format, dialect, event);
  const bytes = byteEncoderOf(format, dialect, event);
  return bytes === null ? texts : { ...texts, bytes };
}

/** Null where the database's pages are not read as bytes. */
export function byteEncoderOf(format: TableFormat, { bytes, fieldTypes }: Types, event: EventShape): ByteEncoder | null {
  if (bytes === undefined) return null;
  switch (format.format) {
    case 'json':
      return createByteEncoder(event, pagePrefix, bytes.valueOf);
    case 'json-schema':
      return createByteEncoder(event, pagePrefix, bytes.valueOf, format.ids);
    case 'avro': {
      const names = createByteEncoder(event, pagePrefix, bytes.valueOf);
      return createAvroByteEncoder(names, event, format.fields, fieldTypes, format.ids, pagePrefix, bytes.avroValueOf);
    }
  }
}

function textEncoderOf(format: TableFormat, { fieldTypes }: Types, event: EventShape): EventEncoder {
  switch (format.format) {
    case 'json':
      return createEventEncoder(event);
    case 'json-schema':
      return createFramedJsonEncoder(event, format.ids);
    case 'avro':
      return createAvroEncoder(event, format.fields, fieldTypes, format.ids);
  }
}
