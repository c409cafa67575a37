import type { KafkaAdmin } from '#kafka/index.ts';
import { pause } from '#pipeline/index.ts';

const lookEveryMs = 1000;

/**
 * Looks, until `signal` is aborted, whether topics are still those that were claimed: one that is deleted and made again under its name is
 * read on by a client without a word. `known` gives the id that each topic had; `onOther` hears of one that has another id now. A Kafka
 * that does not answer is asked again.
 */
export async function watchTopicIds(
  admin: KafkaAdmin,
  known: () => Promise<ReadonlyMap<string, string | null>>,
  onOther: (topic: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(lookEveryMs, signal);
    if (signal.aborted) return;
    const claimed = await known();
    const topics = [...claimed].flatMap(([topic, id]) => (id === null ? [] : [topic]));
    const now =
      topics.length === 0 ? new Map<string, string | null>() : await admin.topicIds(topics).catch(() => new Map<string, string | null>());
    for (const topic of topics) {
      const id = now.get(topic) ?? null;
      if (id !== null && id !== claimed.get(topic) && !signal.aborted) onOther(topic);
    }
  }
}
