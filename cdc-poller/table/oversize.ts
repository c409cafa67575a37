import type { EncodedRecords, OutgoingMessage } from '#kafka/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import type { TablePublisher } from './table-publisher.ts';

/**
 * Rows whose event is larger than their topic takes. The broker says so only when it is sent one, compressed, and with it refuses the whole request
 * and so the transaction, and the producer's sequence numbers. So the table is taken over again, as after a crash, and the pass goes on from its last
 * commit in smaller and smaller requests, until the row is found; then it is left out. Nothing else is lost, and nothing is published
 * twice, because nothing of it had been committed. A row that is too large costs two or three such takeovers: some seconds at most.
 */
export type Oversize = {
  readonly action: 'fail' | 'skip' | 'dead-letter';
  /** `schema.table` */
  readonly table: string;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly logger: Logger;
  /** Most bytes that are sent together; null until one was refused. */
  chunkBytes: number | null;
  /** Row versions that are known to be too large. */
  readonly found: Set<string>;
};

/** An event with its row version. */
export type VersionedMessage = OutgoingMessage & {
  /** The row's key as JSON, whatever the format of `key`. */
  readonly partitionKey: string;
  readonly value: string | Buffer;
  readonly valueBytes: number;
  readonly version: string;
};

export function createOversize(options: Omit<Oversize, 'chunkBytes' | 'found'>): Oversize {
  return { ...options, chunkBytes: null, found: new Set() };
}

/**
 * Adds a page's events to the transaction, rows that are known to be too large as dead letters or not at all.
 *
 * @throws EventRefused when the table is to be taken over again
 */
export async function sendPage(publisher: TablePublisher, messages: readonly VersionedMessage[], oversize: Oversize): Promise<void> {
  const fit = oversize.found.size === 0 ? messages : messages.filter((message) => !oversize.found.has(nameOf(message)));
  for (const chunk of cut(fit, oversize.chunkBytes)) {
    try {
      await publisher.send(chunk);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      learn(oversize, chunk, error);
      throw new EventRefused();
    }
  }
  if (fit.length === messages.length) return;
  const letters = messages.filter((message) => oversize.found.has(nameOf(message)));
  for (const letter of letters) report(oversize, letter);
  if (oversize.action !== 'fail')
    publisher.leaveOut({ action: oversize.action, rows: letters.map(({ partitionKey: key, valueBytes: bytes }) => ({ key, bytes })) });
  if (oversize.action === 'dead-letter')
    await publisher.send(
      letters.map((letter) => deadLetter(oversize, letter)),
      oversize.deadLetterTopic,
    );
}

/**
 * Adds a page's events that are records already; only while nothing is known to be too large.
 *
 * @param largest the bytes of the largest value among them
 * @throws EventRefused when the table is to be taken over again; its rows are then read the plain way until the large one is found
 */
export async function sendPageRecords(
  publisher: TablePublisher,
  batches: readonly EncodedRecords[],
  keys: readonly string[],
  largest: number,
  oversize: Oversize,
): Promise<void> {
  try {
    await publisher.sendRecords(batches, keys);
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    // As for messages: next time the largest goes alone.
    oversize.chunkBytes = largest - 1;
    throw new EventRefused();
  }
}

/** The broker refused a request by its size: what was read since the last commit is to be read again, by a new publisher. */
export class EventRefused extends Error {
  override readonly name = 'EventRefused';

  constructor() {
    super('the broker refused a request by its size');
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof CdcError && error.code === 'KAFKA_MESSAGE_TOO_LARGE';
}

/** @throws CdcError KAFKA_MESSAGE_TOO_LARGE naming table and key, where that is what was asked for */
function learn(oversize: Oversize, chunk: readonly VersionedMessage[], cause: unknown): void {
  const [only] = chunk;
  if (chunk.length > 1 || only === undefined) {
    // The largest is the likeliest: next time it goes alone. Was it not, the topic takes less than the chunk together.
    oversize.chunkBytes =
      oversize.chunkBytes === null ? Math.max(...chunk.map(({ valueBytes }) => valueBytes)) - 1 : Math.floor(oversize.chunkBytes / 8);
    return;
  }
  if (oversize.action === 'fail') {
    throw new CdcError(
      'KAFKA_MESSAGE_TOO_LARGE',
      `the event of row ${only.partitionKey} of table ${oversize.table} has ${only.valueBytes} bytes, more than topic ${oversize.topic} takes`,
      { cause },
    );
  }
  oversize.found.add(nameOf(only));
}

function report({ logger, action, topic, deadLetterTopic }: Oversize, letter: VersionedMessage): void {
  const fields = { code: 'KAFKA_MESSAGE_TOO_LARGE', key: letter.partitionKey, bytes: letter.valueBytes, topic };
  if (action === 'skip') logger.warn(fields, 'a row was left out: its event is larger than the topic takes');
  else logger.warn({ ...fields, deadLetterTopic }, 'a row became a dead letter: its event is larger than the topic takes');
}

/** Says which row is missing and why; the row itself is what does not fit. Always JSON: it is of no table, and has no schema. */
function deadLetter({ table, topic }: Oversize, message: VersionedMessage): OutgoingMessage {
  const rowKey = `"table":${JSON.stringify(table)},"key":${message.partitionKey}`;
  const cause = '"cause":"KAFKA_MESSAGE_TOO_LARGE"';
  return {
    key: `{${rowKey}}`,
    value: `{${rowKey},"topic":${JSON.stringify(topic)},${cause},"bytes":${message.valueBytes},"version":${JSON.stringify(message.version)},"ts_ms":${Date.now()}}`,
  };
}

function nameOf({ partitionKey, version }: VersionedMessage): string {
  return `${partitionKey}@${version}`;
}

/** Consecutive messages of at most `bytes` together; a larger one alone. */
function cut(messages: readonly VersionedMessage[], bytes: number | null): readonly (readonly VersionedMessage[])[] {
  if (bytes === null) return messages.length === 0 ? [] : [messages];
  const chunks: VersionedMessage[][] = [];
  let room = 0;
  for (const message of messages) {
    const size = message.valueBytes;
    if (size > room) {
      chunks.push([]);
      room = bytes;
    }
    chunks.at(-1)?.push(message);
    room -= size;
  }
  return chunks;
}
