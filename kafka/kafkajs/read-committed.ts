import { builtOtherwise, mendProtocol } from './internals.ts';

/**
 * kafkajs 2.2.4 hands over messages of aborted transactions as if they were committed. It takes the broker's list of aborted transactions for
 * ordered by where they begin, and takes up one of them for each message; the broker lists them in the order in which they ended. So where
 * several producers write to one partition (the poller's positions), and several of their transactions are aborted at once (Kafka was away),
 * some count as committed: a position that passes rows whose events were aborted with it. What it decodes of a fetch is corrected before it
 * looks at it.
 *
 * Technique: KafkaConsumer of Apache Kafka (CompletedFetch: begins in a queue by first offset, all taken up that are due).
 */

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

type Exchange = { readonly response: { readonly decode: (raw: unknown) => Promise<unknown> } };

/** @throws Error when kafkajs is built otherwise */
export function mendReadCommitted(): void {
  mendProtocol<unknown, Exchange>('fetch', (ask) => (question) => {
    const exchange = ask(question);
    const { response } = exchange;
    return { ...exchange, response: { ...response, decode: async (raw) => withoutAborted(await response.decode(raw)) } };
  });
}

function withoutAborted(fetched: unknown): unknown {
  if (!isFetched(fetched)) throw builtOtherwise('fetched records');
  for (const { partitions } of fetched.responses) for (const partition of partitions) leaveOutAborted(partition);
  return fetched;
}

function isFetched(value: unknown): value is { readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] } {
  return typeof value === 'object' && value !== null && 'responses' in value && Array.isArray(value.responses);
}
