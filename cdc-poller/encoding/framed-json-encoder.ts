import { frameOf } from '#change-events/index.ts';
import type { SchemaIds } from './avro-encoder.ts';
import { AvroWriter } from './avro-writer.ts';
import { createEventEncoder, type EventEncoder, type EventShape } from './event-encoder.ts';

/** Of all tables: a record is written at one go. */
const writer = new AvroWriter();

/** Writes events as JSON with schemas: the text of the format without, behind Confluent's header. */
export function createFramedJsonEncoder(shape: EventShape, ids: SchemaIds): EventEncoder {
  const json = createEventEncoder(shape);
  const [key, value] = [frameOf(ids.key), frameOf(ids.value)];
  return {
    key: json.key,
    after: json.after,
    wireKey: (_row, name) => framed(key, name),
    value: (row, event) => framed(value, json.value(row, event)),
    deletion: (seenAt) => framed(value, json.deletion(seenAt)),
  };
}

function framed(header: Buffer, text: string): Buffer {
  writer.begin();
  writer.raw(header);
  writer.text(text);
  return writer.end();
}
