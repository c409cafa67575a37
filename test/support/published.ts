import assert from 'node:assert/strict';
import { eventDecoder, stringifyLossless, type ChangeEvent } from '#change-events/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { SchemaRegistryConfig } from '#pipeline/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';

export type PublishedEvent = { readonly key: string; readonly event: ChangeEvent };

/** All committed events of a topic; tombstones left out. Those with a schema's id need its registry; their keys come as JSON text too. */
export async function readPublished(
  kafka: Kafka,
  topic: string,
  schemaRegistry?: SchemaRegistryConfig,
): Promise<readonly PublishedEvent[]> {
  const messages: { readonly key: Buffer | null; readonly value: Buffer | null; readonly offset: bigint; readonly partition: number }[] =
    [];
  await readToEnd(kafka, topic, ({ key, value, offset }, partition) => messages.push({ key, value, offset, partition }));
  const decoder = eventDecoder(schemaRegistry);
  await decoder.prepare(messages, AbortSignal.timeout(120_000));
  return messages.flatMap(({ key, value, offset, partition }) => {
    const place = { topic, partition, offset: offset.toString() };
    const event = decoder.decodeChangeEvent(value, place);
    if (event === null) return [];
    return [{ key: key?.[0] === 0 ? stringifyLossless(decoder.decodeKey(key, place)) : String(key), event }];
  });
}

/** `key@xmin` of each event. */
export function versionsOf(published: readonly PublishedEvent[]): readonly string[] {
  return published.map(({ key, event }) => `${key}@${String(event.source.txId)}`);
}

/** The versions that the table has now, in the form of {@link versionsOf}. */
export async function finalVersions(database: LegacyDatabase, table: string): Promise<readonly string[]> {
  const rows = await database.query(`SELECT id::text, xmin::text FROM ${table} ORDER BY id`);
  return rows.map(({ id, xmin }) => `{"id":${id}}@${xmin}`);
}

/** Every version that the table has was published, and no version twice. */
export async function assertExact(
  kafka: Kafka,
  database: LegacyDatabase,
  table: string,
  topic: string,
  schemaRegistry?: SchemaRegistryConfig,
): Promise<void> {
  const versions = versionsOf(await readPublished(kafka, topic, schemaRegistry));
  const distinct = new Set(versions);
  const missing = (await finalVersions(database, table)).filter((version) => !distinct.has(version));
  assert.deepEqual(missing, [], 'final row versions that were never published');
  const twice = [...Map.groupBy(versions, (version) => version)].filter(([, same]) => same.length > 1).map(([version]) => version);
  assert.deepEqual(twice, [], 'row versions that were published twice');
}
