import type { ConsumedMessage, UnreadableBatch } from '../../port.ts';
import { committedRun, type Room, type Run } from '../../records/committed-run.ts';
import { builtOtherwise, patchProtocol } from './internals.ts';

/**
 * kafkajs 2.2.4 unpacks whatever comes in a fetch, however large that gets, knows two of Kafka's codecs, and ends a fetch of all partitions by one batch that it cannot
 * read; it looks at no checksum, and hands over messages of aborted transactions as if they were committed: it takes the broker's list of these for
 * ordered by where they begin. So what a broker answers to a fetch is read here. kafkajs gets records that are read already, with a mark where the
 * run ends: it moves on by them.
 */

/** A record as kafkajs knows one: it asks for no more than this. */
export class ReadRecord {
  /** What a consumer is to get of it; null of what only says where kafkajs is to go on. */
  readonly message: ConsumedMessage | null;
  readonly offset: string;
  /** kafkajs leaves such records out. */
  readonly isControlRecord: boolean;

  constructor(offset: bigint, message: ConsumedMessage | null) {
    this.message = message;
    this.offset = String(offset);
    this.isControlRecord = message === null;
  }
}

/** The placeholder of a batch that cannot be read, at its offset. */
export class UnreadableRecord {
  readonly unreadable: UnreadableBatch;
  readonly offset: string;
  readonly isControlRecord = false;

  constructor(unreadable: UnreadableBatch) {
    this.unreadable = unreadable;
    this.offset = String(unreadable.offset);
  }
}

type FetchQuestion = {
  readonly isolationLevel?: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string | number }[];
  }[];
};

type Exchange = { readonly response: { readonly decode: (raw: unknown) => Promise<unknown> } };

/** What kafkajs makes its batches of. */
type AnsweredPartition = {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly lastStableOffset: string;
  readonly abortedTransactions: readonly [];
  readonly preferredReadReplica: number;
  readonly messages: readonly (ReadRecord | UnreadableRecord)[];
};

/** Transactions, and this form of answer, came with version 4; kafkajs asks no broker of today for less. */
const firstVersion = 4;

let limit = 64 * 2 ** 20;

/**
 * @param maxBatchBytes what a batch may take unpacked, in every client of this process: kafkajs has one reader for all
 * @throws Error when kafkajs is built otherwise
 */
export function limitBatches(maxBatchBytes: number): void {
  limit = maxBatchBytes;
}

/** @throws Error when kafkajs is built otherwise */
export function patchFetch(): void {
  patchProtocol<FetchQuestion, Exchange>('fetch', (ask, version) => (question) => {
    const exchange = ask(question);
    if (version < firstVersion) return exchange;
    const { response } = exchange;
    const decode = async (raw: unknown): Promise<unknown> => {
      if (!Buffer.isBuffer(raw)) throw builtOtherwise('fetched records');
      return await readAnswer(raw, version, question, { limit, taken: 0 });
    };
    return { ...exchange, response: { ...response, decode } };
  });
}

/** The answer to a fetch of version 4 to 11, its records read. */
async function readAnswer(raw: Buffer, version: number, question: FetchQuestion, room: Room): Promise<unknown> {
  const answer = new Answer(raw);
  const clientSideThrottleTime = answer.int32();
  const errorCode = version >= 7 ? answer.int16() : 0;
  const sessionId = version >= 7 ? answer.int32() : 0;
  const responses: { readonly topicName: string; readonly partitions: readonly AnsweredPartition[] }[] = [];
  for (let topics = answer.int32(); topics > 0; topics -= 1) {
    const topicName = answer.text();
    const asked = question.topics.filter(({ topic }) => topic === topicName).flatMap(({ partitions }) => partitions);
    const partitions: AnsweredPartition[] = [];
    for (let left = answer.int32(); left > 0; left -= 1) {
      const { bytes, aborted, ...partition } = readPartition(answer, version);
      const from = asked.find((place) => place.partition === partition.partition)?.fetchOffset;
      const run =
        from === undefined
          ? none
          : await committedRun({ topic: topicName, partition: partition.partition, from: BigInt(from), bytes, aborted }, room);
      // An answer without records means to kafkajs that the log ends here. Where the room was not enough, nothing is answered of the partition.
      if (bytes.length > 0 && run.nextOffset === BigInt(from ?? 0) && run.unreadable === null) continue;
      partitions.push({ ...partition, abortedTransactions: [], messages: recordsOf(run, bytes) });
    }
    responses.push({ topicName, partitions });
  }
  // kafkajs is to wait by itself where a broker asks for it.
  return { throttleTime: 0, clientSideThrottleTime, errorCode, sessionId, responses };
}

const none: Run = { messages: [], nextOffset: 0n, unreadable: null };

function recordsOf({ messages, nextOffset, unreadable }: Run, bytes: Buffer): readonly (ReadRecord | UnreadableRecord)[] {
  if (unreadable !== null) return [new UnreadableRecord(unreadable)];
  if (bytes.length === 0) return [];
  const records = messages.map((message) => new ReadRecord(message.offset, message));
  const last = nextOffset - 1n;
  return messages.at(-1)?.offset === last ? records : [...records, new ReadRecord(last, null)];
}

type Read = Omit<AnsweredPartition, 'abortedTransactions' | 'messages'> & {
  readonly bytes: Buffer;
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[];
};

function readPartition(answer: Answer, version: number): Read {
  const partition = answer.int32();
  const errorCode = answer.int16();
  const highWatermark = String(answer.int64());
  const lastStableOffset = String(answer.int64());
  // Where the log begins.
  if (version >= 5) answer.int64();
  const aborted: { producerId: bigint; firstOffset: bigint }[] = [];
  for (let left = answer.int32(); left > 0; left -= 1) aborted.push({ producerId: answer.int64(), firstOffset: answer.int64() });
  const preferredReadReplica = version >= 11 ? answer.int32() : -1;
  return { partition, errorCode, highWatermark, lastStableOffset, preferredReadReplica, aborted, bytes: answer.bytes() };
}

/** Reads the protocol's basic types, one behind the other. */
class Answer {
  readonly #raw: Buffer;
  #at = 0;

  constructor(raw: Buffer) {
    this.#raw = raw;
  }

  int16(): number {
    return this.#raw.readInt16BE(this.#past(2));
  }

  int32(): number {
    return this.#raw.readInt32BE(this.#past(4));
  }

  int64(): bigint {
    return this.#raw.readBigInt64BE(this.#past(8));
  }

  text(): string {
    return this.#taken(this.int16()).toString();
  }

  bytes(): Buffer {
    return this.#taken(this.int32());
  }

  #past(length: number): number {
    const at = this.#at;
    this.#at += length;
    return at;
  }

  /** Of null (-1) nothing. */
  #taken(length: number): Buffer {
    const at = this.#past(Math.max(0, length));
    return this.#raw.subarray(at, this.#at);
  }
}
