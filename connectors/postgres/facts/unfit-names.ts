import type { Loss } from './lossy-types.ts';

/** The names that Debezium 3.6.1 does not take as they are, as docs/log-based.md lists them; seen on its servers. */

/**
 * Why Debezium cannot capture a table whose schema or table is called so; null where it can.
 *
 * It takes a name that begins or ends with a quote for a quoted one, and writes it into its SELECT as it is; and of two single quotes or backticks in a row
 * it reads one, so that it captures the table's rows in its snapshot, and nothing of what changes later. A name that Java's trim() leaves nothing of is left
 * out of the topic: rows of all such tables of a schema come to the topic `<prefix>.<schema>`, where no consumer looks for them. Pure.
 */
export function nameProblem(name: string): string | null {
  if (/^["`]|["`]$|''|``/.test(name)) return `cannot be read: Debezium takes the name ${name} for a quoted one`;
  // `!` is the first sign after the blank.
  if (!/[!-\uffff]/.test(name)) {
    return `cannot have a topic of its own: Debezium leaves the name ${JSON.stringify(name)} out of it, which is nothing but blanks and control characters`;
  }
  return null;
}

/**
 * Of all columns of a table, those whose names Debezium changes, and what comes of it. While streaming it takes a column between two quotes of one kind for a
 * quoted one: the snapshot has the column under its name, later events under what is between the quotes, and without a key where it is the key. Where nothing
 * is between them, or where two columns then differ in case only, the connector stops at the first row. Leaving the column out of events does not help: it
 * would have to be named in both ways, and columns that differ in case are compared before. Pure.
 */
export function misnamedColumns(columns: readonly string[]): ReadonlyMap<string, Loss> {
  const streamed = Map.groupBy(columns, (column) => asStreamed(column).toLowerCase());
  return new Map(
    columns.flatMap((column): readonly [string, Loss][] => {
      const name = asStreamed(column);
      if (name === '' || (streamed.get(name.toLowerCase())?.length ?? 0) > 1) return [[column, 'stops']];
      return name === column ? [] : [[column, 'lost']];
    }),
  );
}

function asStreamed(column: string): string {
  const [, quote, inner] = /^(["'`])(.*)\1$/su.exec(column) ?? [];
  return quote === undefined || inner === undefined ? column : inner.replaceAll(quote + quote, quote);
}
