import { ByteWriter, RecordBuffers } from '#kafka/index.ts';
import type { ByteEncoder } from '../../encoding/bytes/byte-events.ts';
import { CopyRows } from '../../source/copy-rows.ts';
import { pagePrefix, type CopiedPage, type Dialect } from '../../source/dialect.ts';
import { cursorAfter } from '../../source/page-rows.ts';
import { sendPageRecords } from '../oversize.ts';
import type { PassContext } from '../pass-context.ts';
import { encodeRows, lastRow, type Work } from './encode-rows.ts';
import type { EncodedPage, Judgement, PageReader } from './page.ts';

export type ByteSource = {
  readonly copyPage: (text: string) => Promise<CopiedPage>;
  readonly copyQuery: NonNullable<Dialect['bytes']>['copyQuery'];
  readonly bytes: ByteEncoder;
};

/** Pages that go from the server's bytes to those of Kafka's records, row by row; texts are made of a page's last rows alone, for cursor and witnesses. */
export function bytePages(context: PassContext, source: ByteSource): PageReader {
  const { shape } = context;
  const work: Work = { key: new ByteWriter(), wireKey: new ByteWriter(), buffers: new RecordBuffers() };
  return {
    async read(pass, limit) {
      const { bytes, rows } = await source.copyPage(source.copyQuery(shape, pass, limit));
      const copied = new CopyRows(bytes, shape.columns.length + pagePrefix);
      const last = lastRow(copied);
      return {
        rows,
        isLast: rows < limit,
        characters: bytes.length,
        cursor: last === null ? null : cursorAfter(shape, [last]),
        encode: (judgement) => encodePage(context, source.bytes, copied, work, judgement),
      };
    },
  };
}

async function encodePage(
  { publisher, oversize, shape, rememberedKeysMax }: PassContext,
  encoder: ByteEncoder,
  rows: CopyRows,
  work: Work,
  { pass, hasRepair, fresh }: Judgement,
): Promise<EncodedPage> {
  const { batches, keys, largest, ...encoded } = encodeRows(rows, {
    shape,
    encoder,
    work,
    partitions: await publisher.partitions(),
    pass,
    hasRepair,
    known: publisher.journal.remembered,
    rememberedMax: rememberedKeysMax - fresh,
    wantsKeys: publisher.wantsKeys,
  });
  return {
    ...encoded,
    late: 0n,
    send: () => work.buffers.whileSent(batches, () => sendPageRecords(publisher, batches, keys, largest, oversize)),
  };
}
