import { DatabaseError, type ClientBase } from 'pg';
import { queryText, text } from '../database.ts';
import { attempt } from '../parking/savepoint.ts';
import type { KeyColumn } from './projection.ts';

/** What Postgres itself says of a query. Within a transaction, which goes on whatever it says. */

/** The query's columns with their types; or why there are none, and where: characters from the query's beginning. */
export async function askColumns(
  client: ClientBase,
  sql: string,
): Promise<{ readonly columns: readonly KeyColumn[] } | { readonly message: string; readonly at: number }> {
  const before = 'SELECT * FROM (';
  let fields: { readonly name: string; readonly dataTypeID: number }[] = [];
  const failure = await attempt(client, async () => {
    const { fields: found } = await client.query(`${before}${sql}) AS q LIMIT 0`);
    fields = found;
  });
  if (failure !== null) {
    if (!(failure.error instanceof DatabaseError)) throw failure.error;
    const hint = failure.error.hint === undefined ? '' : ` (${failure.error.hint})`;
    return { message: `${failure.error.message}${hint}`, at: Math.max(0, Number(failure.error.position ?? 1) - 1 - before.length) };
  }
  const types = await queryText(
    client,
    'SELECT format_type(oid, -1) FROM unnest($1::oid[]) WITH ORDINALITY AS t (oid, place) ORDER BY place',
    [fields.map(({ dataTypeID }) => dataTypeID)],
  );
  return { columns: fields.map(({ name }, index) => ({ name, type: text(types[index] ?? [], 0) })) };
}

/** Why a statement is none, as Postgres says it; null when it is one. It is not run. */
export async function tryStatement(client: ClientBase, sql: string): Promise<string | null> {
  const failure = await attempt(client, async () => {
    await client.query(`PREPARE "cdc try" AS ${sql}`);
    await client.query('DEALLOCATE "cdc try"');
  });
  if (failure === null) return null;
  if (!(failure.error instanceof DatabaseError)) throw failure.error;
  return failure.error.message;
}
