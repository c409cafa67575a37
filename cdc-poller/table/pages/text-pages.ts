import { createHash } from 'node:crypto';
import { judgeRow } from '../../fence/pass.ts';
import type { Mark } from '../../fence/floor.ts';
import { isWindow } from '../../position/position.ts';
import type { TextRows } from '../../source/dialect.ts';
import { cursorAfter, pageRows, type PageRow } from '../../source/page-rows.ts';
import { charactersOf } from '../../source/page-size.ts';
import { witnessesOf, witnessRows } from '../../source/witness.ts';
import { sendPage, type VersionedMessage } from '../oversize.ts';
import type { PassContext } from '../pass-context.ts';
import type { EncodedPage, Judgement, PageReader } from './page.ts';

/** Pages of any table in any format: a text for each value, a message for each event. */
export function textPages(context: PassContext): PageReader {
  const { session, shape } = context;
  return {
    async read(pass, limit) {
      const rows = await session.page(session.dialect.pageQuery(shape, pass, limit));
      return {
        rows: rows.length,
        isLast: rows.length < limit,
        characters: charactersOf(rows),
        cursor: cursorAfter(shape, rows),
        encode: async (judgement) => encodePage(context, rows, judgement),
      };
    },
  };
}

function encodePage(context: PassContext, rows: TextRows, { pass, hasRepair, fresh }: Judgement): EncodedPage {
  const { encoder, publisher, oversize, shape, rememberedKeysMax } = context;
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
  return {
    published: messages.length,
    remembered,
    late,
    witnesses: shape.hasWitness ? witnessesOf(shape, recent) : [],
    send: () => sendPage(publisher, messages, oversize),
  };
}

/** Differs between contents; 96 bits are enough for that. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64').slice(0, 16);
}
