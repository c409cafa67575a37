import { measured, notMeasured, type Measured } from '../measured.ts';
import type { Session } from '../source/session.ts';
import { readProcessorTimes, spentMs, type ProcessorTimes, type Sessions } from './processor-time.ts';

/** What capture asked of the legacy database while the comparison was open. */
export type Cost = {
  readonly queriesPerMinute: Measured<number>;
  /** Rows that the server read for its queries; index and catalogue reads are not counted. */
  readonly rowsReadPerMinute: Measured<number>;
  /** Processor time of its sessions in the legacy database, in ms per minute. */
  readonly processorMsPerMinute: Measured<number>;
  /** WAL that the server keeps for it at the end, in bytes. */
  readonly walKeptBytes: Measured<number>;
};

/** Counts since capture began; only their growth is used. */
export type LoadCounters = { readonly queries: number; readonly rowsRead: number };

/** Where a strategy's cost can be read. */
export type CostProbe = {
  readonly sessions: Sessions;
  /** The capture's own counts, null when it does not answer; a string says why there are none to ask for. */
  readonly counters: (() => Promise<LoadCounters | null>) | string;
  /** Whether it reads a replication slot, which keeps WAL. */
  readonly hasSlot: boolean;
};

export type CostSample = { readonly atMs: number; readonly times: ProcessorTimes | null; readonly counters: LoadCounters | null };

export async function sampleCost(session: Session, { sessions, counters }: CostProbe): Promise<CostSample> {
  return {
    atMs: performance.now(),
    times: await readProcessorTimes(session, sessions),
    counters: typeof counters === 'string' ? null : await counters(),
  };
}

/** The cost between two samples. */
export async function costBetween(session: Session, probe: CostProbe, before: CostSample, after: CostSample): Promise<Cost> {
  const walKept = probe.hasSlot ? await readWalKept(session) : notMeasured('it has no replication slot');
  return { ...ratesBetween(probe, before, after), walKeptBytes: walKept };
}

/** Pure. */
export function ratesBetween(probe: Pick<CostProbe, 'counters'>, before: CostSample, after: CostSample): Omit<Cost, 'walKeptBytes'> {
  const perMinute = (amount: number): number => (amount * 60_000) / (after.atMs - before.atMs);
  const counted = (read: (counters: LoadCounters) => number): Measured<number> => {
    if (typeof probe.counters === 'string') return notMeasured(probe.counters);
    if (before.counters === null || after.counters === null) return notMeasured('no process of it answered');
    const grown = read(after.counters) - read(before.counters);
    return grown < 0 ? notMeasured('its process was restarted') : measured(perMinute(grown));
  };
  return {
    queriesPerMinute: counted(({ queries }) => queries),
    rowsReadPerMinute: counted(({ rowsRead }) => rowsRead),
    processorMsPerMinute: processorTime(before.times, after.times, perMinute),
  };
}

function processorTime(before: ProcessorTimes | null, after: ProcessorTimes | null, perMinute: (ms: number) => number): Measured<number> {
  if (before === null || after === null) return notMeasured("the legacy database's processes are not on this host");
  if (after.size === 0) return notMeasured('it had no session in the legacy database');
  return measured(perMinute(spentMs(before, after)));
}

async function readWalKept(session: Session): Promise<Measured<number>> {
  const [row] = await session.rows(
    `SELECT sum(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint::text FROM pg_replication_slots
      WHERE database = current_database() AND slot_type = 'logical'`,
  );
  const bytes = row?.[0] ?? null;
  return bytes === null ? notMeasured('the legacy database has no logical replication slot') : measured(Number(bytes));
}
