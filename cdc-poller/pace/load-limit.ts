/** The most that may be asked of the legacy database. Null: no bound. */
export type LoadLimit = {
  readonly maxRowsPerSecond: number | null;
  /** Share of time in which queries may run, above 0 and up to 1. */
  readonly dutyCycle: number | null;
};

/** When the next query may start, by either bound, in ms of a monotonic clock. */
export type LoadState = { readonly rowsFreeAt: number; readonly timeFreeAt: number };

/** A query that has ended. */
export type QueryCost = { readonly startedAt: number; readonly endedAt: number; readonly rows: number };

export const noLoad: LoadState = { rowsFreeAt: 0, timeFreeAt: 0 };

/**
 * The state after a query. Each query pays for itself afterwards: its rows at `maxRowsPerSecond`, its time at `dutyCycle`. Nothing is saved up
 * while idle, so that the rows of any stretch of time are at most its rate times its length and one page (of each table at work). Pure.
 */
export function charge(state: LoadState, { startedAt, endedAt, rows }: QueryCost, { maxRowsPerSecond, dutyCycle }: LoadLimit): LoadState {
  return {
    rowsFreeAt: maxRowsPerSecond === null ? 0 : Math.max(state.rowsFreeAt, startedAt) + (rows * 1000) / maxRowsPerSecond,
    timeFreeAt: dutyCycle === null ? 0 : Math.max(state.timeFreeAt, startedAt) + (endedAt - startedAt) / dutyCycle,
  };
}

/** Milliseconds to wait at `now` before the next query. Pure. */
export function waitMs({ rowsFreeAt, timeFreeAt }: LoadState, now: number): number {
  return Math.max(0, rowsFreeAt - now, timeFreeAt - now);
}
