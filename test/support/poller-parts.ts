import type { Pass } from '#cdc-poller/fence/pass.ts';
import { encoderOf } from '#cdc-poller/encoding/table-format.ts';
import { registeredFormat } from '#cdc-poller/schemas/registered-format.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { readCatalog } from '#cdc-poller/postgres/catalog.ts';
import { pageQuery } from '#cdc-poller/postgres/page-query.ts';
import type { PageQuery } from '#cdc-poller/source/dialect.ts';
import { cursorAfter, pageRows } from '#cdc-poller/source/page-rows.ts';
import { openSourceSession } from '#cdc-poller/postgres/session.ts';
import type { TextRows } from '#cdc-poller/source/dialect.ts';
import { shapeOf } from '#cdc-poller/source/table/table-shape.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import type { WireFormat } from '#pipeline/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';

/** The poller's way through a table without its end: to measure reading and encoding alone. */
export type PollerParts = AsyncDisposable & {
  /** The page after the row with this timestamp and id; without, the first one. */
  pageAfter(cursor: readonly [timestamp: string, id: string] | null, limit: number): PageQuery;
  /** Runs a page as the poller does. */
  read(query: PageQuery): Promise<TextRows>;
  /** Runs other SQL on the same session. */
  query(text: string, values?: readonly string[]): Promise<TextRows>;
  /** Reads the whole table as a load does, the next page while `onPage` looks at the last. */
  readAll(limit: number, onPage: (rows: TextRows) => void): Promise<void>;
  /** The events of a page: keys and values. */
  encode(rows: TextRows): readonly (readonly [key: string | Buffer, value: string | Buffer])[];
};

/** Of a table with columns `updated_at` and `id`. Schemas are registered nowhere: their ids are 1. */
export async function pollerParts(database: LegacyDatabase, table: string, format: WireFormat = 'json'): Promise<PollerParts> {
  const session = await openSourceSession(database.config, 'bench', 600_000);
  const shape = shapeOf(
    await readCatalog(session, pollerTableSchema.parse({ table })),
    pollerTableSchema.parse({ table }),
    '',
    postgres.words,
  );
  const event = {
    ...shape,
    database: database.name,
    table: shape.id,
    prefix: 'bench',
    encodeColumn: postgres.encodeColumn,
    keyText: postgres.keyText,
  };
  const written = await registeredFormat(
    { format },
    format === 'json' ? null : { idOf: () => Promise.resolve(1) },
    { ...session, dialect: postgres },
    shape,
    event,
    `bench.${table}`,
    AbortSignal.timeout(60_000),
  );
  const encoder = encoderOf(written, postgres, event);
  const load: Pass = { kind: 'load', from: null, below: BigInt(Date.now()) * 1000n, horizon: null, nextHorizon: 0n, cursor: null };
  return {
    pageAfter: (cursor, limit) => pageQuery(shape, { ...load, cursor }, limit),
    read: (query) => session.page(query),
    query: (text, values) => session.query(text, values),
    async readAll(limit, onPage) {
      let next: Promise<TextRows> | null = session.page(pageQuery(shape, load, limit));
      while (next !== null) {
        const rows: TextRows = await next;
        next = rows.length < limit ? null : session.page(pageQuery(shape, { ...load, cursor: cursorAfter(shape, rows) }, limit));
        onPage(rows);
      }
    },
    encode(rows) {
      const publishedAt = Date.now();
      return pageRows(shape, rows).map(
        ({ row, txId }) => [encoder.wireKey(row, encoder.key(row)), encoder.value(row, { op: 'r', txId, publishedAt })] as const,
      );
    },
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
    },
  };
}
