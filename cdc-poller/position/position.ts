import { beginning, latest, type Mark, type Micros, type Observation } from '../fence/floor.ts';
import type { Cursor, Pass } from '../fence/pass.ts';

/**
 * What decides which rows of a table are new:
 *
 * - `time`, `id`: the fence, with a floor on a timestamp or on an id (mode incrementing);
 * - `window`: views and queries, and databases without a fence: an overlap window on a timestamp, best effort;
 * - `id-window`: the same on an id (mode incrementing): so many ids wide;
 * - `whole`: not at all (mode bulk).
 */
export type Capture = 'time' | 'id' | 'window' | 'id-window' | 'whole';

/** What the marks, cursors and keys of a position are made of. To go on with others would lose or repeat rows. */
export type Basis = {
  readonly capture: Capture;
  /** Columns of the timestamp or id that the floor is on, with the time zone of a timestamp without one. */
  readonly by: readonly string[];
  /** Columns that pages are ordered by. */
  readonly order: readonly string[];
  readonly key: readonly string[];
};

/** Which relation was read: a table that is dropped and made again has another oid; TRUNCATE and rewrites give it another file. */
export type Relation = { readonly oid: string; readonly file: string };

/** The last rows that were published, each with the transaction that wrote it: they show whether the server's history is still the same. */
export type Witness = {
  /** The xmin of the snapshot that the rows were read after: a later version of one of them is of a transaction at or past it. */
  readonly below: bigint;
  /** `time`: the one that the row carries, where it does. A transaction leaves one version of a row. */
  readonly rows: readonly { readonly key: readonly string[]; readonly xid: bigint; readonly time: Micros | null }[];
};

/**
 * How far the poller is in one table. Written to Kafka in the transaction that carries the events, so that it is always exactly as
 * far as what was published. Values, not objects: each change gives a new one.
 */
export type Position = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  /** Null in positions that version 1 wrote: by timestamp, as it was configured then. */
  readonly basis: Basis | null;
  readonly relation: Relation | null;
  /** The server's clock when it was last read. */
  readonly clock: Micros;
  /** How far the server's log was then; null where the server does not say. */
  readonly log: string | null;
  /** Null where rows do not show which transaction wrote them, and before one was published. */
  readonly witness: Witness | null;
  /** Kafka's id of the topic that the table's events are in; null where the broker has none, and in positions of before. */
  readonly topicId: string | null;
  /** No pass but a repair looks below it. */
  readonly floor: Mark;
  /** Mode incrementing: the highest id that passes have read to their end. */
  readonly high: bigint | null;
  /**
   * Every row version of a transaction below it has been published, save what a repair is still to bring. Null until the first poll ended.
   * For a window, microseconds or an id: what is stamped before it is not looked at any more.
   */
  readonly horizon: bigint | null;
  /** The pass that the poller is in. */
  readonly pass: Pass | null;
  /** What the load left to a repair pass; null when nothing. */
  readonly repair: Repair | null;
  /** Every delete of a transaction below it has been published, by the last key sweep that was believed; null without one. */
  readonly swept: bigint | null;
  /** Left by a process that was to publish what is there and end (`--once`), when it had. */
  readonly done: boolean;
};

/** Transactions that were open when the load began: what they write may lie below the floor. */
export type Repair = {
  /** As the load: null from the beginning. */
  readonly from: Mark | null;
  readonly below: Mark;
  readonly horizon: bigint;
  /** Of those transactions, the virtual ids that have not been seen ended. */
  readonly open: ReadonlySet<string>;
  /** As in the floor: once all are seen ended, the xmax that the snapshot's xmin must reach (prepared transactions). */
  readonly gate: bigint | null;
};

/** Where a table without a position begins; a mark is an instant or an id. */
export type Start = 'everything' | 'now' | { readonly from: Mark };

export type StartOptions = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  readonly basis: Basis;
  readonly relation: Relation | null;
  readonly topicId?: string | null;
  readonly start: Start;
  /** Clock margin of `time`, overlap of the windows, in µs or in ids; 0 for the others. */
  readonly margin: Mark;
  /** Of ids: the highest there is, read before the observation; null when there is none. */
  readonly high: bigint | null;
};

/** The position of a table that has none: at the start of its load, or past it. */
export function startPosition(options: StartOptions, seen: Observation): Position {
  const { systemIdentifier, timeline, basis, relation, topicId = null, start, margin, high } = options;
  const { capture } = basis;
  const { xmin, xmax } = seen.snapshot;
  const nothingYet = { log: null, witness: null, pass: null, repair: null, swept: null, done: false };
  const base = { systemIdentifier, timeline, basis, relation, topicId, clock: seen.clock, high, ...nothingYet };
  if (capture === 'whole') return { ...base, floor: beginning, horizon: null };
  const floor = capture === 'id' ? idMark(high) : capture === 'id-window' ? idMark(high) - margin : seen.clock - margin;
  const quiet = seen.open.size === 0 && xmin === xmax;
  const isFenced = !isWindow(capture);
  const repair = (from: Mark | null): Repair | null =>
    quiet || !isFenced ? null : { from, below: floor, horizon: xmin, open: seen.open, gate: null };
  const now = capture === 'window' ? seen.clock : capture === 'id-window' ? idMark(high) : floor;
  // What had committed past xmin may come again as new: `now` promises what commits from now on, and that it hardly gives more.
  if (start === 'now') return { ...base, floor: now, horizon: isFenced ? xmin : now, repair: repair(null) };
  const from = start === 'everything' ? null : start.from < floor ? start.from : floor;
  const pass: Pass = { kind: 'load', from, below: floor, horizon: null, nextHorizon: xmin, cursor: null };
  return { ...base, floor, horizon: null, pass, repair: repair(from) };
}

/** The mark of a moment by which an id had been drawn: later ones are higher. */
export function idMark(high: bigint | null): Mark {
  return high === null ? beginning : high + 1n;
}

/** Takes note of what an observation says about the transactions that the repair waits for. */
export function observeRepair(repair: Repair | null, { open, snapshot }: Observation): Repair | null {
  if (repair === null || repair.gate !== null) return repair;
  const still = repair.open.intersection(open);
  return { ...repair, open: still, gate: still.size === 0 ? snapshot.xmax : null };
}

/** The pass to begin now: the repair as soon as it can be whole, else a poll. `margin` as in {@link StartOptions}. */
export function nextPass(position: Position, { clock, snapshot }: Observation, margin: Mark): Pass {
  const { repair, floor, horizon } = position;
  const capture = position.basis?.capture ?? 'time';
  if (capture === 'whole') return { kind: 'whole', from: null, below: null, horizon: null, nextHorizon: snapshot.xmin, cursor: null };
  if (repair !== null && repair.gate !== null && snapshot.xmin >= repair.gate) {
    const { from, below } = repair;
    return { kind: 'repair', from, below, horizon: repair.horizon, nextHorizon: snapshot.xmin, cursor: null };
  }
  const from = floor <= beginning ? null : floor;
  const nextHorizon = windowStart(position, clock, margin) ?? snapshot.xmin;
  return { kind: 'poll', from, below: null, horizon, nextHorizon, cursor: null };
}

export function isWindow(capture: Capture): boolean {
  return capture === 'window' || capture === 'id-window';
}

/** Where the window begins after a poll that begins now; null for a capture that has none. */
export function windowStart({ basis, floor, high }: Position, clock: Micros, margin: Mark): Mark | null {
  if (basis?.capture === 'window') return latest(floor, clock - margin);
  return basis?.capture === 'id-window' ? latest(floor, idMark(high) - margin) : null;
}

/** The position after a page that is not the last of its pass. */
export function afterPage(position: Position, pass: Pass, cursor: Cursor): Position {
  return { ...position, pass: { ...pass, cursor } };
}

/** The position after a whole pass that ended at `cursor` (null: it met no row). */
export function afterPass(position: Position, pass: Pass, cursor: Cursor | null): Position {
  const rested: Position = { ...position, pass: null, high: highAfter(position, cursor) };
  if (pass.kind === 'load') return rested;
  if (pass.kind === 'repair') return { ...rested, repair: null };
  return { ...rested, horizon: pass.nextHorizon };
}

function highAfter({ basis, high }: Position, cursor: Cursor | null): bigint | null {
  const last = basis?.capture === 'id' || basis?.capture === 'id-window' ? cursor?.[0] : undefined;
  return last === undefined ? high : latest(high, BigInt(last));
}
