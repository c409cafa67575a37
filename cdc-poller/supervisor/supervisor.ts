import { CdcError, describeError, type PollerTableConfig } from '#pipeline/index.ts';
import { createTableMonitor, type MonitorListener, type TableFigures, type TableMonitor } from '../metrics/table-monitor.ts';
import { patienceMs } from '../pace/patience.ts';
import type { PollerContext, TableAssignment } from './context.ts';
import { isFenced, isUnfit } from './final-errors.ts';
import { runTable } from './table-runner.ts';

/** Runs the tables of this process side by side; one that fails for good leaves the others alone. */
export type Supervisor = {
  /**
   * The tables to poll from now on. Runs of others end gracefully; a table that failed is not begun again before it was unwanted.
   *
   * @param all whether these are all tables of the poller: then the process ends when all have failed
   */
  want(tables: readonly PollerTableConfig[], all: boolean): void;
  /** Of the tables wanted now. */
  figures(): readonly TableFigures[];
  /**
   * Resolves when the signal was aborted, or with `once` when all wanted tables are through, and every run has ended. Rejects with what ends the
   * process: a table lost to a newer process that takes all over, or the first error when all tables have failed.
   */
  readonly ended: Promise<void>;
};

export type SupervisorOptions = {
  readonly context: PollerContext;
  /** As in {@link TableAssignment}: null when tables are not shared. */
  readonly confirmed: ((signal: AbortSignal) => Promise<void>) | null;
  readonly listener: MonitorListener | null;
  /** For tests. */
  readonly run?: (context: PollerContext, assignment: TableAssignment) => Promise<void>;
};

type Failure = { readonly error: unknown };
type Run = { readonly controller: AbortController; readonly monitor: TableMonitor };

/** What the process ends with when tables have failed: all errors of tables that cannot be polled, so that a person can fix them together. */
function failureOf(failures: readonly (Failure | null)[]): Failure | null {
  const failed = failures.filter((failure) => failure !== null);
  const unfit = failed.map(({ error }) => error).filter(isUnfit);
  if (unfit.length < 2 || unfit.length < failed.length) return null;
  const lines = unfit.map(({ code, message, remedy }) => (code === 'TABLES_UNFIT' ? message : `${message}. ${remedy}`));
  return { error: new CdcError('TABLES_UNFIT', lines.join('\n')) };
}

export function createSupervisor({ context, confirmed, listener, run = runTable }: SupervisorOptions): Supervisor {
  const { poller, logger, once } = context;
  const result = Promise.withResolvers<void>();
  const stop = new AbortController();
  const stopped = AbortSignal.any([context.signal, stop.signal]);
  const running = new Map<string, Run>();
  /** Wanted tables that no longer run: failed, or (`once`) through. */
  const over = new Map<string, { readonly failure: Failure | null; readonly monitor: TableMonitor }>();
  let wanted = new Map<string, PollerTableConfig>();
  let wantsAll = false;
  let firstFailure: Failure | null = null;
  let endedBy: Failure | null = null;

  const begin = (table: PollerTableConfig): void => {
    const controller = new AbortController();
    const signal = AbortSignal.any([stopped, controller.signal]);
    const monitor = createTableMonitor(table.table, patienceMs(poller, table), listener);
    running.set(table.table, { controller, monitor });
    const assignment: TableAssignment = { table, signal, monitor, confirmed: confirmed === null ? null : () => confirmed(signal) };
    // Begun a tick later, so that a run that ends at once finds itself registered.
    void Promise.resolve()
      .then(() => run(context, assignment))
      .then(
        () => settle(table.table, signal, null),
        (error: unknown) => settle(table.table, signal, { error }),
      );
  };

  const settle = (table: string, signal: AbortSignal, failure: Failure | null): void => {
    const ended = running.get(table);
    running.delete(table);
    if (failure !== null && signal.aborted) logger.warn({ table }, `while stopping: ${describeError(failure.error)}`);
    else if (ended !== undefined && failure !== null) {
      const { error } = failure;
      ended.monitor.failed(error, true);
      const code = error instanceof CdcError ? { code: error.code, remedy: error.remedy } : {};
      logger.error({ table, ...code }, `${describeError(error)}; this table is not polled any more`);
      if (isFenced(error)) end(failure);
    }
    if (ended !== undefined && wanted.has(table) && !signal.aborted) {
      over.set(table, { failure, monitor: ended.monitor });
      firstFailure ??= failure;
    }
    reconcile();
  };

  /** Nothing is begun any more; what runs is to end. */
  const end = (failure: Failure | null): void => {
    endedBy ??= failure;
    stop.abort();
  };

  const reconcile = (): void => {
    for (const [table, { controller }] of running) if (!wanted.has(table)) controller.abort();
    for (const table of over.keys()) if (!wanted.has(table)) over.delete(table);
    if (running.size === 0 && over.size === wanted.size) {
      const allFailed = over.size > 0 && [...over.values()].every(({ failure }) => failure !== null);
      if (once || (allFailed && wantsAll)) end(failureOf([...over.values()].map(({ failure }) => failure)) ?? firstFailure);
    }
    if (!stopped.aborted) {
      for (const [name, table] of wanted) if (!running.has(name) && !over.has(name)) begin(table);
    } else if (running.size === 0) {
      if (endedBy === null) result.resolve();
      else result.reject(endedBy.error);
    }
  };
  context.signal.addEventListener('abort', reconcile, { once: true });
  // Whoever ends before `ended` is looked at must not be killed by its rejection.
  result.promise.catch(() => undefined);

  return {
    want(tables, all) {
      wanted = new Map(tables.map((table) => [table.table, table]));
      wantsAll = all;
      reconcile();
    },
    figures: () =>
      [...wanted.keys()].flatMap((table) => {
        const monitor = running.get(table)?.monitor ?? over.get(table)?.monitor;
        return monitor === undefined ? [] : [monitor.figures()];
      }),
    ended: result.promise,
  };
}
