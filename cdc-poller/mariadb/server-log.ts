import type { TextQuery } from '../source/dialect.ts';

/**
 * How far InnoDB's own log is on disk, which any user may ask: `innodb-47791`. Null where the server does not tell (MySQL before 8.0.30). It only ever
 * grows while the data are the same, with a binlog and without.
 */
export async function readInnodbLog(query: TextQuery): Promise<string | null> {
  const [[, place] = []] = await query(
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_flushed', 'Innodb_redo_log_flushed_to_disk_lsn')",
  );
  return place ? `innodb-${place}` : null;
}

/** The binlog's position (`domain-server-sequence,…`) and InnoDB's, as far as they are known. */
export function serverLog(binlog: string | null | undefined, innodb: string | null): string | null {
  return [binlog, innodb].filter(Boolean).join(',') || null;
}
