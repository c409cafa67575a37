import { Problem } from '../../http/problems.ts';

/** If-Match: whether the order is still the one that the client has seen. Pure. */

/** @throws Problem precondition-required when there must be one, bad-request for what is none */
export function readIfMatch(header: string | undefined, isRequired: boolean): readonly string[] | '*' | null {
  if (header === undefined) {
    if (isRequired) throw new Problem('precondition-required', 'Send If-Match with the ETag of the order that you have seen.');
    return null;
  }
  if (header.trim() === '*') return '*';
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => /^(?:W\/)?"[\u0021\u0023-\u007E]*"$/.test(tag)))
    throw new Problem('bad-request', 'If-Match: expected ETags, or *.');
  return tags;
}

/** A weak tag never matches (RFC 9110, 13.1.1): that of the query API is of other bytes. @throws Problem precondition-failed */
export function requireMatch(wanted: readonly string[] | '*' | null, etag: string): void {
  if (wanted === null || wanted === '*' || wanted.includes(etag)) return;
  throw new Problem('precondition-failed', 'The order is not the one of If-Match any more. Read it again.', { headers: { etag } });
}
