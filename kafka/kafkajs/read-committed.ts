import { createRequire } from 'node:module';

/**
 * kafkajs 2.2.4 hands over messages of aborted transactions as if they were committed. It takes the broker's list of aborted transactions for
 * ordered by where they begin, and takes up one of them for each message; the broker lists them in the order in which they ended. So where
 * several producers write to one partition (the poller's positions), and several of their transactions are aborted at once (Kafka was away),
 * some count as committed: a position that passes rows whose events were aborted with it. kafkajs is no longer developed, or this would be a
 * change to it. What it decodes of a fetch is corrected in memory before it looks at it; that works whoever has imported kafkajs before.
 *
 * Technique: KafkaConsumer of Apache Kafka (CompletedFetch: begins in a queue by first offset, all taken up that are due).
 */
const fetchModule = 'kafkajs/src/protocol/requests/fetch';
const require = createRequire(import.meta.url);

/** What kafkajs has decoded of a record. */
export type FetchedRecord = {
  readonly offset: string;
  readonly key: Buffer | null;
  isControlRecord: boolean;
  /** Not of messages in the formats before transactions. */
  readonly batchContext?: { readonly producerId: string; readonly inTransaction: boolean };
};

/** What kafkajs has decoded of a partition; `abortedTransactions` is empty or null when what is uncommitted was asked for. */
export type FetchedPartition = {
  messages: FetchedRecord[];
  abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: string }[] | null;
};

const abortMarker = 0;

/**
 * Makes control records of the records of aborted transactions: those kafkajs leaves out by itself and moves on behind. Nothing is left in
 * `abortedTransactions` for its own filter.
 */
export function leaveOutAborted(partition: FetchedPartition): void {
  const begins = (partition.abortedTransactions ?? [])
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: BigInt(firstOffset) }))
    .toSorted((one, other) => Number(one.firstOffset - other.firstOffset));
  partition.abortedTransactions = [];
  if (begins.length === 0) return;
  const aborted = new Set<string>();
  for (const message of partition.messages) {
    const offset = BigInt(message.offset);
    // A producer's transactions follow one another: from the begin of an aborted one to its marker, all is aborted.
    for (let begin = begins[0]; begin !== undefined && begin.firstOffset <= offset; begin = begins[0]) {
      aborted.add(begin.producerId);
      begins.shift();
    }
    const { producerId, inTransaction } = message.batchContext ?? { producerId: '', inTransaction: false };
    if (!message.isControlRecord) message.isControlRecord = inTransaction && aborted.has(producerId);
    else if (message.key?.readInt16BE(2) === abortMarker) aborted.delete(producerId);
  }
}

type Response = { readonly decode: (raw: unknown) => Promise<unknown> };
type Exchange = { readonly response: Response };
type Protocol = (version: { readonly version: number }) => (question: unknown) => Exchange;

let mended = false;

/**
 * Mends the kafkajs of this process, once.
 *
 * @throws Error when it is built otherwise than version 2.2.4: better no reading than a wrong one
 */
export function mendReadCommitted(): void {
  if (mended) return;
  const fetch: unknown = require(fetchModule);
  if (!isFetchDefinition(fetch)) throw builtOtherwise();
  const { protocol } = fetch;
  fetch.protocol = (version) => {
    const ask = protocol(version);
    return (question) => {
      const exchange = ask(question);
      const { response } = exchange;
      return { ...exchange, response: { ...response, decode: async (raw) => withoutAborted(await response.decode(raw)) } };
    };
  };
  mended = true;
}

function withoutAborted(fetched: unknown): unknown {
  if (!isFetched(fetched)) throw builtOtherwise();
  for (const { partitions } of fetched.responses) for (const partition of partitions) leaveOutAborted(partition);
  return fetched;
}

function builtOtherwise(): Error {
  return new Error(
    'the installed kafkajs is not built as version 2.2.4 is, whose reading of transactions is mended here: install that version',
  );
}

function isFetchDefinition(value: unknown): value is { protocol: Protocol } {
  return typeof value === 'object' && value !== null && 'protocol' in value && typeof value.protocol === 'function';
}

function isFetched(value: unknown): value is { readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] } {
  return typeof value === 'object' && value !== null && 'responses' in value && Array.isArray(value.responses);
}
