import { CdcError, describeError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { writeChanges, StaleMirrorError, type TargetModel } from './write-changes.ts';
import { commitBatches } from './commit-batches.ts';
import { nameOf, StalePositionError } from './positions.ts';
import { upTo, type PartitionBatch } from './partition-batch.ts';
import { inapplicable } from '../decode/change-reader.ts';
import { createCopyTrials } from '../mirrors/copy-trials.ts';
import { inTransaction } from '../database.ts';
import { takeGroup } from './group.ts';
import { firstFailing } from './first-failing.ts';
import { pruneMovedRows } from '../parking/moved-rows.ts';
import { isPoison } from '../parking/poison.ts';
import { waitBefore } from '../faults/halt-reason.ts';
import { HaltedTableError, recordHalt } from '../faults/halts.ts';
import { MismatchError, type Mismatch } from '../mirrors/mismatch.ts';
import { isRetryable, retrying } from '../retry.ts';
import { analyzeUnknown } from '../mirrors/statistics.ts';

/**
 * Applied (or parked); or nothing was: `stale`, somebody else holds or has moved one of the partitions; `outdated`, a mirror has other
 * columns than the events were decoded for, or its table halts elsewhere. With `halted`, what comes before that event was applied.
 */
export type ApplyOutcome = 'applied' | 'stale' | 'outdated' | { readonly halted: Mismatch };

export type BatchScheduler = {
  /**
   * Applies batches of different partitions in one transaction, exactly once or not at all. What waits at the same time may go into the
   * same one.
   *
   * @throws CdcError READ_MODEL_EVENT_INAPPLICABLE naming the event, READ_MODEL_PARKED_FULL; the signal's reason when aborted before
   *   anything was applied
   */
  submit(...batches: readonly PartitionBatch[]): Promise<ApplyOutcome>;
};

/** Two at a time: while one is planned, logged and committed, the server is busy with the other; a third found no idle core in trials. */
const transactionsAtOnce = 2;

/** Some seconds of them. */
const triesBeforeRecorded = 6;

type Submission = { readonly batches: readonly PartitionBatch[]; readonly result: PromiseWithResolvers<ApplyOutcome> };

/** Batches are pruned from the log beyond so many, looked at after every so many transactions. */
const logBatchesKept = 100_000;
const pruneEvery = 1000;

/**
 * Applies the batches of all partitions of one model, two transactions at a time: while these are on their way, the
 * next gathers. Waits out a database that is away; the partitions meanwhile wait in `submit`.
 */
export function createBatchScheduler(pool: Pool, schema: TargetModel, logger: Logger, signal: AbortSignal): BatchScheduler {
  const onFault = (error: CdcError): void => logger.error({ err: error, code: error.code }, 'a view halts: its rows stay as they are');
  const model: TargetModel = { copyTrials: createCopyTrials(), onFault, ...schema };
  const queue: Submission[] = [];
  /** Loops that take from the queue, and those of them that are at a transaction. */
  let running = 0;
  let applying = 0;
  let transactions = 0;

  const run = async (): Promise<void> => {
    while (queue.length > 0) {
      const group = takeGroup(queue, transactionsAtOnce - applying);
      applying += 1;
      await applyGroup(group);
      applying -= 1;
      transactions += 1;
      if (isPowerOfTwo(transactions)) await analyzeUnknown(pool, model.schema).catch(() => undefined);
      if (transactions % pruneEvery === 0) await prune(pool, model.schema).catch(() => undefined);
    }
    running -= 1;
  };

  const applyGroup = async (group: readonly Submission[], parkFailing = false): Promise<void> => {
    const batches = group.flatMap((waiting) => waiting.batches);
    try {
      await retrying(
        `applying to ${model.schema}`,
        logger,
        signal,
        () => commitBatches(pool, model, batches, { parkFailing }),
        onRetry(batches),
      );
      for (const { result } of group) result.resolve('applied');
    } catch (error) {
      if (error instanceof StalePositionError) {
        await settle(group, 'stale', (batch) => error.stale.some((one) => nameOf(one) === nameOf(batch)));
      } else if (error instanceof StaleMirrorError) {
        await settle(
          group,
          'outdated',
          ({ mirror }) => (error.versions.get(mirror.table) ?? mirror.columnsVersion) !== mirror.columnsVersion,
        );
      } else if (error instanceof HaltedTableError) {
        await settle(group, 'outdated', ({ topic }) => error.topics.has(topic));
      } else if (error instanceof MismatchError) {
        await halt(group, error.mismatch);
      } else if (group.length > 1 && !signal.aborted) {
        // One of them fails: the others must not wait for it.
        for (const one of group) await applyGroup([one]);
      } else if (model.parkMost !== undefined && !parkFailing && isPoison(error) && !signal.aborted) {
        await applyGroup(group, true);
      } else {
        for (const { result } of group) result.reject(signal.aborted ? error : await explain(pool, model, batches, error));
      }
    }
  };

  /** A failure that passes, and has not after some tries, shows in the status. What is applied after all is past it. */
  const onRetry =
    (batches: readonly PartitionBatch[]) =>
    (error: unknown, attempt: number): void => {
      if (attempt === triesBeforeRecorded) void recordWaits(pool, model.schema, batches, error);
    };

  /** Some of the group cannot be applied any more, as `outcome` says; the others go on. */
  const settle = async (group: readonly Submission[], outcome: ApplyOutcome, is: (batch: PartitionBatch) => boolean): Promise<void> => {
    const [over, others] = partition(group, ({ batches }) => batches.some(is));
    for (const { result } of over) result.resolve(outcome);
    if (others.length > 0) await applyGroup(others);
  };

  /** One event does not fit its mirror: what comes before it in its partition is applied. Other partitions of one submission cannot go on alone. */
  const halt = async (group: readonly Submission[], mismatch: Mismatch): Promise<void> => {
    for (const one of group) {
      const [batch, ...more] = one.batches;
      if (batch === undefined || more.length > 0) {
        one.result.reject(mismatch.error);
        continue;
      }
      const before = upTo(batch, mismatch.offset);
      if (before.nextOffset > before.expectedOffset) {
        const result = Promise.withResolvers<ApplyOutcome>();
        await applyGroup([{ batches: [before], result }], true);
        const outcome = await result.promise.catch((error: unknown) => {
          one.result.reject(error);
          return null;
        });
        if (outcome === null) continue;
        if (outcome !== 'applied') {
          one.result.resolve(outcome);
          continue;
        }
      }
      one.result.resolve({ halted: mismatch });
    }
  };

  return {
    submit(...batches) {
      const result = Promise.withResolvers<ApplyOutcome>();
      queue.push({ batches, result });
      // In the next turn, so that partitions that were fetched together are applied together.
      if (running < transactionsAtOnce) {
        running += 1;
        setImmediate(() => void run());
      }
      return result.promise;
    },
  };
}

/** A failure to record is ignored: the database may be what is waited for. */
async function recordWaits(pool: Pool, schema: string, batches: readonly PartitionBatch[], error: unknown): Promise<void> {
  for (const batch of batches) {
    if (batch.messages.length > 0) await recordHalt(pool, schema, waitBefore(batch, batch.expectedOffset, error)).catch(() => undefined);
  }
}

/** The error that names the event which batches fail on, found by trying shorter runs of them and rolling these back. */
async function explain(pool: Pool, model: TargetModel, batches: readonly PartitionBatch[], error: unknown): Promise<unknown> {
  const items = batches.flatMap((batch) => batch.changes.map((change) => ({ batch, change })));
  if (error instanceof CdcError || isRetryable(error) || items.length === 0) return error;
  const fails = async (count: number): Promise<boolean> => {
    const rollback = new Error('rolled back on purpose');
    const tried = Map.groupBy(items.slice(0, count), ({ batch }) => batch);
    try {
      await inTransaction(pool, model.schema, async (client) => {
        const runs = [...tried].map(([batch, some]) => ({ ...batch, changes: some.map(({ change }) => change) }));
        await writeChanges(client, model, runs);
        throw rollback;
      });
      return false;
    } catch (thrown) {
      return thrown !== rollback;
    }
  };
  const index = await firstFailing(items.length, fails).catch(() => null);
  const culprit = index === null ? undefined : items[index];
  if (culprit === undefined) return error;
  const { batch, change } = culprit;
  const place = { topic: batch.topic, partition: batch.partition, offset: String(change.offset) };
  return inapplicable(place, change.kind === 'truncate' ? null : change.key, describeError(error), error);
}

/** Between two looks a table that is being filled has at most doubled. */
function isPowerOfTwo(count: number): boolean {
  return Number.isInteger(Math.log2(count));
}

async function prune(pool: Pool, schema: string): Promise<void> {
  await inTransaction(pool, schema, async (client) => {
    await client.query('DELETE FROM apply_log WHERE id <= (SELECT max(id) FROM apply_log) - $1::bigint', [logBatchesKept]);
    await client.query(`DELETE FROM parked_events WHERE state <> 'parked' AND id <= (SELECT max(id) FROM parked_events) - $1::bigint`, [
      logBatchesKept,
    ]);
    await pruneMovedRows(client);
  });
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
