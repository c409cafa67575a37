import * as z from 'zod';
import type { DoctorSession } from './session.ts';

const serverSchema = z.object({
  version: z.number(),
  standby: z.boolean(),
  database: z.string(),
  walLevel: z.string(),
  maxWalSenders: z.number(),
  maxReplicationSlots: z.number(),
  /** MB; -1 is without limit. */
  maxSlotWalKeepSize: z.number(),
  walSenders: z.number(),
  /** synchronized_standby_slots; null before Postgres 17. */
  awaitedStandbys: z.string().nullable(),
  /** Seconds over which the table statistics were counted. */
  statisticsSeconds: z.number(),
});

/** What any role may see of the server. */
export type ServerFacts = z.output<typeof serverSchema>;

const serverQuery = `
  SELECT json_build_object(
    'version', current_setting('server_version_num')::int,
    'standby', pg_is_in_recovery(),
    'database', current_database(),
    'walLevel', current_setting('wal_level'),
    'maxWalSenders', current_setting('max_wal_senders')::int,
    'maxReplicationSlots', current_setting('max_replication_slots')::int,
    'maxSlotWalKeepSize', (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
    'awaitedStandbys', current_setting('synchronized_standby_slots', true),
    'walSenders', (SELECT count(*) FROM pg_stat_replication),
    'statisticsSeconds', extract(epoch FROM clock_timestamp() - coalesce(
      (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()), pg_postmaster_start_time())))`;

export function readServer(session: DoctorSession): Promise<ServerFacts> {
  return session.read(serverQuery, serverSchema);
}

/** How far the server's clock is from this host's. Positive: it is ahead. `uncertaintyMs`: half of the quickest round trip. */
export type ClockFacts = { readonly offsetMs: number; readonly uncertaintyMs: number };

const clockSchema = z.number();

export function readClock(session: DoctorSession, now: () => number): Promise<ClockFacts> {
  return measureClock(() => session.read('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8', clockSchema), now);
}

/** Asks the server's time, in ms, a few times; the quickest answer counts. `now` is this host's clock, in ms. */
export async function measureClock(ask: () => Promise<number>, now: () => number): Promise<ClockFacts> {
  const measured: ClockFacts[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const asked = now();
    const server = await ask();
    const answered = now();
    measured.push({ offsetMs: server - (asked + answered) / 2, uncertaintyMs: (answered - asked) / 2 });
  }
  const [quickest = { offsetMs: 0, uncertaintyMs: 0 }] = measured.toSorted((a, b) => a.uncertaintyMs - b.uncertaintyMs);
  return quickest;
}
