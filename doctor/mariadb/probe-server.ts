import type { TableId } from '#change-events/index.ts';
import { readFiles } from '#connectors/mariadb/lag.ts';
import { isRefusal, type MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import type { BinlogFiles } from '#connectors/mariadb/position.ts';
import { mariadbTable } from '#pipeline/index.ts';
import type { HeartbeatState } from '../connect/judge-movement.ts';
import { measureClock, type ClockFacts } from '../postgres/probe/server.ts';

/** What a server says of itself to anybody who may log in, and its binlog to those who may see it. */
export type MariadbServer = {
  /** A global variable; '' where the server does not know it. */
  readonly variable: (name: string) => string;
  /** Seconds that the server's own zone is ahead of UTC now. */
  readonly zoneOffsetSeconds: number;
  /** Why it is taken for a replica; undefined where nothing says so (what it replicates from, the right REPLICA MONITOR shows). */
  readonly replicaBy: string | undefined;
  /** Null: there is none, or the account may not see it. */
  readonly binlog: BinlogFiles | null;
  /** Databases that are written to the binlog alone, and those that are left out; null where the account may not see it. */
  readonly filter: { readonly only: readonly string[]; readonly without: readonly string[] } | null;
  /** Who reads its binlog by now and has said its number, connectors among them; empty where the account may not see it (REPLICATION MASTER ADMIN). */
  readonly readers: readonly { readonly id: string; readonly place: string }[];
};

const names = [
  'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_expire_logs_seconds', 'server_id', 'gtid_strict_mode', 'gtid_binlog_pos', 'read_only', 'time_zone',
  'system_time_zone',
]; // prettier-ignore

export async function readMariadbServer(query: MariadbQuery): Promise<MariadbServer> {
  const rows = await query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names.map((name) => `'${name}'`).join(', ')})`);
  const variables = new Map(rows.map(([name, value]) => [name ?? '', value ?? '']));
  const [[offset] = []] = await query('SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CURRENT_TIMESTAMP())');
  return {
    variable: (name) => variables.get(name) ?? '',
    zoneOffsetSeconds: Number(offset),
    replicaBy: ['', 'OFF', '0'].includes(variables.get('read_only') ?? '')
      ? (await replicates(query))
        ? 'replicates from another server'
        : undefined
      : 'is read_only, as a replica is',
    binlog: await readFiles(query),
    filter: await readFilter(query),
    readers: await readReaders(query),
  };
}

async function replicates(query: MariadbQuery): Promise<boolean> {
  try {
    return (await query('SHOW ALL SLAVES STATUS')).length > 0;
  } catch (error) {
    if (isRefusal(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR')) return false;
    throw error;
  }
}

async function readFilter(query: MariadbQuery): Promise<MariadbServer['filter']> {
  try {
    const [[, , only, without] = []] = await query('SHOW MASTER STATUS');
    return { only: list(only), without: list(without) };
  } catch (error) {
    if (isRefusal(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR')) return null;
    throw error;
  }
}

async function readReaders(query: MariadbQuery): Promise<MariadbServer['readers']> {
  try {
    const rows = await query('SHOW SLAVE HOSTS');
    return rows.map(([id, host, port]) => ({
      id: id ?? '',
      place: `${host === '' || host === null || host === undefined ? '(no report_host)' : host}:${port ?? ''}`,
    }));
  } catch (error) {
    if (isRefusal(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR')) return [];
    throw error;
  }
}

export function readMariadbClock(query: MariadbQuery, now: () => number): Promise<ClockFacts> {
  return measureClock(async () => Number((await query('SELECT UNIX_TIMESTAMP(SYSDATE(6)) * 1000'))[0]?.[0]), now);
}

function list(text: string | null | undefined): readonly string[] {
  return (text ?? '').split(',').filter((name) => name !== '');
}

/** A binlog's reader, and who holds a lock, show only to who holds PROCESS. `heartbeat` undefined: its age is not to be read. */
export async function readMariadbHeartbeat(query: MariadbQuery, heartbeat: TableId | undefined): Promise<HeartbeatState> {
  const [clock] = await query('SELECT ROUND(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000)');
  const [beat] =
    heartbeat === undefined
      ? []
      : await query(`SELECT TIMESTAMPDIFF(MICROSECOND, MAX(beat_at), CURRENT_TIMESTAMP(6)) DIV 1000 FROM ${mariadbTable(heartbeat)}`);
  const age = beat?.[0] ?? null;
  return {
    at: performance.now(),
    sourceMs: Number(clock?.[0]),
    beatAgeMs: age === null ? null : Math.max(0, Number(age)),
    readerMs: null,
    blockers: [],
  };
}
