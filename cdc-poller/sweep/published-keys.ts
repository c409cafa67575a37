import { readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';

/** How the value of a sweep's own delete event begins; other events of the poller have no such end. */
const deletion = Buffer.from('"op":"d"');

/**
 * Reads the event keys that were published and not deleted since from the table's own topic, as committed: what a sweep compares the
 * table with. They take about 60 bytes each.
 *
 * @throws CdcError SWEEP_TOO_MANY_KEYS past `maxKeys`, TOPIC_MISSING, KAFKA_UNREACHABLE; the signal's reason
 */
export async function loadPublishedKeys(kafka: Kafka, topic: string, maxKeys: number, signal: AbortSignal): Promise<Set<string>> {
  const keys = new Set<string>();
  await readToEnd(
    kafka,
    topic,
    ({ key, value }) => {
      if (key === null) return;
      const text = key.toString();
      // The op stands at the end of an event, past whatever a row may hold.
      if (value === null || value.includes(deletion, Math.max(0, value.length - 64))) keys.delete(text);
      else keys.add(text);
      if (keys.size > maxKeys) throw tooManyKeys(topic, maxKeys);
    },
    signal,
  );
  return keys;
}

export function tooManyKeys(topic: string, maxKeys: number): CdcError {
  return new CdcError('SWEEP_TOO_MANY_KEYS', `topic ${topic} holds more than ${maxKeys} keys`);
}
