import type { TableId } from '#change-events/index.ts';
import type { MariadbQuery } from '../../binlog/mariadb-source.ts';
import type { Pulse } from '../judge/movement.ts';
import { sqlTable } from './sql-names.ts';

/** A binlog's reader, and who holds a lock, show only to who holds PROCESS. `heartbeat` undefined: its age is not to be read. */
export async function readMariadbPulse(query: MariadbQuery, heartbeat: TableId | undefined): Promise<Pulse> {
  const [clock] = await query('SELECT ROUND(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000)');
  const [beat] =
    heartbeat === undefined
      ? []
      : await query(`SELECT TIMESTAMPDIFF(MICROSECOND, MAX(beat_at), CURRENT_TIMESTAMP(6)) DIV 1000 FROM ${sqlTable(heartbeat)}`);
  const age = beat?.[0] ?? null;
  return {
    at: performance.now(),
    sourceMs: Number(clock?.[0]),
    beatAgeMs: age === null ? null : Math.max(0, Number(age)),
    readerMs: null,
    blockers: [],
  };
}
