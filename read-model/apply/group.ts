import type { PartitionBatch } from './partition-batch.ts';

/** Batches that are to be applied together, or not at all. */
export type Waiting = { readonly batches: readonly Batch[] };

type Batch = Pick<PartitionBatch, 'topic' | 'partition' | 'messages'>;

/** Batches share a transaction up to so many events: longer ones only make readers wait and memory grow. */
const eventsMost = 20_000;
/** Fewer are not shared out: a transaction has its price. */
const eventsLeast = 2000;

/**
 * Takes from the queue what the next transaction applies: one batch of each partition (a second one only follows when the first is done),
 * within bounds; the first always. `idle` transactions could begin now, this one included: each is left its share.
 */
export function takeGroup<T extends Waiting>(queue: T[], idle: number): T[] {
  const waiting = queue.reduce((sum, { batches }) => sum + eventsOf(batches), 0);
  const most = Math.min(eventsMost, Math.max(eventsLeast, Math.ceil(waiting / idle)));
  const seen = new Set<string>();
  let events = 0;
  const group: T[] = [];
  const left: T[] = [];
  for (const one of queue) {
    const places = one.batches.map(({ topic, partition }) => `${topic}/${partition}`);
    const more = eventsOf(one.batches);
    if (places.some((place) => seen.has(place)) || (events > 0 && events + more > most)) {
      left.push(one);
      continue;
    }
    for (const place of places) seen.add(place);
    events += more;
    group.push(one);
  }
  queue.splice(0, queue.length, ...left);
  return group;
}

function eventsOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { messages }) => sum + messages.length, 0);
}
