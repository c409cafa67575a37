import type { Message } from 'kafkajs';
import { sealBatch, type RecordBody } from '../../write/record-batch.ts';
import { builtOtherwise, patchProtocol } from './internals.ts';

/**
 * kafkajs writes records itself, each into a zeroed buffer of its own, which is two fifths of a load's CPU. Here its produce requests carry batches that are
 * written already. kafkajs counts a partition's messages for its sequence numbers and otherwise only hands them on to the request: so a batch comes to it as that
 * many placeholders, all the same one, and the request is written from what the first of them holds.
 */
type Packed = Message & { readonly partition: number; readonly body: RecordBody };

/** What kafkajs is given in place of the batch's messages. */
export function placeholders(partition: number, body: RecordBody): Packed[] {
  const one: Packed = { key: null, value: null, partition, body };
  return Array.from({ length: body.count }, () => one);
}

type Question = {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  /** A Long. */
  readonly producerId?: { toString(): string };
  readonly producerEpoch?: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly firstSequence?: number; readonly messages: readonly unknown[] }[];
  }[];
};

/** What kafkajs takes for one of its encoders: the written bytes. */
type Written = { readonly buf: Buffer; readonly buffer: Buffer };

type Exchange = { readonly request: { readonly encode: () => Promise<Written> } };

/** Of the requests that a transactional producer may send; they are all alike. */
const firstVersion = 3;

/** @throws Error when kafkajs is built otherwise */
export function patchProduce(): void {
  patchProtocol<Question, Exchange>('produce', (ask, version) => (question) => {
    const exchange = ask(question);
    if (version < firstVersion || !isPacked(question)) return exchange;
    return { ...exchange, request: { ...exchange.request, encode: async () => written(question) } };
  });
}

function isPacked({ topicData }: Question): boolean {
  const batches = topicData.flatMap(({ partitions }) => partitions);
  const packed = batches.filter(({ messages }) => bodyOf(messages) !== null);
  if (packed.length > 0 && packed.length < batches.length) throw builtOtherwise('produce requests');
  return packed.length > 0;
}

function bodyOf([first]: readonly unknown[]): RecordBody | null {
  return isPlaceholder(first) ? first.body : null;
}

function isPlaceholder(message: unknown): message is Packed {
  return typeof message === 'object' && message !== null && 'body' in message;
}

/** Version 3 and up to 7: transactional id, acks, timeout, then by topic and partition a batch. */
function written({ acks, timeout, transactionalId, producerId, producerEpoch = 0, topicData }: Question): Written {
  const pieces: Buffer[] = [];
  const text = (value: string): number => pieces.push(int16(Buffer.byteLength(value)), Buffer.from(value));
  if (transactionalId === null || transactionalId === undefined || producerId === undefined) throw builtOtherwise('produce requests');
  text(transactionalId);
  pieces.push(int16(acks), int32(timeout), int32(topicData.length));
  for (const { topic, partitions } of topicData) {
    text(topic);
    pieces.push(int32(partitions.length));
    for (const { partition, firstSequence = 0, messages } of partitions) {
      const body = bodyOf(messages);
      if (body === null || body.count !== messages.length) throw builtOtherwise('produce requests');
      const batch = sealBatch(body, { producerId: BigInt(producerId.toString()), producerEpoch, firstSequence });
      pieces.push(int32(partition), int32(batch.length), batch);
    }
  }
  const buffer = Buffer.concat(pieces);
  return { buf: buffer, buffer };
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
