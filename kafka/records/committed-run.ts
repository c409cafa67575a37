import { CdcError, describeError } from '#pipeline/index.ts';
import type { ConsumedMessage, UnreadableBatch } from '../port.ts';
import { readRecords } from './read-records.ts';
import { batchesOf, currentMagic, isSound, type RecordBatch } from './record-batch.ts';
import { TooLargeError } from './too-large.ts';
import { codecs, unpack } from './unpack.ts';

/** What a fetch brought of one partition. */
export type Run = {
  readonly messages: readonly ConsumedMessage[];
  readonly nextOffset: bigint;
  /** The batch that is first of all and cannot be read. */
  readonly unreadable: UnreadableBatch | null;
};

/** The bytes of a partition, as a broker answers a fetch from `from`. */
export type FetchedBytes = {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  readonly bytes: Buffer;
  /** In whatever order; those of what is uncommitted are left out by the broker too. */
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[];
};

/** What the batches of one fetch may unpack to: none is read any more once so many bytes are. They come with a later fetch. */
export type Room = { readonly limit: number; taken: number };

const codecMask = 7;
const logAppendTime = 8;
const transactional = 16;
const control = 32;
const abortMarker = 0;

/**
 * The messages of a fetched partition from `from` on, without control records and those of aborted transactions, up to the first batch that cannot
 * be read. (kafkajs takes up the list of aborted transactions wrongly, @platformatic/kafka forgets one whose marker comes with a later fetch; neither
 * looks at checksums or bounds what a batch unpacks to.)
 *
 * Technique of the transactions: KafkaConsumer of Apache Kafka (CompletedFetch: begins in a queue by first offset, all taken up that are due).
 */
export async function committedRun(fetched: FetchedBytes, room: Room): Promise<Run> {
  const { from, bytes } = fetched;
  const messages: ConsumedMessage[] = [];
  const begins = fetched.aborted.toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const aborted = new Set<bigint>();
  let nextOffset = from;
  for (const batch of batchesOf(bytes)) {
    const { firstOffset, lastOffset: last, attributes, producerId } = batch;
    if (room.taken > room.limit) break;
    // A producer's transactions follow one another: from the begin of an aborted one to its marker, all is aborted.
    for (let begin = begins[0]; begin !== undefined && begin.firstOffset <= last; begin = begins[0]) {
      aborted.add(begin.producerId);
      begins.shift();
    }
    const isControl = (attributes & control) !== 0;
    // Of a damaged batch nothing is certain.
    const isLeftOut = !isControl && isSound(batch) && (last < from || ((attributes & transactional) !== 0 && aborted.has(producerId)));
    if (!isLeftOut) {
      const records = await recordsOf(batch, room).catch((error: unknown) => unreadable(fetched, batch, room.limit, error));
      if (!isRead(records)) return { messages, nextOffset, unreadable: messages.length > 0 || nextOffset > from ? null : records };
      // A fetch brings whole batches, also when it begins in the middle of one.
      if (!isControl) messages.push(...(firstOffset < from ? records.filter(({ offset }) => offset >= from) : records));
      else if (isAbortMarker(records[0])) aborted.delete(producerId);
    }
    if (last >= nextOffset) nextOffset = last + 1n;
  }
  return { messages, nextOffset, unreadable: null };
}

function isAbortMarker(record: ConsumedMessage | undefined): boolean {
  const key = record?.key ?? null;
  return key !== null && key.length >= 4 && key.readInt16BE(2) === abortMarker;
}

function isRead(records: readonly ConsumedMessage[] | UnreadableBatch): records is readonly ConsumedMessage[] {
  return Array.isArray(records);
}

async function recordsOf(batch: RecordBatch, room: Room): Promise<readonly ConsumedMessage[]> {
  const { magic, attributes, firstOffset, firstTimestamp, maxTimestamp, packed, count } = batch;
  if (magic !== currentMagic) throw new Error(`it has the message format ${magic}, of before Kafka 0.11`);
  if (!isSound(batch)) throw new Error('its checksum is not that of its bytes');
  const codec = attributes & codecMask;
  if (packed.length > room.limit) throw new TooLargeError();
  const bytes = codec === codecs.none ? packed : await unpack(codec, packed, room.limit);
  room.taken += bytes.length;
  const appendTime = (attributes & logAppendTime) === 0 ? null : maxTimestamp;
  return readRecords(bytes, count, { offset: Number(firstOffset), timestamp: firstTimestamp, appendTime });
}

function unreadable(
  { topic, partition, from }: FetchedBytes,
  { firstOffset, lastOffset }: RecordBatch,
  limit: number,
  error: unknown,
): UnreadableBatch {
  const offset = firstOffset > from ? firstOffset : from;
  const nextOffset = (lastOffset > offset ? lastOffset : offset) + 1n;
  const place = `topic ${topic}, partition ${partition}, offsets ${offset} to ${nextOffset - 1n}`;
  const described =
    error instanceof TooLargeError
      ? new CdcError('KAFKA_BATCH_TOO_LARGE', `${place}: a batch of records takes more than ${limit / 2 ** 20} MiB (kafka.maxBatchMb)`)
      : new CdcError('KAFKA_BATCH_UNREADABLE', `${place}: a batch of records cannot be read: ${describeError(error)}`, { cause: error });
  return { topic, partition, offset, nextOffset, fetchedFrom: from, error: described };
}
