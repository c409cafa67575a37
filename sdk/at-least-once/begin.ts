import type { BatchControl, KafkaAdmin } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { lost, replaced } from './wording.ts';
import type { Place, Places } from './places.ts';

/** What Kafka says of a partition. */
export type Known = {
  readonly topicId: string | null;
  readonly low: bigint;
  readonly high: bigint;
  /** Null when the group has committed nothing. */
  readonly committed: bigint | null;
};

export async function askKafka(admin: KafkaAdmin, groupId: string, { topic, partition }: TopicPartition): Promise<Known> {
  const ids = await admin.topicIds([topic]);
  const committed = (await admin.committedOffsets(groupId, topic)).get(partition) ?? null;
  const offsets = (await admin.offsetsOf(topic)).find((one) => one.partition === partition);
  return { topicId: ids.get(topic) ?? null, low: offsets?.low ?? 0n, high: offsets?.high ?? 0n, committed };
}

/**
 * Places a partition where the group goes on: what Kafka says counts, since another instance may have had the partition meanwhile. A beginning is
 * committed at once, so that what Kafka deletes afterwards is known to be missed. Where Kafka has not what comes next, the partition halts.
 */
export async function begin(
  where: TopicPartition,
  place: Place,
  control: BatchControl,
  { places, admin, groupId }: { readonly places: Places; readonly admin: KafkaAdmin; readonly groupId: string },
): Promise<void> {
  const { topicId, low, high, committed } = await askKafka(admin, groupId, where);
  if (!control.isCurrent()) return;
  const next = committed ?? low;
  const isOther = place.topicId !== null && topicId !== null && place.topicId !== topicId;
  if (isOther || next > high) {
    place.next = isOther ? (place.next ?? next) : next;
    return places.halt(where, replaced(where, { offset: place.next, nextOffset: low }));
  }
  if (next !== place.next) {
    place.failures = 0;
    place.lastDeleted = null;
    place.poisons.clear();
  }
  place.next = next;
  place.topicId = topicId;
  if (next < low) return places.halt(where, lost(where, { offset: next, nextOffset: low }));
  // Poison still halts before its change.
  if (place.halt !== null && (place.halt.offset !== next || !place.poisons.has(next))) place.halt = null;
  if (committed === null) await control.commit(low);
  place.isChecked = true;
}
