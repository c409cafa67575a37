/**
 * Confluent's wire format: a zero byte, the schema's id as four bytes (big endian), the payload. JSON never begins with a zero byte, so the
 * one topic can have both.
 */
export const payloadStart = 5;

/** Whether these bytes begin as the wire format says. They may still be too short to hold an id. */
export function isFramed(bytes: Buffer): boolean {
  return bytes[0] === 0;
}

/** The id of the schema that wrote the payload; null when the bytes end before it does. */
export function schemaIdOf(bytes: Buffer): number | null {
  return bytes.length < payloadStart ? null : bytes.readUInt32BE(1);
}

/** What comes before a payload written with the schema of this id. */
export function frameOf(id: number): Buffer {
  const bytes = Buffer.alloc(payloadStart);
  bytes.writeUInt32BE(id, 1);
  return bytes;
}
