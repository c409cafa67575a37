import { readFile } from 'node:fs/promises';
import type { Session } from '../source/session.ts';

/** Which sessions in the legacy database belong to a strategy: by how its connections name themselves, or by its role. */
export type Sessions = { readonly application: string } | { readonly role: string };

/** Processor time in ms by process, of the sessions that are open now. Null when the server's processes are not on this host. */
export type ProcessorTimes = ReadonlyMap<string, number>;

/** Linux counts processor time in hundredths of a second. */
const tickMs = 10;

export async function readProcessorTimes(session: Session, sessions: Sessions): Promise<ProcessorTimes | null> {
  const [condition, value] =
    'role' in sessions ? ['usename = $1', sessions.role] : ['starts_with(application_name, left($1, 63))', sessions.application];
  const rows = await session.rows(
    `SELECT pid::text, usename, datname FROM pg_stat_activity WHERE datname = current_database() AND ${condition} ORDER BY pid`,
    [value],
  );
  const times = new Map<string, number>();
  for (const [pid, role, database] of rows) {
    const ms = await processorMs(pid ?? '', `${role} ${database}`);
    if (ms === null) return null;
    times.set(pid ?? '', ms);
  }
  return times;
}

/** What each process used between two looks; one that is new used all it has, one that has gone nothing that is known. */
export function spentMs(before: ProcessorTimes, after: ProcessorTimes): number {
  return [...after].reduce((sum, [pid, ms]) => sum + ms - (before.get(pid) ?? 0), 0);
}

/** Null when the process is not that session: the server runs elsewhere, where this number means another process. */
async function processorMs(pid: string, session: string): Promise<number | null> {
  try {
    const [title, stat] = await Promise.all([readFile(`/proc/${pid}/cmdline`, 'utf8'), readFile(`/proc/${pid}/stat`, 'utf8')]);
    if (!title.startsWith('postgres: ') || !title.includes(` ${session} `)) return null;
    // The name in brackets may hold anything; user and system time are the 14th and 15th field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * tickMs;
  } catch {
    return null;
  }
}
