import { describeError, type Logger } from '#pipeline/index.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import type { Dialect } from '../source/dialect.ts';
import { pageStateOf } from '../source/table/relation-state.ts';
import { sendPageRecords } from '../table/oversize.ts';
import type { PassContext } from '../table/pass-context.ts';
import type { PageReader, ReadPage } from '../table/pages/page.ts';
import type { LoadThreads, LoadThreadStarter } from './load-threads.ts';
import type { LoadedPage } from './messages.ts';

/** Rows that one connection has read before threads are started: a smaller table is loaded by then. */
const worthwhileRows = 50_000;
/** Pages that each thread has before it: one is read while another is encoded. */
const pagesAhead = 2;
/** A page may have become larger since its end was looked up; what is past this is read as a page of its own. */
const growth = 2;

type Range = { readonly until: Cursor | null; readonly limit: number; readonly page: Promise<LoadedPage> };

export type LoadContext = Pick<PassContext, 'session' | 'shape' | 'publisher' | 'oversize'> & {
  readonly loadThreads: LoadThreadStarter;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
};

/**
 * A load's pages, read and encoded by several threads and given in order, so that one cursor says how far the load is: as exact as with one connection.
 *
 * Where the next pages end is looked up first; each is then read by its own thread, from one end to the next. Rows that come into a page or leave it in
 * between change nothing: a page's snapshot is its own in any case, and what is written after the load began is published by what follows it (fence/pass.ts).
 *
 * @param alone reads until the threads have started, and the rest of the pass when one fails. What lasts, such as a value that cannot be read, it meets itself
 */
export function loadPages(
  context: LoadContext,
  alone: PageReader,
  endsQuery: NonNullable<Dialect['bytes']>['endsQuery'],
  hasRepair: boolean,
  worthwhile: number = worthwhileRows,
): PageReader {
  const { session, shape, publisher, loadThreads, logger } = context;
  let threads: LoadThreads | null = null;
  let starting: Promise<void> | null = null;
  let readAlone = 0;
  let readByThreads = 0;
  let ranges: Range[] = [];
  let lookup: Promise<void> | null = null;
  /** Where the last range ends; null for one that goes to the end of the table. */
  let reached: Cursor | null = null;
  let toTheEnd = false;

  const start = async (started: Promise<LoadThreads>): Promise<void> => {
    try {
      threads = await started;
      logger.info({ loadWorkers: threads.threads }, 'further pages of the load are read by threads');
    } catch (error) {
      logger.warn(`the load goes on with one connection, for its threads did not start: ${describeError(error)}`);
    }
  };
  const range = (by: LoadThreads, pass: Pass, until: Cursor | null, limit: number, partitions: number): Range => {
    const task = { pass, until, limit, hasRepair, partitions, wantsKeys: publisher.wantsKeys };
    const page = by.read(task);
    // Awaited in its turn.
    page.catch(() => undefined);
    return { until, limit, page };
  };
  const lookAhead = async (by: LoadThreads, pass: Pass, rows: number): Promise<void> => {
    const count = by.threads * pagesAhead;
    const from = { ...pass, cursor: reached };
    const { text, values } = endsQuery(shape, from, rows, count);
    const ends = await session.query(text, values, (found) => found.length * rows);
    const partitions = await publisher.partitions();
    for (const end of [...ends.map(asCursor), ...(ends.length < count ? [null] : [])]) {
      ranges.push(range(by, { ...pass, cursor: reached }, end, rows * growth, partitions));
      reached = end;
      toTheEnd = end === null;
    }
  };
  const byThreads = async (by: LoadThreads, pass: Pass, rows: number): Promise<ReadPage> => {
    if (ranges.length <= by.threads && !toTheEnd) {
      lookup ??= lookAhead(by, pass, rows).finally(() => {
        lookup = null;
      });
      lookup.catch(() => undefined);
    }
    while (ranges.length === 0) await lookup;
    const next = ranges.shift();
    if (next === undefined) throw new RangeError('no page of the load');
    const page = await next.page;
    loadThreads.onRead(page.rows);
    readByThreads += page.rows;
    const isCut = page.rows >= next.limit;
    if (isCut) ranges.unshift(range(by, { ...pass, cursor: page.cursor }, next.until, next.limit, await publisher.partitions()));
    return {
      rows: page.rows,
      isLast: next.until === null && !isCut,
      characters: page.characters,
      cursor: isCut ? page.cursor : (next.until ?? page.cursor),
      encode: () => Promise.resolve({ ...page, remembered: [], late: 0n, send: () => send(context, by, page) }),
    };
  };
  const giveUp = async (by: LoadThreads, error: unknown): Promise<void> => {
    logger.warn(`the load goes on with one connection, for one of its threads failed: ${describeError(error)}`);
    threads = null;
    ranges = [];
    await lookup?.catch(() => undefined);
    await by[Symbol.asyncDispose]();
  };

  return {
    async read(pass, limit) {
      if (threads !== null) {
        const by = threads;
        reached ??= pass.cursor;
        try {
          return await byThreads(by, pass, limit);
        } catch (error) {
          await giveUp(by, error);
        }
      }
      const page = await alone.read(pass, limit);
      readAlone += page.rows;
      if (starting === null && shape.relation !== null && !page.isLast && readAlone >= worthwhile) {
        const started = loadThreads.start(pageStateOf(shape.relation));
        if (started !== null) starting = start(started);
      }
      return page;
    },
    async close() {
      await lookup?.catch(() => undefined);
      await starting;
      await threads?.[Symbol.asyncDispose]();
      if (threads !== null) logger.info({ rows: readByThreads }, 'the threads of the load have ended');
    },
  };
}

async function send({ publisher, oversize }: LoadContext, threads: LoadThreads, page: LoadedPage): Promise<void> {
  const batches = page.batches.map(({ partition, count, bytes, memory }) => ({ partition, count, records: Buffer.from(memory, 0, bytes) }));
  await sendPageRecords(publisher, batches, page.keys, page.largest, oversize);
  threads.sent(page);
}

function asCursor(row: readonly (string | null)[]): Cursor {
  return row.map((text) => {
    if (text === null) throw new RangeError('a row without a value that pages are ordered by');
    return text;
  });
}
