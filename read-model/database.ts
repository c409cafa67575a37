import { Pool, escapeIdentifier, type ClientConfig, type PoolClient } from 'pg';
import type { Logger } from '#pipeline/index.ts';

/** What runs a query: a pool or one of its clients. */
export type Database = Pick<PoolClient, 'query'>;

/** A result row as Postgres prints it, by position: nothing passes through a JS number or Date. */
export type TextRow = readonly (string | null)[];

const rawText = { getTypeParser: () => (value: unknown) => value };

/** Runs a query and gives its rows as text. */
export async function queryText(database: Database, sql: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> {
  const result = await database.query<(string | null)[]>({ text: sql, values: [...values], rowMode: 'array', types: rawText });
  return result.rows;
}

/** A pool whose idle connections may be lost: the next query opens another. */
export function openPool(config: ClientConfig, logger: Logger, max = 4): Pool {
  const pool = new Pool({ ...config, max, idleTimeoutMillis: 30_000 });
  // pg-pool listens only while a connection idles. A server that ends it in the very packet that made it ready would find nobody.
  pool.on('connect', (client) => client.on('error', (error) => logger.debug({ err: error }, 'a connection to the read database was lost')));
  pool.on('error', (error) => logger.debug({ err: error }, 'an idle connection to the read database was lost'));
  return pool;
}

/**
 * Runs `work` in one READ COMMITTED transaction in which names without schema mean `schema`'s: committed when it resolves, rolled back
 * when it throws. A connection that failed is not used again.
 */
export async function inTransaction<T>(pool: Pool, schema: string, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    // Each statement must see what committed before it: the order view relies on that once it holds its lock.
    await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL search_path = ${escapeIdentifier(schema)}`);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    try {
      await client.query('ROLLBACK');
    } catch (rollbackError) {
      broken ??= rollbackError instanceof Error ? rollbackError : new Error(String(rollbackError));
    }
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** `"schema"."table"` */
export function qualified(schema: string, table: string): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}

/** The value of a column that is never null; a null means that the query is not what its reader thinks. */
export function text(row: TextRow, index: number): string {
  const value = row[index];
  if (value === undefined || value === null) throw new TypeError(`column ${index} of a query's result is null`);
  return value;
}
