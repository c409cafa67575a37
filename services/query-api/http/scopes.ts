import { requireScope, type Grant } from '../../http/auth.ts';

/** The scope of one table. Scopes are separated by blanks, so a name is written as in a URL. */
export function scopeOf(table: string): string {
  return `read:${encodeURIComponent(table)}`;
}

/** The table's rows may be read by the scope `read` or `read:<table>`. @throws Problem forbidden */
export function requireRead(grant: Grant, table: string): void {
  requireScope(grant.has('read') || grant.has(scopeOf(table)), scopeOf(table));
}
