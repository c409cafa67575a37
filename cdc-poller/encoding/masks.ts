import { createHash } from 'node:crypto';
import { jsonString } from './json-string.ts';

/** What an event has in place of a column's value. */
export type Mask =
  | { readonly kind: 'hash'; readonly salt: string }
  | { readonly kind: 'fixed'; readonly value: string | number | boolean | null };

/**
 * JSON text of a masked value. `hash` is the SHA-256 of salt and value (Postgres's text, UTF-8) in hex, in SQL
 * `encode(sha256(convert_to(salt || value::text, 'UTF8')), 'hex')`: equal values stay equal and joins keep working. A value from a small set
 * (a phone number) is guessed from its hash by whoever knows the salt, or when there is none. NULL stays null under `hash`.
 */
export function maskEncoder(mask: Mask): (text: string | null) => string {
  if (mask.kind === 'fixed') {
    const { value } = mask;
    const json = typeof value === 'string' ? jsonString(value) : JSON.stringify(value);
    return () => json;
  }
  const { salt } = mask;
  return (text) => (text === null ? 'null' : `"${createHash('sha256').update(salt).update(text).digest('hex')}"`);
}
