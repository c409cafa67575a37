import type { KafkaAdmin } from '#kafka/index.ts';
import type { Pool } from 'pg';
import { qualified, queryText, text } from '../database.ts';
import type { Heartbeats } from './heartbeats.ts';

/** A time, and how far the topics must be applied for the model to be complete up to it. */
export type Proof = {
  /** `schema.table` of those it speaks of. */
  readonly tables: readonly string[];
  /** ms since the epoch of the source's clock, by a heartbeat. */
  readonly provenTo: number;
  /** The same as a timestamp, and no later than the read database's clock was: a source whose clock is ahead must not seem fresher. */
  readonly asOf: string;
  /** What was claimed before was too much: a heartbeat that came later says an earlier time. */
  readonly takesBack: boolean;
  readonly ends: readonly { readonly topic: string; readonly partition: number; readonly end: bigint }[];
};

export type ProofSources = {
  readonly heartbeats: Heartbeats;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  /** What was claimed last. */
  readonly known: number;
};

/** What the latest heartbeats say that is not known yet; null when nothing. The ends are asked for after the heartbeat came, so they are past all it speaks of. */
export async function proofOf(
  { heartbeats, admin, pool, known }: ProofSources,
  topics: ReadonlyMap<string, string>,
): Promise<Proof | null> {
  const tables = [...topics.keys()];
  const provenTo = heartbeats.provenTo(tables);
  if (provenTo === null || provenTo === known) return null;
  const [row] = await queryText(pool, 'SELECT least(to_timestamp($1::double precision / 1000), clock_timestamp())', [provenTo]);
  const ends = await Promise.all(
    [...topics.values()].map(async (topic) =>
      (await admin.offsetsOf(topic)).filter(({ high, low }) => high > low).map(({ partition, high }) => ({ topic, partition, end: high })),
    ),
  );
  return { tables, provenTo, asOf: row === undefined ? '' : text(row, 0), takesBack: provenTo < known, ends: ends.flat() };
}

/** Writes the proof's time when the model has applied as far, else nothing. One statement, so one moment. Whether it was reached. */
export async function moveFreshness(pool: Pool, schema: string, { asOf, takesBack, ends }: Proof): Promise<boolean> {
  const rows = await queryText(
    pool,
    `UPDATE ${qualified(schema, 'freshness')} SET as_of = CASE WHEN $5 THEN $1 ELSE greatest(as_of, $1) END, checked_at = clock_timestamp()
      WHERE NOT EXISTS (
        SELECT FROM unnest($2::text[], $3::integer[], $4::bigint[]) AS wanted (topic, partition, "end")
          LEFT JOIN ${qualified(schema, 'applied_offsets')} a USING (topic, partition)
         WHERE coalesce(a.next_offset, 0) < wanted."end")
      RETURNING as_of`,
    [asOf, ends.map(({ topic }) => topic), ends.map(({ partition }) => partition), ends.map(({ end }) => end.toString()), takesBack],
  );
  return rows.length > 0;
}
