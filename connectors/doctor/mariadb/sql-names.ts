import type { TableId } from '#change-events/index.ts';

/** A name for SQL that a person reads: quoted only where it must be. */
export function sqlName(name: string): string {
  return /^[a-zA-Z_]\w*$/.test(name) && !/^(?:signal|order|group|key|index|table)$/i.test(name)
    ? name
    : `\`${name.replaceAll('`', '``')}\``;
}

export function sqlTable({ schema, table }: TableId): string {
  return `${sqlName(schema)}.${sqlName(table)}`;
}

/** `cdc_poller@10.0.0.%`, as the server writes it, as SQL takes it; a user whose host part is not known, with a place for it. */
export function sqlAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return at < 0 ? `'${account}'@'…'` : `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
}
