import { pause } from '#pipeline/index.ts';
import type { SourceSession, TextRows } from '../source/dialect.ts';
import { charge, noLoad, waitMs, type LoadLimit, type QueryCost } from './load-limit.ts';

/** Keeps what it governs, one table or all tables of the process, within a limit. */
export type Governor = {
  /** Milliseconds until a query may start. */
  waitMs(): number;
  /** @param statements how many the server ran for it */
  charge(cost: QueryCost, statements: number): void;
};

/** Null when nothing is limited. */
export function createGovernor({
  maxRowsPerSecond = null,
  dutyCycle = null,
}: {
  readonly maxRowsPerSecond?: number | null | undefined;
  readonly dutyCycle?: number | null | undefined;
}): Governor | null {
  if (maxRowsPerSecond === null && dutyCycle === null) return null;
  const limit: LoadLimit = { maxRowsPerSecond, dutyCycle };
  let state = noLoad;
  return {
    waitMs: () => waitMs(state, performance.now()),
    charge: (cost) => {
      state = charge(state, cost, limit);
    },
  };
}

/**
 * The session with each query held until every governor lets it go, pages of a load included. When the signal is aborted nothing
 * is held any more: what is under way is to end soon.
 */
export function governed(session: SourceSession, governors: readonly Governor[], signal: AbortSignal): SourceSession {
  const hold = async (): Promise<void> => {
    for (;;) {
      const ms = Math.max(...governors.map((governor) => governor.waitMs()));
      if (ms <= 0 || signal.aborted) return;
      await pause(ms, signal);
    }
  };
  const within = async <T>(work: () => Promise<T>, statements: number, rowsOf: (result: T) => number): Promise<T> => {
    await hold();
    const startedAt = performance.now();
    let rows = 0;
    try {
      const result = await work();
      rows = rowsOf(result);
      return result;
    } finally {
      const endedAt = performance.now();
      for (const governor of governors) governor.charge({ startedAt, endedAt, rows }, statements);
    }
  };
  const copyPage = session.copyPage?.bind(session);
  const prepared = session.prepared?.bind(session);
  return {
    ...session,
    ...(copyPage === undefined
      ? {}
      : {
          copyPage: (text) =>
            within(
              () => copyPage(text),
              1,
              ({ rows }) => rows,
            ),
        }),
    ...(prepared === undefined ? {} : { prepared: (text, values) => within(() => prepared(text, values), 1, none) }),
    query: (text, values, rowsOf = none) => within(() => session.query(text, values), 1, rowsOf),
    observe: (watch, settled) => within(() => session.observe(watch, settled), 2, none),
    page: (query) => within(() => session.page(query), 1, count),
  };
}

function count(rows: TextRows): number {
  return rows.length;
}

/** Catalogue and clock: their time counts, their few rows do not. */
function none(): number {
  return 0;
}
