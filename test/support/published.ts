import assert from 'node:assert/strict';
import { decodeChangeEvent, type ChangeEvent } from '#change-events/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';

export type PublishedEvent = { readonly key: string; readonly event: ChangeEvent };

/** All committed events of a topic; tombstones left out. */
export async function readPublished(kafka: Kafka, topic: string): Promise<readonly PublishedEvent[]> {
  const published: PublishedEvent[] = [];
  await readToEnd(kafka, topic, ({ key, value, offset }, partition) => {
    const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
    if (event !== null) published.push({ key: String(key), event });
  });
  return published;
}

/** `key@xmin` of each event. */
export function versionsOf(published: readonly PublishedEvent[]): readonly string[] {
  return published.map(({ key, event }) => `${key}@${String(event.source.txId)}`);
}

/** The versions that stand in the table now, in the form of {@link versionsOf}. */
export async function finalVersions(database: LegacyDatabase, table: string): Promise<readonly string[]> {
  const rows = await database.query(`SELECT id::text, xmin::text FROM ${table} ORDER BY id`);
  return rows.map(({ id, xmin }) => `{"id":${id}}@${xmin}`);
}

/** Every version that stands in the table was published, and no version twice. */
export async function assertExact(kafka: Kafka, database: LegacyDatabase, table: string, topic: string): Promise<void> {
  const versions = versionsOf(await readPublished(kafka, topic));
  const distinct = new Set(versions);
  const missing = (await finalVersions(database, table)).filter((version) => !distinct.has(version));
  assert.deepEqual(missing, [], 'final row versions that were never published');
  const twice = [...Map.groupBy(versions, (version) => version)].filter(([, same]) => same.length > 1).map(([version]) => version);
  assert.deepEqual(twice, [], 'row versions that were published twice');
}
