import { describeError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { applyBatches, applyChanges, StalePositionError, type ModelSchema, type PartitionBatch } from './apply-transaction.ts';
import { inapplicable } from './change.ts';
import { inTransaction } from './database.ts';
import { firstFailing } from './isolate.ts';
import { isRetryable, retrying } from './retry.ts';

/** Applied; or stale: somebody else holds or has moved the partition, and nothing was applied. */
export type ApplyOutcome = 'applied' | 'stale';

export type Applier = {
  /**
   * Applies a batch exactly once, or not at all. What waits at the same time goes into one transaction.
   *
   * @throws CdcError READ_MODEL_EVENT_INAPPLICABLE naming the event; the signal's reason when aborted before it was applied
   */
  submit(batch: PartitionBatch): Promise<ApplyOutcome>;
};

type Waiting = { readonly batch: PartitionBatch; readonly result: PromiseWithResolvers<ApplyOutcome> };

/** Batches share a transaction up to so many events: longer ones only make readers wait and memory grow. */
const eventsPerTransaction = 20_000;

/** Batches are pruned from the log beyond so many, looked at after every so many transactions. */
const logBatchesKept = 100_000;
const pruneEvery = 1000;

/**
 * Applies the batches of all partitions of one model, one transaction at a time: while one commits, the next gathers. Waits out a database
 * that is away; the partitions meanwhile wait in `submit`.
 */
export function createApplier(pool: Pool, model: ModelSchema, logger: Logger, signal: AbortSignal): Applier {
  const queue: Waiting[] = [];
  let running = false;
  let transactions = 0;

  const run = async (): Promise<void> => {
    running = true;
    while (queue.length > 0) {
      await applyGroup(takeGroup(queue));
      transactions += 1;
      if (transactions % pruneEvery === 0) await pruneLog(pool, model.schema).catch(() => undefined);
    }
    running = false;
  };

  const applyGroup = async (group: readonly Waiting[]): Promise<void> => {
    try {
      await retrying(`applying to ${model.schema}`, logger, signal, () =>
        applyBatches(
          pool,
          model,
          group.map(({ batch }) => batch),
        ),
      );
      for (const { result } of group) result.resolve('applied');
    } catch (error) {
      if (error instanceof StalePositionError) {
        const [stale, others] = partition(group, ({ batch }) => error.stale.includes(batch));
        for (const { result } of stale) result.resolve('stale');
        if (others.length > 0) await applyGroup(others);
      } else if (group.length > 1 && !signal.aborted) {
        // One of them fails: the others must not wait for it.
        for (const one of group) await applyGroup([one]);
      } else {
        for (const { batch, result } of group) result.reject(signal.aborted ? error : await explain(pool, model, batch, error));
      }
    }
  };

  return {
    submit(batch) {
      const result = Promise.withResolvers<ApplyOutcome>();
      queue.push({ batch, result });
      // In the next turn, so that partitions that were fetched together are applied together.
      if (!running) {
        running = true;
        setImmediate(() => void run());
      }
      return result.promise;
    },
  };
}

/** One batch of each partition (a second one only follows when the first is done), while they are within bounds; the first always. */
function takeGroup(queue: Waiting[]): Waiting[] {
  const seen = new Set<string>();
  let events = 0;
  const [group, rest] = partition(queue, ({ batch }) => {
    const place = `${batch.topic}/${batch.partition}`;
    if (seen.has(place) || (events > 0 && events + batch.changes.length > eventsPerTransaction)) return false;
    seen.add(place);
    events += batch.changes.length;
    return true;
  });
  queue.splice(0, queue.length, ...rest);
  return group;
}

/** The error that names the event which a batch fails on, found by trying shorter runs of it and rolling them back. */
async function explain(pool: Pool, model: ModelSchema, batch: PartitionBatch, error: unknown): Promise<unknown> {
  const { topic, partition: partitionNumber, changes } = batch;
  if (isRetryable(error) || changes.length === 0) return error;
  const fails = async (count: number): Promise<boolean> => {
    const rollback = new Error('rolled back on purpose');
    try {
      await inTransaction(pool, model.schema, async (client) => {
        await applyChanges(client, model, [{ ...batch, changes: changes.slice(0, count) }]);
        throw rollback;
      });
      return false;
    } catch (thrown) {
      return thrown !== rollback;
    }
  };
  const index = await firstFailing(changes.length, fails).catch(() => null);
  const change = index === null ? undefined : changes[index];
  if (change === undefined) return error;
  const place = { topic, partition: partitionNumber, offset: String(change.offset) };
  return inapplicable(place, change.kind === 'truncate' ? null : change.key, describeError(error), error);
}

async function pruneLog(pool: Pool, schema: string): Promise<void> {
  await inTransaction(pool, schema, (client) =>
    client.query('DELETE FROM apply_log WHERE id <= (SELECT max(id) FROM apply_log) - $1::bigint', [logBatchesKept]),
  );
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
