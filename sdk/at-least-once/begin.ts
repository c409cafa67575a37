import type { BatchControl, KafkaAdmin } from '#kafka/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import type { Logger } from '#pipeline/index.ts';
import { lost, replaced } from './wording.ts';
import type { Place, Places } from './places.ts';

/** What Kafka says of a partition. */
type Known = {
  readonly topicId: string | null;
  readonly low: bigint;
  readonly high: bigint;
  /** Null when the group has committed nothing. */
  readonly committed: bigint | null;
};

async function askKafka(admin: KafkaAdmin, groupId: string, { topic, partition }: TopicPartition): Promise<Known> {
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
  {
    places,
    admin,
    groupId,
    logger,
  }: { readonly places: Places; readonly admin: KafkaAdmin; readonly groupId: string; readonly logger: Logger },
): Promise<void> {
  const { topicId, low, high, committed } = await askKafka(admin, groupId, where);
  if (!control.isCurrent()) return;
  // Deleted and made again. Kafka has forgotten what was committed of the old one; what is committed of the new one is by whoever was still at the old.
  const isOther = place.topicId !== null && topicId !== null && place.topicId !== topicId;
  if (isOther)
    logger.warn(
      { topic: where.topic, partition: where.partition },
      'the topic is another one than before: it is handed over from its beginning',
    );
  const next = isOther ? low : (committed ?? low);
  if (next > high) {
    place.next = next;
    return places.halt(where, replaced(where, { offset: next, nextOffset: low }));
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
  if (committed !== next) await control.commit(next);
  place.isChecked = true;
}
