import type { fetchV12, KafkaRecord, RecordsBatch } from '@platformatic/kafka';
import type { ConsumedMessage } from '../port.ts';

/** What a fetch brought of one partition. */
export type Run = { readonly messages: readonly ConsumedMessage[]; readonly nextOffset: bigint };

const logAppendTime = 8;
const transactional = 16;
const control = 32;
const abortMarker = 0;
/** One for all: messages live until their events are applied. */
const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

/**
 * The messages of a fetched partition from `from` on, without control records and, unless everything is wanted, without those of aborted
 * transactions. (The library's own filter keeps an aborted transaction's records when its marker comes with a later fetch.) Pure.
 */
export function committedRun(
  { records, abortedTransactions }: fetchV12.FetchResponsePartition,
  from: bigint,
  readUncommitted: boolean,
): Run {
  const messages: ConsumedMessage[] = [];
  const begins = readUncommitted ? [] : (abortedTransactions ?? []).toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const aborted = new Set<bigint>();
  let nextOffset = from;
  for (const batch of records ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    if (last >= nextOffset) nextOffset = last + 1n;
    // A producer's transactions follow one another: from the begin of an aborted one to its marker, all is aborted.
    for (let begin = begins[0]; begin !== undefined && begin.firstOffset <= last; begin = begins[0]) {
      aborted.add(begin.producerId);
      begins.shift();
    }
    if ((batch.attributes & control) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(2) === abortMarker) aborted.delete(batch.producerId);
      continue;
    }
    if ((batch.attributes & transactional) !== 0 && aborted.has(batch.producerId)) continue;
    for (const record of batch.records) {
      const message = toMessage(batch, record);
      // A fetch brings whole batches, also when it begins in the middle of one.
      if (message.offset >= from) messages.push(message);
    }
  }
  return { messages, nextOffset };
}

function toMessage(batch: RecordsBatch, { offsetDelta, timestampDelta, key, value, headers }: KafkaRecord): ConsumedMessage {
  const isAppendTime = (batch.attributes & logAppendTime) !== 0;
  return {
    offset: batch.firstOffset + BigInt(offsetDelta),
    key: key ?? null,
    value: value ?? null,
    timestamp: Number(isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta),
    headers: headers.length === 0 ? noHeaders : Object.fromEntries(headers.map(([name, text]) => [String(name), String(text)])),
  };
}
