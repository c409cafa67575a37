import { isUtf8 } from 'node:buffer';
import { createRecordBuilder, type ByteWriter, type EncodedRecords, type RecordBuffers } from '#kafka/index.ts';
import type { ByteEncoder } from '../../encoding/bytes/byte-events.ts';
import { judgeRow, type Pass } from '../../fence/pass.ts';
import type { RememberedKeys } from '../../fence/remembered-keys.ts';
import { widenXid } from '../../fence/xid.ts';
import type { Witness } from '../../position/position.ts';
import type { CopyRows } from '../../source/copy-rows.ts';
import { pagePrefix } from '../../source/dialect.ts';
import { snapshotXmaxOf, type PageRow } from '../../source/page-rows.ts';
import type { TableShape } from '../../source/table/table-shape.ts';
import { witnessesOf, witnessRows } from '../../source/witness.ts';

/** What all pages of a pass are written in. */
export type Work = { readonly key: ByteWriter; readonly wireKey: ByteWriter; readonly buffers: RecordBuffers };

export type RowsContext = {
  readonly shape: TableShape;
  readonly encoder: ByteEncoder;
  readonly work: Work;
  /** Of the table's topic. */
  readonly partitions: number;
  readonly pass: Pass;
  readonly hasRepair: boolean;
  readonly known: RememberedKeys;
  /** How many more keys may be remembered. */
  readonly rememberedMax: number;
  /** Whether somebody asks for the keys of what is published. */
  readonly wantsKeys: boolean;
};

/** The events of a page, as records of Kafka's. */
export type EncodedRows = {
  readonly batches: readonly EncodedRecords[];
  readonly published: number;
  readonly remembered: readonly (readonly [bigint, string])[];
  readonly witnesses: Witness['rows'];
  readonly keys: readonly string[];
  /** Bytes of the largest value. */
  readonly largest: number;
};

/**
 * Judges a page's rows and writes the events of those that are new, from bytes to bytes.
 *
 * @throws TableReshaped for rows of another shape; CdcError VALUE_UNREADABLE
 */
export function encodeRows(rows: CopyRows, context: RowsContext): EncodedRows {
  const { shape, encoder, work, pass, hasRepair, known, rememberedMax, wantsKeys } = context;
  const { key, buffers } = work;
  const { wireKey } = encoder;
  const recordKey = wireKey === null ? key : work.wireKey;
  const builder = createRecordBuilder(context.partitions, buffers);
  const op = pass.kind === 'load' || pass.kind === 'whole' ? 'r' : 'u';
  const page = encoder.page({ op, publishedAt: Date.now() });
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
    const written = rows.number(0);
    // Rows of one transaction often follow each other.
    if (written !== xid) {
      xid = written;
      judged.xid = widenXid(BigInt(xid), xmax);
    }
    hasKey = false;
    bounds.rememberedMax = rememberedMax - remembered.length;
    const verdict = judgeRow(pass, judged, known, bounds);
    if (verdict === 'skip' || verdict === 'wait') continue;
    if (verdict === 'publish-and-remember') remembered.push([judged.xid, keyText()]);
    encodeKey();
    if (wireKey !== null) {
      recordKey.at = 0;
      wireKey(rows, key, recordKey, utf8);
    }
    page.value(rows, builder.begin(builder.partitionOf(key.bytes, key.at), recordKey.bytes, recordKey.at), utf8);
    const size = builder.end();
    if (wantsKeys) keys.push(keyText());
    if (size > largest) largest = size;
    recentRows[published % witnessRows] = rows.row;
    recentVersions[published % witnessRows] = judged.xid;
    published += 1;
  }
  const recent = shape.hasWitness ? recentRows.map((row, index) => rowAt(rows, row, recentVersions[index] ?? 0n)) : [];
  return { batches: builder.take(), published, remembered, witnesses: witnessesOf(shape, recent), keys, largest };
}

/** The last row of a page, all its columns; null for a page without rows. The rows are then before their first again. */
export function lastRow(rows: CopyRows): readonly (string | null)[] | null {
  const { bytes } = rows;
  if (bytes.length === 0) return null;
  rows.at(bytes.length < 2 ? 0 : bytes.lastIndexOf(10, bytes.length - 2) + 1);
  const texts = rows.texts(0);
  rows.rewind();
  return texts;
}

function rowAt(rows: CopyRows, row: number, version: bigint): PageRow {
  rows.at(row);
  return { row: rows.texts(pagePrefix), txId: rows.text(0), version };
}
