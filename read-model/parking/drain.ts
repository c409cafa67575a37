import { writeChanges, type TargetModel } from '../apply/write-changes.ts';
import type { Change } from '../decode/change.ts';
import type { Database } from '../database.ts';
import { decodeEvents } from '../decode/decode-batch.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { completeMoved, keepMovedRow } from './moved-rows.ts';
import {
  eventsOfQueue,
  holdPartition,
  queuesAwaiting,
  resolveEvents,
  restateCause,
  type ParkedEvent,
  type Queue,
} from './parked-events.ts';
import { isPoison, toPoison, type Poison } from './poison.ts';
import { attempt } from './savepoint.ts';

/** How far a queue was drained: `stoppedBy` is the event that still cannot be applied, with its cause of now; null when none is left. */
export type Drained = { readonly applied: number; readonly stoppedBy: ParkedEvent | null };

/**
 * Applies the events of a queue in their order, inside the caller's transaction, up to the first that still fails. Live events of the
 * partition wait meanwhile: the key is live again when its queue is empty, and the database decides that.
 */
export async function drainQueue(client: Database, model: TargetModel, mirror: Mirror, queue: Queue): Promise<Drained> {
  await holdPartition(client, queue);
  let applied = 0;
  for (;;) {
    const events = await eventsOfQueue(client, queue);
    if (events.length === 0) return { applied, stoppedBy: null };
    await model.decoder.prepare(events.map(({ message }) => message));
    for (const event of events) {
      const failure = await applyOne(client, model, mirror, event);
      if (failure !== null) {
        await restateCause(client, event.id, failure);
        return { applied, stoppedBy: { ...event, ...failure } };
      }
      applied += 1;
    }
  }
}

async function applyOne(client: Database, model: TargetModel, mirror: Mirror, event: ParkedEvent): Promise<Poison | null> {
  const { topic, partition, message } = event;
  const { changes, poisoned } = decodeEvents(model.decoder, mirror, { topic, partition }, [message]).events;
  const [change] = changes;
  if (change === undefined) return poisoned.get(message.offset) ?? toPoison(new TypeError('it was not decoded'));
  const ready = await prepare(client, mirror, change);
  if ('code' in ready) return ready;
  const failure = await attempt(client, () => writeChanges(client, model, [{ mirror, partition, changes: [ready.change] }]));
  if (failure !== null) {
    if (isPoison(failure.error)) return toPoison(failure.error);
    throw failure.error;
  }
  await resolveEvents(client, [event.id], 'applied');
  // Another key's event may have waited for this one.
  for (const queue of ready.moved === null ? [] : await queuesAwaiting(client, [ready.moved])) {
    if (queue.topic === topic) await drainQueue(client, model, mirror, queue);
  }
  return null;
}

async function prepare(
  client: Database,
  mirror: Mirror,
  change: Change,
): Promise<Poison | { readonly change: Change; readonly moved: string | null }> {
  if (change.kind === 'delete' && change.moves !== undefined) {
    return { change, moved: await keepMovedRow(client, mirror, change, change.moves.lsn) };
  }
  if (change.kind !== 'upsert') return { change, moved: null };
  const completed = await completeMoved(client, mirror, change);
  return 'code' in completed ? completed : { change: completed, moved: null };
}
