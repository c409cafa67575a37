import type { ConsumedMessage } from '#kafka/index.ts';
import { describeError } from '#pipeline/index.ts';
import type { PartitionBatch } from './partition-batch.ts';
import { writeChanges, type TargetModel } from './write-changes.ts';
import type { Change } from '../decode/change.ts';
import type { Database } from '../database.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { completeMoved, keepMovedRow } from '../parking/moved-rows.ts';
import { openQueues, parkEvents, queueName, queuesAwaiting, type Parking, type Queue } from '../parking/parked-events.ts';
import { behindCode, isPoison, queuesOfKey, toPoison, type Poison } from '../parking/poison.ts';
import { drainQueue } from '../parking/drain.ts';
import { attempt } from '../parking/savepoint.ts';
import { isMismatch } from '../faults/classify.ts';
import { MismatchError, schemaChanged } from '../mirrors/mismatch.ts';

/** Events that only wait for another one are parked even where a failing one stops the model. */
const defaultParkMost = 10_000;

type Item = { readonly message: ConsumedMessage; readonly change: Change };

/**
 * Applies the events of batches inside the caller's transaction, or parks those that cannot be applied or whose key has an open queue.
 * The usual case, where nothing is parked, is one run of {@link writeChanges}; anything else is walked through in order.
 */
export async function applyOrPark(
  client: Database,
  model: TargetModel,
  batches: readonly PartitionBatch[],
  parkFailing: boolean,
): Promise<readonly Parking[]> {
  const filled = batches.filter(({ messages }) => messages.length > 0);
  if (filled.length === 0) return [];
  const open = await openQueues(client, filled);
  if (!parkFailing && open.size === 0 && !filled.some(needsCare)) {
    await writeChanges(client, model, filled);
    return [];
  }
  const parked: Parking[] = [];
  const moved: string[] = [];
  const mirrors = new Map(filled.map(({ topic, mirror }) => [topic, mirror]));
  for (const batch of filled) await walk({ client, model, parkFailing, open, parked, moved }, batch);
  await parkEvents(client, model.schema, parked, model.parkMost ?? defaultParkMost);
  if (moved.length > 0) {
    for (const queue of await queuesAwaiting(client, moved)) {
      const mirror = mirrors.get(queue.topic);
      if (mirror !== undefined) await drainQueue(client, model, mirror, queue);
    }
  }
  return parked;
}

function needsCare({ changes, poisoned }: PartitionBatch): boolean {
  return poisoned.size > 0 || changes.some((change) => 'moves' in change || 'movedFrom' in change);
}

type Walk = {
  readonly client: Database;
  readonly model: TargetModel;
  readonly parkFailing: boolean;
  /** The queues that are open, those that this transaction opens included. */
  readonly open: Set<string>;
  readonly parked: Parking[];
  /** What rows that left have made known. */
  readonly moved: string[];
};

async function walk(context: Walk, batch: PartitionBatch): Promise<void> {
  const { client, open, moved } = context;
  const { topic, partition, mirror, messages, changes, poisoned } = batch;
  const byOffset = new Map(changes.map((change) => [change.offset, change]));
  const queuesOf = (message: ConsumedMessage): readonly Queue[] =>
    queuesOfKey(message.key, context.model.decoder).map((queue) => ({ topic, partition, queue }));
  const openQueueOf = (message: ConsumedMessage): Queue | undefined => queuesOf(message).find((queue) => open.has(queueName(queue)));
  const park = (message: ConsumedMessage, poison: Poison): void => {
    for (const queue of [openQueueOf(message) ?? queuesOf(message)[0] ?? []].flat()) {
      context.parked.push({ ...queue, message, poison });
      open.add(queueName(queue));
    }
  };
  /** Parks an event whose queue is open. */
  const queues = (message: ConsumedMessage): boolean => {
    if (openQueueOf(message) === undefined) return false;
    park(message, { code: behindCode, cause: 'an earlier event of its key is parked' });
    return true;
  };
  let run: Item[] = [];
  const flush = async (): Promise<void> => {
    await applyRun(context, batch, run, queues, park);
    run = [];
  };
  for (const message of messages) {
    if (queues(message)) continue;
    const change = byOffset.get(message.offset);
    if (change === undefined) {
      await flush();
      if (!queues(message)) park(message, poisoned.get(message.offset) ?? { code: 'EVENT_UNDECODABLE', cause: 'it was not decoded' });
    } else if (change.kind === 'upsert' && change.movedFrom !== undefined) {
      await flush();
      if (queues(message)) continue;
      const completed = await completeMoved(client, mirror, change);
      if ('code' in completed) park(message, completed);
      else run.push({ message, change: completed });
    } else if (change.kind === 'delete' && change.moves !== undefined) {
      await flush();
      if (queues(message)) continue;
      moved.push(await keepMovedRow(client, mirror, change, change.moves.lsn));
      run.push({ message, change });
    } else run.push({ message, change });
  }
  await flush();
}

/**
 * Applies a run of events. When it fails on the data and the culprits are to be found, its halves are applied one after the other, down to
 * the single event that fails, which is parked; what follows it in its queue is parked behind it.
 *
 * @throws MismatchError when that event shows that the source's table has changed, and such events stop their table
 */
async function applyRun(
  context: Walk,
  place: { readonly topic: string; readonly mirror: Mirror; readonly partition: number },
  items: readonly Item[],
  queues: (message: ConsumedMessage) => boolean,
  park: (message: ConsumedMessage, poison: Poison) => void,
): Promise<void> {
  const { client, model, parkFailing } = context;
  const live = items.filter(({ message }) => !queues(message));
  if (live.length === 0) return;
  const apply = (): Promise<void> => writeChanges(client, model, [{ ...place, changes: live.map(({ change }) => change) }]);
  if (!parkFailing) return apply();
  const failure = await attempt(client, apply);
  if (failure === null) return;
  if (!isPoison(failure.error)) throw failure.error;
  const [only] = live;
  if (live.length === 1 && only !== undefined) {
    if (model.mismatches === 'halt' && isMismatch(failure.error)) throw mismatchOf(place, only.message.offset, failure.error);
    return park(only.message, toPoison(failure.error));
  }
  const middle = Math.ceil(live.length / 2);
  await applyRun(context, place, live.slice(0, middle), queues, park);
  await applyRun(context, place, live.slice(middle), queues, park);
}

function mismatchOf(
  { topic, mirror, partition }: { readonly topic: string; readonly mirror: Mirror; readonly partition: number },
  offset: bigint,
  error: unknown,
): MismatchError {
  const place = { topic, partition, offset: String(offset) };
  return new MismatchError({ topic, partition, offset, error: schemaChanged(mirror, place, describeError(error), error) });
}
