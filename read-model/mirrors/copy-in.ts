import { Query, type Connection } from 'pg';
import type { Database } from '../database.ts';

const copyData = 'd'.charCodeAt(0);
const copyDone = Buffer.from([...Buffer.from('c'), 0, 0, 0, 4]);
const headerBytes = 5;

/**
 * Runs a statement with one `COPY … FROM STDIN` in it (text format) and gives it `chunks`, whole rows or not, of some 64 KiB: the server
 * takes each into memory as a whole. pg does everything but the sending.
 *
 * @throws what the server says
 */
export async function copyIn(database: Database, sql: string, chunks: readonly Buffer[]): Promise<void> {
  const done = Promise.withResolvers<void>();
  database.query(
    new CopyQuery(sql, chunks, (error) => {
      if (error instanceof Error) done.reject(error);
      else done.resolve();
    }),
  );
  await done.promise;
}

class CopyQuery extends Query {
  readonly #chunks: readonly Buffer[];

  constructor(sql: string, chunks: readonly Buffer[], callback: (error: unknown) => void) {
    super(sql, [], callback);
    this.#chunks = chunks;
  }

  /** Called by pg when the server asks for rows. One that refuses a row drops what still comes. */
  handleCopyInResponse({ stream }: Connection): void {
    stream.cork();
    for (const chunk of this.#chunks) {
      const header = Buffer.allocUnsafe(headerBytes);
      header[0] = copyData;
      header.writeInt32BE(chunk.length + 4, 1);
      stream.write(header);
      stream.write(chunk);
    }
    stream.write(copyDone);
    stream.uncork();
  }
}
