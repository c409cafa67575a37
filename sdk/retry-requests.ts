import { CdcError, describeError, pause, type Logger } from '#pipeline/index.ts';
import { faultOf, qualified, queryText, text } from '#read-model/engine/index.ts';
import type { Pool } from 'pg';
import * as z from 'zod';
import type { Parked, ParkedRetry } from './consumer.ts';

type Place = { readonly pool: Pool; readonly schema: string };

/** How soon a request is taken up, in ms. */
const lookEveryMs = 1000;
/** A request that was taken and not finished for so long is taken again: whoever took it may be gone. To do it twice does no harm. */
const takenForS = 60;

/** What a consumer has done of a request. */
const outcome = z.object({
  results: z.array(
    z.object({
      topic: z.string(),
      partition: z.number(),
      applied: z.number(),
      stoppedBy: z.object({ id: z.string(), offset: z.string(), code: z.string(), cause: z.string() }).nullable(),
    }),
  ),
  /** Why it did not get further. */
  error: z.object({ code: z.string(), cause: z.string() }).nullable(),
});
export type RetryOutcome = z.output<typeof outcome>;

/** Takes up what operators ask for, until the consumer ends: parked changes go to its handler. A database that is away is asked again. */
export async function takeRetryRequests(place: Place, parked: Parked, logger: Logger, signal: AbortSignal): Promise<void> {
  const requests = qualified(place.schema, 'retry_requests');
  while (!signal.aborted) {
    try {
      const taken = await queryText(
        place.pool,
        `UPDATE ${requests} SET taken_at = clock_timestamp()
          WHERE id = (SELECT id FROM ${requests} WHERE finished_at IS NULL AND (taken_at IS NULL OR taken_at < clock_timestamp() - $1 * interval '1 s')
                       ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING id, array_to_json(event_ids), topic`,
        [String(takenForS)],
      );
      const [row] = taken;
      if (row !== undefined) {
        const ids = z
          .array(z.coerce.string())
          .nullable()
          .parse(JSON.parse(row[1] ?? 'null'));
        logger.info({ request: text(row, 0), ids, topic: row[2] ?? null }, 'an operator asks for parked changes to be retried');
        const done = await carryOut(parked, ids, row[2] ?? null);
        await queryText(place.pool, `UPDATE ${requests} SET finished_at = clock_timestamp(), result = $2 WHERE id = $1`, [
          text(row, 0),
          JSON.stringify(done),
        ]);
        continue;
      }
    } catch (error) {
      if (!signal.aborted)
        logger[faultOf(error) === 'passing' ? 'debug' : 'warn']({ err: error }, `no look at requests: ${describeError(error)}`);
    }
    await pause(lookEveryMs, signal);
  }
}

async function carryOut(parked: Parked, ids: readonly string[] | null, topic: string | null): Promise<RetryOutcome> {
  try {
    const results = await parked.retry({ ...(ids === null ? {} : { ids }), ...(topic === null ? {} : { topic }) });
    return { results: results.map(inShort), error: null };
  } catch (error) {
    if (faultOf(error) === 'passing') throw error;
    return {
      results: [],
      error: { code: error instanceof CdcError ? error.code : 'CONSUMER_HANDLER_FAILED', cause: describeError(error) },
    };
  }
}

function inShort({ topic, partition, applied, stoppedBy }: ParkedRetry): RetryOutcome['results'][number] {
  if (stoppedBy === null) return { topic, partition, applied, stoppedBy };
  const { id, offset, code, cause } = stoppedBy;
  return { topic, partition, applied, stoppedBy: { id, offset: String(offset), code, cause } };
}

/**
 * Asks a running consumer to retry parked changes, and waits for what becomes of them.
 *
 * @throws CdcError CONSUMER_RETRY_WAITS when no consumer has finished within `waitMs`; the request stays, and the next consumer takes it up
 */
export async function requestRetry(
  { pool, schema }: Place,
  which: { readonly ids: readonly string[] | null; readonly topic: string | null },
  waitMs: number,
  signal: AbortSignal,
): Promise<RetryOutcome> {
  const requests = qualified(schema, 'retry_requests');
  const [made] = await queryText(pool, `INSERT INTO ${requests} (event_ids, topic) VALUES ($1::bigint[], $2) RETURNING id`, [
    which.ids,
    which.topic,
  ]);
  const id = text(made ?? [], 0);
  for (const deadline = performance.now() + waitMs; ; await pause(lookEveryMs / 4, signal)) {
    signal.throwIfAborted();
    const [row] = await queryText(pool, `SELECT result, taken_at FROM ${requests} WHERE id = $1 AND finished_at IS NOT NULL`, [id]);
    if (row !== undefined) return outcome.parse(JSON.parse(text(row, 0)));
    if (performance.now() < deadline) continue;
    throw new CdcError(
      'CONSUMER_RETRY_WAITS',
      `no consumer of schema ${schema} has finished the retry within ${waitMs} ms (request ${id})`,
    );
  }
}
