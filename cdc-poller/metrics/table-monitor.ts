import { CdcError, describeError } from '#pipeline/index.ts';
import type { HeldBackBy } from './held-back-by.ts';
import { isNarrow, worse, type WindowFigures } from './window-figures.ts';

/** `waiting`: for the next try after an error. `failed`: for good, in this process. */
export type TablePhase = 'starting' | 'loading' | 'polling' | 'waiting' | 'failed';

/** How far the first load has come, as far as this process has run it. */
export type LoadFigures = {
  readonly rowsRead: number;
  readonly rowsPerSecond: number;
  /** By the planner's estimate; null when there is none. */
  readonly rowsRemaining: number | null;
  readonly secondsRemaining: number | null;
};

/** What this process's key sweeps of a table came to. */
export type SweepFigures = {
  readonly sweeps: number;
  readonly deletesPublished: number;
  /** ISO 8601: the last sweep that was believed. */
  readonly lastSuccessAt: string | null;
  /** How the last one ended: only `found` is believed. */
  readonly lastOutcome: SweepOutcome;
};

/** As a sweep ends (docs/poller.md): what is not `found` published nothing. */
export type SweepOutcome = 'found' | 'too-many' | 'moved' | 'hidden' | 'gone' | 'failed';

/** Rows that were not published because their event is larger than the topic takes, counted when the position past them is committed. */
export type LeftOutFigures = {
  readonly skipped: number;
  readonly deadLettered: number;
  readonly last: LeftOutRow | null;
};

/** The event key of a row that was left out, and the size of its event. */
export type LeftOutRow = { readonly key: string; readonly bytes: number; readonly at: string };

/** What is known of a table that this process polls, as `/status` gives it. Counts are of this process. */
export type TableFigures = {
  readonly table: string;
  readonly phase: TablePhase;
  /** No successful poll for too long, or failed, or it waits for somebody to fix what is wrong. */
  readonly stuck: boolean;
  readonly rowsPublished: number;
  readonly rowsRead: number;
  readonly polls: number;
  readonly queries: number;
  readonly intervalMs: number | null;
  /** ISO 8601; null before the first poll. */
  readonly lastSuccessAt: string | null;
  /**
   * The age that the oldest unpublished row has at most, counted from its commit: whatever was committed longer ago has been published. Null
   * before the first observation.
   */
  readonly lagSeconds: number | null;
  /** How far the floor is behind the server's clock: rows younger than that are read again and again. */
  readonly fenceLagSeconds: number | null;
  readonly heldBackBy: HeldBackBy | null;
  readonly rememberedKeys: number;
  /** Null where there is no overlap window, or no poll yet. */
  readonly window: WindowFigures | null;
  readonly load: LoadFigures | null;
  readonly leftOut: LeftOutFigures;
  /** Null before the first sweep, and where none is asked for. */
  readonly sweep: SweepFigures | null;
  readonly errors: Readonly<Record<string, number>>;
  readonly lastError: { readonly code: string; readonly message: string; readonly remedy: string | null; readonly at: string } | null;
};

/** What one observation of the source says, in microseconds of the server's clock. */
export type Observed = { readonly clock: bigint; readonly floor: bigint; readonly rememberedKeys: number };

/** Collects what happens to a table while it is polled. */
export type TableMonitor = {
  readonly table: string;
  phase(phase: TablePhase): void;
  /** How old the position is: the age in ms of its last complete poll, or of its load. Counts once. */
  resumed(publishedUpToMs: number): void;
  observed(observed: Observed): void;
  heldBack(by: HeldBackBy | null): void;
  /** A poll reached the end of the table. `complete`: it left nothing unpublished that was committed before it began. */
  polled(poll: { readonly startedAt: number; readonly complete: boolean; readonly intervalMs: number }): void;
  /** @returns whether a row came later than any before it, and so late that the window looks too narrow */
  lateness(window: WindowFigures): boolean;
  queried(statements: number, rows: number): void;
  published(events: number): void;
  leftOut(rows: LeftOutRows): void;
  swept(sweep: { readonly outcome: SweepOutcome; readonly deletes: number }): void;
  loading(load: LoadFigures | null): void;
  /** @param needsHelp whether it does not pass by itself */
  failed(error: unknown, final: boolean, needsHelp?: boolean): void;
  figures(): TableFigures;
};

/** Rows that one commit left out, never none. */
export type LeftOutRows = {
  readonly action: 'skip' | 'dead-letter';
  readonly rows: readonly { readonly key: string; readonly bytes: number }[];
};

/** Called with each event that a histogram or a counter keeps for itself. */
export type MonitorListener = { readonly polled: (table: string, seconds: number) => void };

/**
 * @param patienceMs a table is stuck that has had no success for this long
 * @param now a monotonic clock in ms, for tests
 */
export function createTableMonitor(
  table: string,
  patienceMs: number,
  listener: MonitorListener | null = null,
  now: () => number = () => performance.now(),
): TableMonitor {
  const createdAt = now();
  let phase: TablePhase = 'starting';
  let counts = { rowsPublished: 0, rowsRead: 0, polls: 0, queries: 0 };
  let intervalMs: number | null = null;
  let successAt: number | null = null;
  let publishedUpTo: number | null = null;
  let seen: (Observed & { readonly at: number }) | null = null;
  let heldBackBy: HeldBackBy | null = null;
  let load: LoadFigures | null = null;
  let leftOut: LeftOutFigures = { skipped: 0, deadLettered: 0, last: null };
  let sweep: SweepFigures | null = null;
  let window: WindowFigures | null = null;
  let isHelpless = false;
  let lastError: TableFigures['lastError'] = null;
  const errors: Record<string, number> = {};
  const wallClock = (at: number): string => new Date(Date.now() - (now() - at)).toISOString();
  return {
    table,
    phase: (next) => {
      phase = next;
    },
    resumed: (ms) => {
      publishedUpTo ??= now() - ms;
    },
    observed: (observed) => {
      seen = { ...observed, at: now() };
    },
    heldBack: (by) => {
      heldBackBy = by;
    },
    polled: (poll) => {
      isHelpless = false;
      phase = 'polling';
      load = null;
      successAt = now();
      counts = { ...counts, polls: counts.polls + 1 };
      intervalMs = poll.intervalMs;
      if (poll.complete) publishedUpTo = poll.startedAt;
      listener?.polled(table, (successAt - poll.startedAt) / 1000);
    },
    lateness: (seenNow) => {
      const before = window?.latest ?? 0;
      window = worse(window, seenNow);
      return window.latest > before && isNarrow(window);
    },
    queried: (statements, rows) => {
      counts = { ...counts, queries: counts.queries + statements, rowsRead: counts.rowsRead + rows };
    },
    published: (events) => {
      counts = { ...counts, rowsPublished: counts.rowsPublished + events };
    },
    leftOut: ({ action, rows }) => {
      const last = rows.at(-1);
      const at = new Date().toISOString();
      leftOut = {
        skipped: leftOut.skipped + (action === 'skip' ? rows.length : 0),
        deadLettered: leftOut.deadLettered + (action === 'dead-letter' ? rows.length : 0),
        last: last === undefined ? leftOut.last : { ...last, at },
      };
    },
    swept: ({ outcome, deletes }) => {
      sweep = {
        sweeps: (sweep?.sweeps ?? 0) + 1,
        deletesPublished: (sweep?.deletesPublished ?? 0) + deletes,
        lastSuccessAt: outcome === 'found' ? new Date().toISOString() : (sweep?.lastSuccessAt ?? null),
        lastOutcome: outcome,
      };
    },
    loading: (figures) => {
      isHelpless = false;
      phase = 'loading';
      successAt = now();
      load = figures;
    },
    failed: (error, final, needsHelp = final) => {
      isHelpless = needsHelp;
      phase = final ? 'failed' : 'waiting';
      const code = error instanceof CdcError ? error.code : 'UNEXPECTED';
      errors[code] = (errors[code] ?? 0) + 1;
      const remedy = error instanceof CdcError ? error.remedy : null;
      lastError = { code, message: describeError(error), remedy, at: new Date().toISOString() };
    },
    figures: () => {
      const at = now();
      return {
        table,
        phase,
        stuck: phase === 'failed' || isHelpless || at - (successAt ?? createdAt) > patienceMs,
        ...counts,
        intervalMs,
        lastSuccessAt: successAt === null ? null : wallClock(successAt),
        lagSeconds: publishedUpTo === null ? null : (at - publishedUpTo) / 1000,
        fenceLagSeconds: seen === null ? null : Number((seen.clock - seen.floor) / 1000n) / 1000 + (at - seen.at) / 1000,
        heldBackBy,
        rememberedKeys: seen?.rememberedKeys ?? 0,
        window,
        load,
        leftOut,
        sweep,
        errors: { ...errors },
        lastError,
      };
    },
  };
}
