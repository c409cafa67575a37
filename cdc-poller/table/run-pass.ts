import type { Mark } from '../fence/floor.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import type { PassContext } from './pass-context.ts';
import { createSendQueue } from './send-queue.ts';
import { pageReader } from './pages/page-reader.ts';
import type { PageReader, ReadPage } from './pages/page.ts';
import { afterPage, type Position, type Witness } from '../position/position.ts';
import { firstPageSize, nextPageSize } from '../source/page-size.ts';

export type PassResult = {
  readonly whole: boolean;
  readonly read: number;
  readonly published: number;
  /** By how much a published row was below `shownBefore`, at most; 0 for none. */
  readonly late: Mark;
};

/** A Kafka transaction is committed when it holds this many events: long ones keep read_committed consumers waiting. */
const transactionEvents = 20_000;
/** Pages and commits that wait to be sent while the next page is read and encoded. */
const jobsAhead = 3;

/**
 * Runs a pass, or what is left of it, page by page: one page is read, the one before it encoded and earlier ones are sent, all at once and
 * in order. Commits events together with the position, at the latest at the end of the pass; without events nothing is written and the
 * journal moves on in memory. When the signal is aborted it commits what was sent and returns with `whole: false`.
 *
 * @param position before the pass; `finish` gives the one after it, when the pass has ended at a cursor
 * @throws TableReshaped before anything of a page is published that does not have the shape; EventRefused when an event was too large
 */
export async function runPass(
  context: PassContext,
  position: Position,
  pass: Pass,
  finish: (cursor: Cursor | null) => Position,
): Promise<PassResult> {
  const { publisher, oversize, signal } = context;
  const hasRepair = position.repair !== null;
  const reader = pageReader(context, pass, hasRepair);
  const sendQueue = createSendQueue(jobsAhead);
  let remembered: (readonly [bigint, string])[] = [];
  /** Of this pass, in commits that are not done yet too. */
  let uncommittedKeys = 0;
  let pending = 0;
  let { cursor } = pass;
  let read = 0;
  let published = 0;
  let late: Mark = 0n;
  let limit = firstPageSize(context.pageRows);
  let witnesses: Witness['rows'] = [];
  const withWitness = (at: Position): Position =>
    witnesses.length === 0 ? at : { ...at, witness: { below: pass.nextHorizon, rows: witnesses } };
  const commit = async (at: Position, last?: () => Promise<void>): Promise<void> => {
    const keys = remembered;
    remembered = [];
    pending = 0;
    await sendQueue.add(async () => {
      await publisher.commit(at, keys, last);
      uncommittedKeys -= keys.length;
    });
  };
  let next: Promise<ReadPage> | null = readPage(reader, { ...pass, cursor }, limit);
  try {
    while (next !== null) {
      const page: ReadPage = await next;
      const whole = page.isLast;
      cursor = page.cursor ?? cursor;
      limit = nextPageSize(limit, page, context.pageRows);
      next = whole || signal.aborted ? null : readPage(reader, { ...pass, cursor }, limit);
      const encoded = await page.encode({ pass, hasRepair, fresh: uncommittedKeys });
      remembered.push(...encoded.remembered);
      uncommittedKeys += encoded.remembered.length;
      read += page.rows;
      published += encoded.published;
      if (encoded.late > late) late = encoded.late;
      if (encoded.witnesses.length > 0) witnesses = encoded.witnesses;
      pending += encoded.published;
      // A row that was left out is remembered all the same, or the next poll would meet it again.
      const hasNews = pending > 0 || remembered.length > 0;
      const send = encoded.published > 0 ? encoded.send : undefined;
      if (whole) {
        const final = withWitness(finish(cursor));
        if (hasNews) await commit(final, send);
        await sendQueue.drain();
        if (!hasNews) publisher.journal.advance(final);
        oversize.chunkBytes = null;
        return { whole: true, read, published, late };
      }
      if (pending >= transactionEvents || (next === null && hasNews))
        await commit(withWitness(afterPage(position, pass, cursor ?? missingCursor())), send);
      else if (send !== undefined) await sendQueue.add(send);
      context.onProgress({ read, published });
    }
    await sendQueue.drain();
    return { whole: false, read, published, late };
  } finally {
    // Neither a page that is still being read nor one that is being sent must meet a session or a transaction that others use.
    await sendQueue.settled();
    await next?.catch(() => undefined);
    await reader.close?.();
  }
}

function readPage(reader: PageReader, pass: Pass, limit: number): Promise<ReadPage> {
  const page = reader.read(pass, limit);
  // It is awaited a page later; if the page before it fails, its own failure is not news.
  page.catch(() => undefined);
  return page;
}

function missingCursor(): never {
  throw new RangeError('a full page without a last row');
}
