import type { OutgoingMessage } from '#kafka/index.ts';
import type { EventEncoder } from '../encoding/event-encoder.ts';

/** How the deletes of a table are written. */
export type DeleteEvents = {
  readonly encoder: Pick<EventEncoder, 'key' | 'wireKey' | 'deletion'>;
  /** The index of the key's one column among those that are read. */
  readonly keyIndex: number;
};

/** A delete event and its tombstone for a key whose row a sweep found missing. `source.ts_ms` is when the sweep saw that it was gone. */
export function deleteMessages({ encoder, keyIndex }: DeleteEvents, value: string, seenAt: number): readonly OutgoingMessage[] {
  const row = Array.from({ length: keyIndex + 1 }, (_, index) => (index === keyIndex ? value : null));
  const partitionKey = encoder.key(row);
  const key = encoder.wireKey(row, partitionKey);
  return [
    { key, partitionKey, value: encoder.deletion(seenAt) },
    { key, partitionKey, value: null },
  ];
}

/** The key's own value in an event key of one column: `{"id":7}` → `7`, `{"id":"a0ee…"}` → `a0ee…`. */
export function valueOfKey(eventKey: string): string {
  const value = eventKey.slice(eventKey.lastIndexOf(':') + 1, -1);
  return value.startsWith('"') ? value.slice(1, -1) : value;
}

const headerBytes = 5;
/** A brace. */
const openObject = 0x7b;

/**
 * The same of a message's key in any format that the poller writes: JSON, or behind the header of a schema JSON or Avro, which for a key of one column is
 * a long or the 36 characters of a uuid. No schema is needed: an Avro long that begins with a brace's byte ends with it.
 */
export function valueOfWireKey(key: Buffer): string {
  if (key[0] !== 0) return valueOfKey(key.toString());
  const payload = key.subarray(headerBytes);
  if (payload[0] === openObject && payload.length > 1) return valueOfKey(payload.toString());
  const long = readLong(payload);
  return payload.length > long.bytes ? payload.toString('latin1', long.bytes) : long.value.toString();
}

/** Whether an event that the poller wrote says that its row is gone. */
export function isDeletion(value: Buffer | null): boolean {
  if (value === null) return true;
  // Avro: neither `before` nor `after`. JSON: the op is at the end of an event, past whatever a row may hold.
  if (value[0] === 0 && value[headerBytes] !== openObject) return value[headerBytes] === 0 && value[headerBytes + 1] === 0;
  return value.includes(deletion, Math.max(0, value.length - 64));
}

/** How the value of a sweep's own delete event ends; other events of the poller have no such end. */
const deletion = Buffer.from('"op":"d"');

function readLong(bytes: Buffer): { readonly value: bigint; readonly bytes: number } {
  let zigzag = 0n;
  let at = 0;
  for (;;) {
    const byte = bytes.readUInt8(at);
    zigzag |= BigInt(byte & 0x7f) << BigInt(7 * at);
    at += 1;
    if (byte < 0x80) break;
  }
  return { value: (zigzag >> 1n) ^ -(zigzag & 1n), bytes: at };
}
