import { createHash } from 'node:crypto';
import type { EventEncoder } from '../encoding/event-encoder.ts';
import type { Mark } from '../fence/floor.ts';
import { judgeRow, type Cursor, type Pass } from '../fence/pass.ts';
import { createSendQueue } from './send-queue.ts';
import { sendPage, type Oversize, type VersionedMessage } from './oversize.ts';
import { afterPage, isWindow, type Position, type Witness } from '../position/position.ts';
import { cursorAfter, pageRows, type PageRow } from '../source/page-rows.ts';
import { charactersOf, firstPageSize, nextPageSize } from '../source/page-size.ts';
import type { SourceSession, TextRows } from '../source/dialect.ts';
import type { TableShape } from '../source/table-shape.ts';
import { witnessesOf, witnessRows } from '../source/witness.ts';
import type { TablePublisher } from './table-publisher.ts';

export type PassContext = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  readonly oversize: Oversize;
  readonly pageRows: number;
  readonly rememberedKeysMax: number;
  readonly signal: AbortSignal;
  /** Of a window: the clock or the highest id at the poll before, which should have shown what is below it. */
  readonly shownBefore?: Mark | null;
  /** Called after each page with the number of rows read and published in the pass so far. */
  readonly onProgress: (rows: { readonly read: number; readonly published: number }) => void;
};

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
  const { session, shape, publisher, oversize, signal } = context;
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
  const commit = async (at: Position): Promise<void> => {
    const keys = remembered;
    remembered = [];
    pending = 0;
    await sendQueue.add(async () => {
      await publisher.commit(at, keys);
      uncommittedKeys -= keys.length;
    });
  };
  let next: Promise<TextRows> | null = readPage(session, shape, { ...pass, cursor }, limit);
  try {
    while (next !== null) {
      const rows: TextRows = await next;
      const whole = rows.length < limit;
      cursor = cursorAfter(shape, rows) ?? cursor;
      limit = nextPageSize(limit, { rows: rows.length, characters: charactersOf(rows) }, context.pageRows);
      next = whole || signal.aborted ? null : readPage(session, shape, { ...pass, cursor }, limit);
      const page = encodePage(context, pass, position.repair !== null, rows, uncommittedKeys);
      remembered.push(...page.remembered);
      uncommittedKeys += page.remembered.length;
      read += rows.length;
      published += page.messages.length;
      if (page.late > late) late = page.late;
      if (page.witnesses.length > 0) witnesses = page.witnesses;
      pending += page.messages.length;
      if (page.messages.length > 0) await sendQueue.add(() => sendPage(publisher, page.messages, oversize));
      // A row that was left out is remembered all the same, or the next poll would meet it again.
      const hasNews = pending > 0 || remembered.length > 0;
      if (whole) {
        const final = withWitness(finish(cursor));
        if (hasNews) await commit(final);
        await sendQueue.drain();
        if (!hasNews) publisher.journal.advance(final);
        oversize.chunkBytes = null;
        return { whole: true, read, published, late };
      }
      if (pending >= transactionEvents || (next === null && hasNews))
        await commit(withWitness(afterPage(position, pass, cursor ?? missingCursor())));
      context.onProgress({ read, published });
    }
    await sendQueue.drain();
    return { whole: false, read, published, late };
  } finally {
    // Neither a page that is still being read nor one that is being sent must meet a session or a transaction that others use.
    await sendQueue.settled();
    await next?.catch(() => undefined);
  }
}

function readPage(session: SourceSession, shape: TableShape, pass: Pass, limit: number): Promise<TextRows> {
  const rows = session.page(session.dialect.pageQuery(shape, pass, limit));
  // It is awaited a page later; if the page before it fails, its own failure is not news.
  rows.catch(() => undefined);
  return rows;
}

function missingCursor(): never {
  throw new RangeError('a full page without a last row');
}

type EncodedPage = {
  readonly messages: readonly VersionedMessage[];
  readonly remembered: readonly (readonly [bigint, string])[];
  readonly late: Mark;
  readonly witnesses: Witness['rows'];
};

/** @param fresh remembered keys of this pass that are not committed yet */
function encodePage(context: PassContext, pass: Pass, hasRepair: boolean, rows: TextRows, fresh: number): EncodedPage {
  const { encoder, publisher, shape, rememberedKeysMax } = context;
  const messages: VersionedMessage[] = [];
  /** The last ones that are published. */
  const recent: PageRow[] = [];
  const remembered: (readonly [bigint, string])[] = [];
  const known = publisher.journal.remembered;
  const publishedAt = Date.now();
  const { shownBefore = null } = context;
  let late: Mark = 0n;
  const op = pass.kind === 'load' || pass.kind === 'whole' ? 'r' : 'u';
  for (const pageRow of pageRows(shape, rows)) {
    const { row, txId, version } = pageRow;
    const key = encoder.key(row);
    const name = isWindow(shape.capture) ? `${key}#${digest(encoder.after(row))}` : key;
    const rememberedMax = rememberedKeysMax - fresh - remembered.length;
    const verdict = judgeRow(pass, { xid: version, key: name }, known, { hasRepair, rememberedMax });
    if (verdict === 'skip' || verdict === 'wait') continue;
    if (shownBefore !== null && shownBefore - version > late) late = shownBefore - version;
    if (verdict === 'publish-and-remember') remembered.push([version, name]);
    const value = encoder.value(row, { op, txId, publishedAt });
    // Counting makes one text of the pieces at once. As a tree of pieces, events that wait would be copied by V8's collector piece by piece: half
    // of all CPU.
    const valueBytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    recent[messages.length % witnessRows] = pageRow;
    messages.push({ key: encoder.wireKey(row, key), partitionKey: key, value, valueBytes, version: txId ?? version.toString() });
  }
  return { messages, remembered, late, witnesses: shape.hasWitness ? witnessesOf(shape, recent) : [] };
}

/** Differs between contents; 96 bits are enough for that. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64').slice(0, 16);
}
