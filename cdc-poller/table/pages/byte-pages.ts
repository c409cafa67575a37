import { isUtf8 } from 'node:buffer';
import { ByteWriter, createRecordBuilder, RecordBuffers } from '#kafka/index.ts';
import type { ByteEncoder } from '../../encoding/bytes/byte-events.ts';
import { judgeRow } from '../../fence/pass.ts';
import { widenXid } from '../../fence/xid.ts';
import { CopyRows } from '../../source/copy-rows.ts';
import { pagePrefix, type CopiedPage, type Dialect } from '../../source/dialect.ts';
import { cursorAfter, snapshotXmaxOf, type PageRow } from '../../source/page-rows.ts';
import { witnessesOf, witnessRows } from '../../source/witness.ts';
import { sendPageRecords } from '../oversize.ts';
import type { PassContext } from '../pass-context.ts';
import type { EncodedPage, Judgement, PageReader } from './page.ts';

export type ByteSource = {
  readonly copyPage: (text: string) => Promise<CopiedPage>;
  readonly copyQuery: NonNullable<Dialect['bytes']>['copyQuery'];
  readonly bytes: ByteEncoder;
};

/** What all pages of a pass are written in. */
type Work = { readonly key: ByteWriter; readonly buffers: RecordBuffers };

/** Pages that go from the server's bytes to those of Kafka's records, row by row; texts are made of a page's last rows alone, for cursor and witnesses. */
export function bytePages(context: PassContext, source: ByteSource): PageReader {
  const { shape } = context;
  const work: Work = { key: new ByteWriter(), buffers: new RecordBuffers() };
  return {
    async read(pass, limit) {
      const { bytes, rows } = await source.copyPage(source.copyQuery(shape, pass, limit));
      const copied = new CopyRows(bytes, shape.columns.length + pagePrefix);
      const last = lastRow(copied);
      return {
        rows,
        characters: bytes.length,
        cursor: last === null ? null : cursorAfter(shape, [last]),
        encode: (judgement) => encodePage(context, source.bytes, copied, work, judgement),
      };
    },
  };
}

function lastRow(rows: CopyRows): readonly (string | null)[] | null {
  const { bytes } = rows;
  if (bytes.length === 0) return null;
  rows.at(bytes.length < 2 ? 0 : bytes.lastIndexOf(10, bytes.length - 2) + 1);
  const texts = rows.texts(0);
  rows.rewind();
  return texts;
}

async function encodePage(
  context: PassContext,
  encoder: ByteEncoder,
  rows: CopyRows,
  { key, buffers }: Work,
  { pass, hasRepair, fresh }: Judgement,
): Promise<EncodedPage> {
  const { publisher, oversize, shape, rememberedKeysMax } = context;
  const builder = createRecordBuilder(await publisher.partitions(), buffers);
  const op = pass.kind === 'load' || pass.kind === 'whole' ? 'r' : 'u';
  const page = encoder.page({ op, publishedAt: Date.now() });
  const known = publisher.journal.remembered;
  // A server whose encoding is SQL_ASCII may send anything.
  const utf8 = isUtf8(rows.bytes);
  const remembered: (readonly [bigint, string])[] = [];
  const keys: string[] = [];
  // The last ones that are published.
  const recentRows: number[] = [];
  const recentVersions: bigint[] = [];
  let published = 0;
  let largest = 0;
  let xmax: bigint | null = null;
  let xid = -1;
  let hasKey = false;
  const encodeKey = (): void => {
    if (hasKey) return;
    key.at = 0;
    encoder.key(rows, key, utf8);
    hasKey = true;
  };
  const keyText = (): string => {
    encodeKey();
    return key.bytes.toString('utf8', 0, key.at);
  };
  const judged = {
    xid: 0n,
    get key() {
      return keyText();
    },
  };
  const bounds = { hasRepair, rememberedMax: 0 };
  while (rows.next()) {
    xmax ??= snapshotXmaxOf(shape, rows.text(1));
    const written = numberAt(rows, 0);
    // Rows of one transaction often follow each other.
    if (written !== xid) {
      xid = written;
      judged.xid = widenXid(BigInt(xid), xmax);
    }
    hasKey = false;
    bounds.rememberedMax = rememberedKeysMax - fresh - remembered.length;
    const verdict = judgeRow(pass, judged, known, bounds);
    if (verdict === 'skip' || verdict === 'wait') continue;
    if (verdict === 'publish-and-remember') remembered.push([judged.xid, keyText()]);
    encodeKey();
    page.value(rows, builder.begin(builder.partitionOf(key.bytes, key.at), key.bytes, key.at), utf8);
    const size = builder.end();
    if (publisher.wantsKeys) keys.push(keyText());
    if (size > largest) largest = size;
    recentRows[published % witnessRows] = rows.row;
    recentVersions[published % witnessRows] = judged.xid;
    published += 1;
  }
  const batches = builder.take();
  return {
    published,
    remembered,
    late: 0n,
    witnesses: shape.hasWitness
      ? witnessesOf(
          shape,
          recentRows.map((row, index) => rowAt(rows, row, recentVersions[index] ?? 0n)),
        )
      : [],
    send: () => buffers.whileSent(batches, () => sendPageRecords(publisher, batches, keys, largest, oversize)),
  };
}

function rowAt(rows: CopyRows, row: number, version: bigint): PageRow {
  rows.at(row);
  return { row: rows.texts(pagePrefix), txId: rows.text(0), version };
}

/** A transaction id: 32 bits. */
function numberAt({ bytes, starts, ends }: CopyRows, column: number): number {
  let number = 0;
  for (let at = starts[column] ?? 0; at < (ends[column] ?? 0); at += 1) number = number * 10 + (bytes[at] ?? 0) - 48;
  return number;
}
