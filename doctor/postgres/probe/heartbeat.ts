import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import type { TableId } from '#change-events/index.ts';
import type { HeartbeatState } from '../../connect/judge-movement.ts';
import type { DoctorSession } from './session.ts';
import type { TableFacts } from './tables.ts';

const stateSchema = z.object({
  sourceMs: z.number(),
  beatAgeMs: z.number().nullable(),
  readerMs: z.number().nullable(),
  blockers: z.array(z.string()),
});

/** The heartbeat's table, where the session's role can read from it when it was last written. */
export function readableHeartbeat(heartbeat: TableFacts | null | undefined): TableId | undefined {
  const found = heartbeat?.found;
  if (found?.mayUseSchema !== true || !found.maySelect) return undefined;
  return found.columns.some(({ name, type }) => name === 'beat_at' && type === 'timestamp with time zone') ? heartbeat?.id : undefined;
}

/** A session's name and query are hidden from a plain role where it is another's; whose it is is not. */
const blockers = `
  SELECT coalesce(json_agg(DISTINCT CASE WHEN blocker.pid = 0 THEN 'a prepared transaction'
      ELSE coalesce(holder.usename, 'somebody') || ' (pid ' || blocker.pid || ')' END), '[]')
  FROM (SELECT pid FROM pg_stat_activity WHERE usename = current_user AND datname = current_database() AND wait_event_type = 'Lock') waiting,
    LATERAL unnest(pg_blocking_pids(waiting.pid)) blocker(pid)
  LEFT JOIN pg_stat_activity holder ON holder.pid = blocker.pid`;

/** `heartbeat` undefined: its age is not to be read. */
export async function readHeartbeatState(session: DoctorSession, slot: string, heartbeat: TableId | undefined): Promise<HeartbeatState> {
  const age =
    heartbeat === undefined ? 'NULL' : `(SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) * 1000 FROM ${sqlTable(heartbeat)})`;
  const state = await session.read(
    `SELECT json_build_object('sourceMs', extract(epoch FROM clock_timestamp()) * 1000, 'beatAgeMs', ${age}, 'blockers', (${blockers}),
      'readerMs', (SELECT extract(epoch FROM clock_timestamp() - reader.backend_start) * 1000
        FROM pg_replication_slots s JOIN pg_stat_activity reader ON reader.pid = s.active_pid WHERE s.slot_name = $1))`,
    stateSchema,
    [slot],
  );
  return { at: performance.now(), ...state };
}

function sqlTable({ schema, table }: TableId): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}
