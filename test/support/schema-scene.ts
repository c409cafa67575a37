import { eventDecoder, type ChangeEvent, type Row } from '#change-events/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError, type SchemaRegistryConfig } from '#pipeline/index.ts';
import { testRegistryConfig } from './registry.ts';

/** A message of a topic as its reader sees it, and as it is there. */
export type ReadEvent = {
  readonly key: Row | null;
  readonly event: ChangeEvent | null;
  readonly rawKey: Buffer | null;
  readonly rawValue: Buffer | null;
  readonly partition: number;
};

/** Everything committed to a topic, in whatever formats it is, in order within each partition. Nothing of a topic that is still to be made. */
export async function readEvents(kafka: Kafka, topic: string, schemaRegistry?: SchemaRegistryConfig): Promise<readonly ReadEvent[]> {
  const messages: { readonly key: Buffer | null; readonly value: Buffer | null; readonly partition: number; readonly offset: bigint }[] =
    [];
  try {
    await readToEnd(kafka, topic, ({ key, value, offset }, partition) => messages.push({ key, value, partition, offset }));
  } catch (error) {
    if (error instanceof CdcError && error.code === 'TOPIC_MISSING') return [];
    throw error;
  }
  const decoder = eventDecoder(schemaRegistry ?? (await testRegistryConfig()));
  await decoder.prepare(messages, AbortSignal.timeout(120_000));
  return messages.map(({ key, value, partition, offset }) => {
    const place = { topic, partition, offset: offset.toString() };
    return { key: decoder.decodeKey(key, place), event: decoder.decodeChangeEvent(value, place), rawKey: key, rawValue: value, partition };
  });
}

/** The id of the schema that wrote it; null for JSON without one. */
export function schemaIdOf(bytes: Buffer | null): number | null {
  return bytes !== null && bytes[0] === 0 ? bytes.readUInt32BE(1) : null;
}
