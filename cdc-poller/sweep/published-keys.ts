import { readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { isDeletion, valueOfWireKey } from './delete-event.ts';

/**
 * Reads the keys that were published and not deleted since from the table's own topic, as committed and whatever their format: what a sweep
 * compares the table with. They take about 60 bytes each.
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
      const text = valueOfWireKey(key);
      if (isDeletion(value)) keys.delete(text);
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
