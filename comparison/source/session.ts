import { Client, type ClientConfig } from 'pg';
import { CdcError, describeError, type ErrorCode } from '#pipeline/index.ts';

/** A row as text, exactly as Postgres prints it. */
export type TextRow = readonly (string | null)[];

/**
 * A connection whose values come as text and print alike whatever the server's or the role's settings are, so that text from two
 * databases can be compared.
 */
export type Session = AsyncDisposable & {
  rows(sql: string, values?: readonly unknown[]): Promise<readonly TextRow[]>;
  /** Runs `work` in one REPEATABLE READ READ ONLY transaction. */
  readOnly<T>(work: () => Promise<T>): Promise<T>;
  /** Streams a query by a cursor, page by page; only inside {@link Session.readOnly}. */
  stream(sql: string, values?: readonly unknown[]): AsyncIterable<TextRow>;
};

const pageRows = 2000;
const types = { getTypeParser: () => (value: unknown) => value };
const printing = `SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1`;

/** @throws CdcError of the code given when the server does not take the connection */
export async function openSession(config: ClientConfig, unreachable: ErrorCode): Promise<Session> {
  const client = new Client(config);
  // A connection that breaks while idle is reported by the next query.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(printing);
  } catch (error) {
    await client.end().catch(() => undefined);
    const place = `database ${config.database} at ${config.host}:${config.port} as ${config.user}`;
    throw new CdcError(unreachable, `cannot connect to ${place}: ${describeError(error)}`, { cause: error });
  }

  const rows = async (sql: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> => {
    const result = await client.query<(string | null)[]>({ text: sql, values: [...values], rowMode: 'array', types });
    return result.rows;
  };
  let cursors = 0;
  return {
    rows,
    async readOnly(work) {
      await rows('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      try {
        return await work();
      } finally {
        await client.query('ROLLBACK').catch(() => undefined);
      }
    },
    async *stream(sql, values = []) {
      cursors += 1;
      const cursor = `comparison_${cursors}`;
      await rows(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${sql}`, values);
      for (;;) {
        const page = await rows(`FETCH ${pageRows} FROM ${cursor}`);
        yield* page;
        if (page.length < pageRows) break;
      }
      await rows(`CLOSE ${cursor}`);
    },
    async [Symbol.asyncDispose]() {
      await client.end();
    },
  };
}
