import { Query, type Client } from 'pg';
import type { CopiedPage } from '../source/dialect.ts';

const firstCapacity = 256 * 1024;
/** A buffer that grew beyond this is not kept for later pages. */
const largestKept = 8 * 2 ** 20;

/** pg hands COPY's data over in whole messages; here they are put one behind the other, without anything made for each. */
class CopyQuery extends Query {
  buffer: Buffer;
  size = 0;

  constructor(text: string, buffer: Buffer, done: (error: Error | null | undefined, rows: number) => void) {
    super(text, (error, result) => done(error, error ? 0 : (result.rowCount ?? 0)));
    this.buffer = buffer;
  }

  /** Called by pg's client. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    const { size } = this;
    const after = size + chunk.length;
    if (after > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, after));
      this.buffer.copy(larger, 0, 0, size);
      this.buffer = larger;
    }
    chunk.copy(this.buffer, size);
    this.size = after;
  }
}

/**
 * Runs `COPY (…) TO STDOUT` again and again over one connection. Two buffers take turns: one page is read while the one before it is encoded.
 */
export function createCopyReader(client: Client): (text: string) => Promise<CopiedPage> {
  let next: Buffer = Buffer.alloc(0);
  let other: Buffer = Buffer.alloc(0);
  return async (text) => {
    const buffer = next.length === 0 ? Buffer.allocUnsafeSlow(firstCapacity) : next;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const query = new CopyQuery(text, buffer, (error, rows) => (error ? reject(error) : resolve(rows)));
    client.query(query);
    const rows = await promise;
    next = other;
    other = query.buffer.length > largestKept ? Buffer.alloc(0) : query.buffer;
    return { bytes: query.buffer.subarray(0, query.size), rows };
  };
}
