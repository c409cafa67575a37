import { operationKinds, type OperationKind } from './operation.ts';

/** What a workload did. Counts are of what its own connections saw. */
export type WorkloadStatistics = {
  readonly seed: number;
  readonly writers: number;
  readonly elapsedMs: number;
  /** Ended by its signal before the plan did. */
  readonly aborted: boolean;
  readonly operations: {
    readonly started: number;
    readonly byKind: Readonly<Record<OperationKind, number>>;
    /** Planned for the time given, but the time was over: the writers could not keep the rate, or were aborted. */
    readonly notStarted: number;
    /** Started more than 100 ms after they were due: back-pressure. */
    readonly startedLate: number;
    readonly maxLagMs: number;
  };
  readonly transactions: {
    readonly committed: number;
    /** Among the committed: held open on purpose after their last write. */
    readonly committedLate: number;
    /** As planned. */
    readonly rolledBack: number;
    /** Rolled back by the server's will: deadlock, lock or statement timeout, serialization, a parent row gone. */
    readonly conflicts: number;
    /** Their connection broke; whether they committed is unknown to the application. */
    readonly lost: number;
  };
  readonly savepoints: { readonly released: number; readonly rolledBack: number };
  /** Steps that found their row gone. */
  readonly rowsGone: number;
  readonly reconnects: number;
};

/** The counters while it runs. */
export type Tally = {
  started: number;
  byKind: Record<OperationKind, number>;
  startedLate: number;
  maxLagMs: number;
  committed: number;
  committedLate: number;
  rolledBack: number;
  conflicts: number;
  lost: number;
  savepointsReleased: number;
  savepointsRolledBack: number;
  rowsGone: number;
  reconnects: number;
};

const lateMs = 100;

export function createTally(): Tally {
  const byKind: Record<OperationKind, number> = {
    'place-order': 0,
    patch: 0,
    replace: 0,
    'cancel-order': 0,
    'remove-item': 0,
    register: 0,
    burst: 0,
    'late-commit': 0,
    rollback: 0,
    savepoint: 0,
    'multi-table': 0,
  };
  return {
    started: 0,
    byKind,
    startedLate: 0,
    maxLagMs: 0,
    committed: 0,
    committedLate: 0,
    rolledBack: 0,
    conflicts: 0,
    lost: 0,
    savepointsReleased: 0,
    savepointsRolledBack: 0,
    rowsGone: 0,
    reconnects: 0,
  };
}

export function countStart(tally: Tally, kind: OperationKind, lagMs: number): void {
  tally.started += 1;
  tally.byKind[kind] += 1;
  if (lagMs > lateMs) tally.startedLate += 1;
  tally.maxLagMs = Math.max(tally.maxLagMs, lagMs);
}

/** `planned` is how many operations the plan holds; Infinity when it has no end. */
export function summarise(
  tally: Tally,
  run: { readonly seed: number; readonly writers: number; readonly elapsedMs: number; readonly aborted: boolean; readonly planned: number },
): WorkloadStatistics {
  const { seed, writers, elapsedMs, aborted, planned } = run;
  const { started, byKind, startedLate, maxLagMs, committed, committedLate, rolledBack, conflicts, lost, rowsGone, reconnects } = tally;
  return {
    seed,
    writers,
    elapsedMs: Math.round(elapsedMs),
    aborted,
    operations: {
      started,
      byKind: { ...byKind },
      notStarted: Number.isFinite(planned) ? Math.max(0, planned - started) : 0,
      startedLate,
      maxLagMs: Math.round(maxLagMs),
    },
    transactions: { committed, committedLate, rolledBack, conflicts, lost },
    savepoints: { released: tally.savepointsReleased, rolledBack: tally.savepointsRolledBack },
    rowsGone,
    reconnects,
  };
}

/** A few lines for people. */
export function describeWorkload(statistics: WorkloadStatistics): string {
  const { operations, transactions, savepoints } = statistics;
  const kinds = operationKinds.map((kind) => `${kind} ${operations.byKind[kind]}`).join(', ');
  return [
    `${operations.started} operations in ${(statistics.elapsedMs / 1000).toFixed(1)} s by ${statistics.writers} writers, seed ${statistics.seed}${statistics.aborted ? ' (aborted)' : ''}`,
    `  ${kinds}`,
    `  transactions: ${transactions.committed} committed (${transactions.committedLate} late), ${transactions.rolledBack} rolled back, ${transactions.conflicts} conflicts, ${transactions.lost} lost; savepoints: ${savepoints.released} released, ${savepoints.rolledBack} rolled back`,
    `  pace: ${operations.startedLate} started late (at most ${operations.maxLagMs} ms), ${operations.notStarted} not started; rows found gone: ${statistics.rowsGone}; reconnects: ${statistics.reconnects}`,
  ].join('\n');
}
