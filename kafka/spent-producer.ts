import type { KafkaTransaction, TransactionalProducer } from './port.ts';

/**
 * A producer that does nothing any more after a failure but fail the same way. What it had sent may have reached the broker or not, and so its numbers of
 * batches may not be the broker's: a batch that it sent next could be taken for the one before, answered as if it were written, and be lost. Whoever goes
 * on takes the transactional id again, which begins to count again.
 */
export function spentAfterFailure(producer: TransactionalProducer): TransactionalProducer {
  let failure: { readonly error: unknown } | null = null;
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    if (failure !== null) throw failure.error;
    try {
      return await work();
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  };
  return {
    begin: (also) =>
      guarded(async (): Promise<KafkaTransaction> => {
        const transaction = await producer.begin(also);
        return {
          send: (topic, messages) => guarded(() => transaction.send(topic, messages)),
          sendRecords: (topic, batches) => guarded(() => transaction.sendRecords(topic, batches)),
          commit: () => guarded(() => transaction.commit()),
          abort: () => guarded(() => transaction.abort()),
        };
      }),
    partitionsOf: (topic) => guarded(() => producer.partitionsOf(topic)),
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  };
}
