import { Client, Pool, escapeIdentifier, type ClientBase, type ClientConfig, type PoolClient } from 'pg';
import { CdcError, describeError, sessionSql, type Logger } from '#pipeline/index.ts';

/** What runs a query: a pool or one of its clients. */
export type Database = Pick<PoolClient, 'query'>;

/** A result row as Postgres prints it, by position: nothing passes through a JS number or Date. */
export type TextRow = readonly (string | null)[];

const rawText = { getTypeParser: () => (value: unknown) => value };

/** Runs a query and gives its rows as text. */
export async function queryText(
  database: Database,
  sql: string,
  values: readonly unknown[] = [],
  name?: string,
): Promise<readonly TextRow[]> {
  const query = { text: sql, values: [...values], rowMode: 'array' as const, types: rawText };
  const result = await database.query<(string | null)[]>(name === undefined ? query : { ...query, name });
  return result.rows;
}

/** A pool whose idle connections may be lost: the next query opens another. `prepare`: SQL that each connection begins with, in place of ours. */
export function openPool(config: ClientConfig, logger: Logger, max = 4, prepare?: string): Pool {
  const verify = prepare === undefined ? prepareForPool : prepareWith(prepare);
  const pool = new Pool({ ...config, max, idleTimeoutMillis: 30_000, verify });
  // pg-pool listens only while a connection idles. A server that ends it in the very packet that made it ready would find nobody.
  pool.on('connect', (client) => client.on('error', (error) => logger.debug({ err: error }, 'a connection to the database was lost')));
  pool.on('error', (error) => logger.debug({ err: error }, 'an idle connection to the database was lost'));
  return pool;
}

/**
 * Every connection's session means what our statements say, whatever the role, the database or the server set: names without a schema are
 * pg_catalog's (or, within {@link inTransaction}, the model's), and texts of values are read and written in one way.
 *
 * What is set to end long statements and idle sessions of people would end a batch that takes its time, again and again.
 */
const settings = sessionSql({
  default_transaction_read_only: 'off',
  lock_timeout: '0',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  xmloption: 'content',
});
/** The timeout before anything that could take its time. */
const session = `SET statement_timeout = 0; ${settings}`;

/** Makes a new connection's session ours. By statements and not by options of the login: a pooler between passes these on. */
async function prepareSession(client: ClientBase): Promise<void> {
  await client.query(session);
}

/** {@link prepareSession}, as pools ask for it. */
export const prepareForPool = prepareWith(session);

function prepareWith(sql: string): (client: PoolClient, done: (error?: Error) => void) => void {
  return (client, done) => client.query(sql, (error: Error | null) => done(error ?? undefined));
}

/**
 * Runs `work` in one READ COMMITTED transaction in which names without schema mean `schema`'s: committed when it resolves, rolled back
 * when it throws. A connection that failed is not used again.
 */
export async function inTransaction<T>(pool: Pool, schema: string, work: (client: PoolClient) => Promise<T>): Promise<T> {
  return transaction(pool, `${beginning}; SET LOCAL search_path = ${escapeIdentifier(schema)}`, work);
}

/** Each statement must see what committed before it: the order view relies on that once it holds its lock. */
export const beginning = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';

/**
 * A transaction that begins with the SQL of `begin`: committed when `work` resolves, rolled back when it throws. A connection that failed is not used
 * again; nor is one that `isGivenUp` says was left in the middle of something: it is ended, and the server rolls back.
 */
export async function transaction<T>(
  pool: Pool,
  begin: string,
  work: (client: PoolClient) => Promise<T>,
  isGivenUp: (error: unknown) => boolean = () => false,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query(begin);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    if (isGivenUp(error)) broken ??= new Error('given up', { cause: error });
    else {
      try {
        await client.query('ROLLBACK');
      } catch (rollbackError) {
        broken ??= rollbackError instanceof Error ? rollbackError : new Error(String(rollbackError));
      }
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

/** A connection of one's own, whose session is ours. @throws CdcError READ_DB_UNREACHABLE */
export async function connected(config: ClientConfig): Promise<Client> {
  const client = new Client(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await prepareSession(client);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw unreachable(config, error);
  }
}

export function unreachable(config: ClientConfig, error: unknown): CdcError {
  const place = `${config.host}:${config.port}/${config.database} as ${config.user}`;
  return new CdcError('READ_DB_UNREACHABLE', `the read database ${place} does not answer: ${describeError(error)}`, { cause: error });
}
