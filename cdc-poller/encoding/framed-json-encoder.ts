import type { SchemaIds } from './avro-encoder.ts';
import { AvroWriter } from './avro-writer.ts';
import { createEventEncoder, type EventEncoder, type EventShape } from './event-encoder.ts';

/** Of all tables: a record is written at one go. */
const writer = new AvroWriter();

/** Writes events as JSON with schemas: the text of the format without, behind Confluent's header. */
export function createFramedJsonEncoder(shape: EventShape, ids: SchemaIds): EventEncoder {
  const json = createEventEncoder(shape);
  return {
    key: json.key,
    after: json.after,
    wireKey: (_row, key) => framed(ids.key, key),
    value: (row, event) => framed(ids.value, json.value(row, event)),
    deletion: (seenAt) => framed(ids.value, json.deletion(seenAt)),
  };
}

/** A zero byte, the schema's id, the text. */
function framed(id: number, text: string): Buffer {
  writer.begin(id);
  writer.text(text);
  return writer.end();
}
