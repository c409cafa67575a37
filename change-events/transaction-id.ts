const marker = Buffer.from('"transaction":{"id":"');
const quote = 34;

/**
 * The id of the source transaction that a JSON event names, null for a snapshot's events and what is no event. Only looks for the bytes, so
 * that an event that cannot be decoded still counts for its transaction. (Within a value the quotes would be escaped.)
 */
export function transactionIdOf(value: Buffer): string | null {
  const at = value.lastIndexOf(marker);
  if (at < 0) return null;
  const start = at + marker.length;
  const end = value.indexOf(quote, start);
  return end < 0 ? null : value.toString('latin1', start, end);
}
