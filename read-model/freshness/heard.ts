import type { KafkaAdmin } from '#kafka/index.ts';
import type { Pool } from 'pg';
import { z } from 'zod';
import { qualified, queryText } from '../database.ts';
import { nothingHeard, type Heard } from './heartbeats.ts';

const time = z.number();
const count = z.number().int().nonnegative();
const stored = z.object({
  topic: z.string(),
  next: z.array(z.tuple([count, z.string().regex(/^[0-9]{1,19}$/)])),
  tables: z.array(z.tuple([z.string(), time])),
  whole: time.nullable(),
  passedOver: z.object({ unreadable: count, ahead: count, aheadMs: z.number() }),
});

/** What the model has read of this topic's heartbeats (nothing when it has read none, or none of this topic), and what it claims by them. */
export async function loadHeard(pool: Pool, schema: string, topic: string): Promise<{ readonly heard: Heard; readonly asOf: number }> {
  const [row] = await queryText(
    pool,
    `SELECT heard, floor(extract(epoch FROM as_of) * 1000)::bigint FROM ${qualified(schema, 'freshness')}`,
  );
  const [heard = null, asOf = null] = row ?? [];
  return { heard: parseHeard(heard, topic), asOf: asOf === null ? Number.NEGATIVE_INFINITY : Number(asOf) };
}

/** Of {@link loadHeard}'s column as text; of any topic when none is given. */
export function parseHeard(json: string | null, topic?: string): Heard {
  if (json === null) return nothingHeard;
  const parsed = stored.safeParse(JSON.parse(json));
  if (!parsed.success || (topic !== undefined && parsed.data.topic !== topic)) return nothingHeard;
  const { next, tables, whole, passedOver } = parsed.data;
  return { next: next.map(([partition, offset]) => [partition, BigInt(offset)] as const), tables, whole, passedOver };
}

export async function saveHeard(pool: Pool, schema: string, topic: string, heard: Heard): Promise<void> {
  const next = heard.next.map(([partition, offset]) => [partition, offset.toString()]);
  await queryText(pool, `UPDATE ${qualified(schema, 'freshness')} SET heard = $1`, [JSON.stringify({ ...heard, topic, next })]);
}

/**
 * Where to read each partition from: where the model had come to, or, for one that it does not know, close to the end: the last heartbeats say
 * all that the earlier ones did. An offset that the partition does not have is of a topic that was there before.
 */
export async function placesToRead(admin: KafkaAdmin, topic: string, heard: Heard, tail: bigint): Promise<ReadonlyMap<number, bigint>> {
  const known = new Map(heard.next);
  const places = new Map<number, bigint>();
  for (const { partition, low, high } of await admin.offsetsOf(topic)) {
    const next = known.get(partition);
    const fits = next !== undefined && next >= low && next <= high;
    places.set(partition, fits ? next : high - low > tail ? high - tail : low);
  }
  return places;
}
