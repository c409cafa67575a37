import type { SchemaIds } from './avro-encoder.ts';
import { createEventEncoder, type EventEncoder, type EventShape } from './event-encoder.ts';

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
  const bytes = Buffer.allocUnsafe(5 + Buffer.byteLength(text));
  bytes[0] = 0;
  bytes.writeUInt32BE(id, 1);
  bytes.write(text, 5);
  return bytes;
}
