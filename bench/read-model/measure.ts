import { setTimeout as delay } from 'node:timers/promises';
import type { ReadDatabase } from '#test/support/read-database.ts';
import { cpuOfServer, usageOf } from '../harness/process-usage.ts';
import type { Stream } from './stream.ts';

/** One run of one contender over a whole stream, from the moment its first rows are visible to the last. */
export type Figures = {
  /** Changes per second, tombstones not counted. */
  readonly rate: number;
  /** CPU seconds of the contender's process for 100,000 changes, and of the database server's processes. */
  readonly cpu: number;
  readonly databaseCpu: number;
  /** Of the process's whole life. */
  readonly peakRssMib: number;
};

export type Watched = {
  readonly read: ReadDatabase;
  /** The table that fills, as SQL. */
  readonly table: string;
  readonly stream: Stream;
  readonly pid: number;
  readonly databasePid: number;
  /** Says why it will never be done; null while all is well. */
  readonly failure: () => Promise<string | null>;
};

const limitMs = 300_000;

/** Waits for the first rows, then for all of the stream, and says what lay between. */
export async function measure({ read, table, stream, pid, databasePid, failure }: Watched): Promise<Figures> {
  const deadline = Date.now() + limitMs;
  /** Asks for a number until it is `least`; gives it. */
  const until = async (sql: string, least: number, everyMs: number): Promise<number> => {
    for (;;) {
      const [row] = await read.query(sql);
      const number = Number(row?.['number']);
      if (number >= least) return number;
      const failed = await failure();
      if (failed !== null) throw new Error(failed);
      if (Date.now() > deadline) throw new Error(`${table} was not filled within ${limitMs / 1000} s`);
      await delay(everyMs);
    }
  };
  const first = await until(`SELECT count(*) AS number FROM ${table}`, 1, 5);
  const started = performance.now();
  const [before, databaseBefore] = [await usageOf(pid), await cpuOfServer(databasePid)];
  // Rows come in the order of the stream, so what is there already is a share of the changes too.
  const changes = stream.changes * (1 - first / stream.inserts);
  const ends = stream.markers.join(', ');
  await until(`SELECT count(*) AS number FROM ${table} WHERE id IN (${ends})`, stream.markers.length, 20);
  const seconds = (performance.now() - started) / 1000;
  const [after, databaseAfter] = [await usageOf(pid), await cpuOfServer(databasePid)];
  const rows = await until(`SELECT count(*) AS number FROM ${table}`, 0, 0);
  if (rows !== stream.rows) throw new Error(`${table} has ${rows} rows instead of ${stream.rows}`);
  const per = 100_000 / changes;
  return {
    rate: changes / seconds,
    cpu: (after.cpuSeconds - before.cpuSeconds) * per,
    databaseCpu: (databaseAfter - databaseBefore) * per,
    peakRssMib: after.peakRssMib,
  };
}
