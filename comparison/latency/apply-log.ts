import { topicName } from '#change-events/index.ts';
import type { TableShape } from '../canonical/shape.ts';
import { quoteName } from '../source/catalogue.ts';
import type { Session } from '../source/session.ts';

/** When a model applied the events of one partition: batches in offset order. */
export type AppliedBatch = {
  readonly first: bigint;
  readonly next: bigint;
  /** ms since the epoch of the read database's clock. */ readonly appliedAt: number;
};

/** A model's batches by topic and partition. */
export type ApplyLog = ReadonlyMap<string, readonly AppliedBatch[]>;

/** Reads when `model` applied what it has applied of these tables' topics. */
export async function readApplyLog(session: Session, model: string, topicPrefix: string, shapes: readonly TableShape[]): Promise<ApplyLog> {
  const rows = await session.rows(
    // ORDER BY with the alias: alone, the names would mean the output's texts, and text sorts 10 before 9.
    `SELECT a.topic, a.partition::text, a.first_offset::text, a.next_offset::text, (extract(epoch FROM a.applied_at) * 1000)::text
       FROM ${quoteName(model)}.apply_log AS a WHERE a.topic = ANY ($1::text[]) ORDER BY a.topic, a.partition, a.next_offset`,
    [shapes.map((shape) => topicName(topicPrefix, shape))],
  );
  const log = new Map<string, AppliedBatch[]>();
  for (const [topic, partition, first, next, time] of rows) {
    const place = placeOf(topic ?? '', Number(partition));
    const batch = { first: BigInt(first ?? '0'), next: BigInt(next ?? '0'), appliedAt: Number(time) };
    const batches = log.get(place);
    if (batches === undefined) log.set(place, [batch]);
    else batches.push(batch);
  }
  return log;
}

export function placeOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** When the batch with this offset was applied; null when no batch of the log holds it (pruned, or applied before). */
export function appliedAt(batches: readonly AppliedBatch[] | undefined, offset: bigint): number | null {
  if (batches === undefined) return null;
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const batch = batches[middle];
    if (batch !== undefined && batch.next <= offset) low = middle + 1;
    else high = middle;
  }
  const batch = batches[low];
  return batch !== undefined && batch.first <= offset ? batch.appliedAt : null;
}
