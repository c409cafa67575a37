import type { TableId } from '#change-events/index.ts';

/** Names of a database's objects, and texts, as H2's SQL takes them. Pure. */

/** Always in quotes: which case a bare name would get is a setting of the database (DATABASE_TO_UPPER, DATABASE_TO_LOWER). On one line, whatever is in it. */
export function h2Name(name: string): string {
  const quotes = name.replaceAll('"', '""');
  return /\p{Cc}/u.test(name) ? `U&"${escaped(quotes)}"` : `"${quotes}"`;
}

export function h2Table({ schema, table }: TableId): string {
  return `${h2Name(schema)}.${h2Name(table)}`;
}

/** A backslash means itself, but for texts that have characters which the protocol does not carry, or which a person does not see. */
export function h2Text(text: string): string {
  const quotes = text.replaceAll("'", "''");
  return /\p{Cc}/u.test(text) ? `U&'${escaped(quotes)}'` : `'${quotes}'`;
}

/** SQL with texts in place of its question marks; none of them may be part of a name. */
export function h2Filled(sql: string, values: readonly string[]): string {
  let used = 0;
  return sql.replaceAll('?', () => {
    used += 1;
    return h2Text(values[used - 1] ?? '');
  });
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(/\p{Cc}/gu, (one) => `\\${(one.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}
