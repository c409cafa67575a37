import type { OutgoingMessage } from '#kafka/index.ts';
import type { EventEncoder } from './encoding/event-encoder.ts';
import { judgeRow, type Cursor, type Pass } from './fence/pass.ts';
import { widenXid } from './fence/xid.ts';
import { afterPage, type Position } from './position/position.ts';
import { pageQuery } from './source/page-query.ts';
import type { SourceSession, TextRows } from './source/source-session.ts';
import type { TableShape } from './source/table-shape.ts';
import type { TablePublisher } from './table-publisher.ts';

export type PassContext = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  readonly pageRows: number;
  readonly rememberedKeysMax: number;
  readonly signal: AbortSignal;
  /** Called after each page with the number of rows read and published in the pass so far. */
  readonly onProgress: (rows: { readonly read: number; readonly published: number }) => void;
};

export type PassResult = { readonly whole: boolean; readonly read: number; readonly published: number };

/** A Kafka transaction is committed when it holds this many events: long ones keep read_committed consumers waiting. */
const transactionEvents = 20_000;

/**
 * Runs a pass, or what is left of it, page by page; the next page is read while the last one is sent. Commits events together with the
 * position, at the latest at the end of the pass; without events nothing is written and the journal moves on in memory.
 * When the signal is aborted it commits what was sent and returns with `whole: false`.
 *
 * @param position before the pass; `finish` gives the one after it
 */
export async function runPass(context: PassContext, position: Position, pass: Pass, finish: () => Position): Promise<PassResult> {
  const { session, shape, publisher, pageRows, signal } = context;
  const { journal } = publisher;
  let remembered: (readonly [bigint, string])[] = [];
  let cursor = pass.cursor;
  let read = 0;
  let published = 0;
  let next: Promise<TextRows> | null = readPage(session, shape, { ...pass, cursor }, pageRows);
  try {
    while (next !== null) {
      const rows: TextRows = await next;
      const whole = rows.length < pageRows;
      cursor = cursorAfter(shape, rows) ?? cursor;
      next = whole || signal.aborted ? null : readPage(session, shape, { ...pass, cursor }, pageRows);
      const page = encodePage(context, pass, position.repair !== null, rows);
      remembered.push(...page.remembered);
      read += rows.length;
      published += page.messages.length;
      await publisher.send(page.messages);
      if (whole) {
        const final = finish();
        if (publisher.pending > 0) await publisher.commit(final, remembered);
        else journal.advance(final);
        return { whole: true, read, published };
      }
      if (publisher.pending >= transactionEvents || (next === null && publisher.pending > 0)) {
        await publisher.commit(afterPage(position, pass, cursor ?? missingCursor()), remembered);
        remembered = [];
      }
      context.onProgress({ read, published });
    }
    return { whole: false, read, published };
  } finally {
    // A page that is still being read must not meet a session that others use.
    await next?.catch(() => undefined);
  }
}

function readPage(session: SourceSession, shape: TableShape, pass: Pass, limit: number): Promise<TextRows> {
  const rows = session.page(pageQuery(shape, pass, limit));
  // It is awaited a page later; if the page before it fails, its own failure is not news.
  rows.catch(() => undefined);
  return rows;
}

function missingCursor(): never {
  throw new RangeError('a full page without a last row');
}

function cursorAfter({ timestamp, incrementing }: TableShape, rows: TextRows): Cursor | null {
  const last = rows.at(-1);
  if (last === undefined) return null;
  return { timestamp: last[timestamp + 2] ?? '', id: last[incrementing + 2] ?? '' };
}

type EncodedPage = { readonly messages: readonly OutgoingMessage[]; readonly remembered: readonly (readonly [bigint, string])[] };

function encodePage({ encoder, publisher, rememberedKeysMax }: PassContext, pass: Pass, hasRepair: boolean, rows: TextRows): EncodedPage {
  const messages: OutgoingMessage[] = [];
  const remembered: (readonly [bigint, string])[] = [];
  const known = publisher.journal.remembered;
  const publishedAt = Date.now();
  const op = pass.kind === 'load' ? 'r' : 'u';
  const xmax = BigInt(rows[0]?.[1] ?? '0');
  for (const [xmin, , ...row] of rows) {
    const txId = xmin ?? '';
    const xid = widenXid(BigInt(txId), xmax);
    const key = encoder.key(row);
    const verdict = judgeRow(pass, { xid, key }, known, { hasRepair, rememberedMax: rememberedKeysMax - remembered.length });
    if (verdict === 'skip' || verdict === 'wait') continue;
    if (verdict === 'publish-and-remember') remembered.push([xid, key]);
    messages.push({ key, value: encoder.value(row, { op, txId, publishedAt }) });
  }
  return { messages, remembered };
}
