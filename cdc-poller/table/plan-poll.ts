import { followClock, type ClockReference } from '../fence/clock.ts';
import { lowerFloor, type FloorState, type Mark, type Micros } from '../fence/floor.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import { advance } from '../position/advance.ts';
import { afterPass, isWindow, nextPass, observeRepair, startPosition, type Position, type StartOptions } from '../position/position.ts';
import type { Dialect, WatchedObservation } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';

/** What a table's loop knows of the server from one poll to the next. None of it has to survive the process. */
export type Known = {
  /** How far the table's sequence was at the last observation; null where it cannot be asked. */
  readonly drawn: bigint | null;
  readonly candidates: FloorState['candidates'];
  /** The snapshot whose rows have all been published; empty for none. */
  readonly settledSnapshot: string;
  readonly clock: ClockReference;
};

export const nothingKnown: Known = { drawn: null, candidates: [], settledSnapshot: '', clock: null };

/** One poll: what is read, from where, and where the position is when that is done. */
export type Poll = {
  readonly seen: WatchedObservation;
  /** Before the pass. */
  readonly position: Position;
  readonly pass: Pass;
  /** The pass was begun by an earlier process. */
  readonly resumed: boolean;
  /** Nothing was committed since the last poll ended: the answer would be the same. */
  readonly isIdle: boolean;
  /** Of a window: the clock or the highest id at the poll before, which should have shown what is below it. */
  readonly shownBefore: Mark | null;
  /** By how much the server's clock went back since the last observation. */
  readonly steppedBack: Micros;
  /** How old the position's state is. */
  readonly behind: Micros;
  /** What is known while the pass runs, and what when it has ended. */
  readonly known: Known;
  readonly knownAfter: Known;
  /** The position after the pass, which ended at a cursor. */
  readonly finish: (cursor: Cursor | null) => Position;
};

export type PollContext = {
  readonly shape: TableShape;
  readonly dialect: Pick<Dialect, 'readWatch'>;
  readonly start: StartOptions;
  /** The position that is stored; null for a table without one. */
  readonly stored: Position | null;
  /** No more keys can be remembered. */
  readonly isFull: boolean;
  /** This process' monotonic time in ms before the observation and after it. */
  readonly askedAt: number;
  readonly answeredAt: number;
};

/**
 * What an observation of the server leads to. Pure.
 *
 * @throws TableReshaped
 */
export function planPoll(context: PollContext, known: Known, seen: WatchedObservation): Poll {
  const { shape, start: options, stored, askedAt, answeredAt } = context;
  const { margin } = options;
  const { capture } = shape;
  const start = stored ?? startPosition(options, seen);
  const isSettled = seen.snapshot.text === known.settledSnapshot;
  // Without a transaction since, the table is what it was.
  const drawn = isSettled ? known.drawn : context.dialect.readWatch(shape, seen.watched, start.high);
  // After a restart the time that passed is not known: to take it for none is safe.
  const before = known.clock ?? { clock: start.clock, askedAt, answeredAt: askedAt };
  const followed = followClock(before, { clock: seen.clock, askedAt, answeredAt });
  const steppedBack = capture === 'time' || capture === 'window' ? followed.step : 0n;
  const floors = lowerFloor({ floor: start.floor, candidates: known.candidates }, steppedBack);
  const position: Position = {
    ...start,
    clock: seen.clock,
    log: seen.log ?? start.log,
    done: false,
    floor: floors.floor ?? start.floor,
    repair: observeRepair(start.repair, seen),
  };
  const resumed = position.pass !== null && stored !== null;
  const pass = position.pass ?? nextPass(position, seen, margin);
  // A pass that was begun by an earlier process, or that does not read from the floor on, proves nothing about the floor.
  const after =
    resumed || pass.kind !== 'poll'
      ? { floor: position.floor, candidates: floors.candidates }
      : advance(position, floors.candidates, seen, { margin, drawn: known.drawn });
  const knownNow: Known = { ...known, drawn, candidates: floors.candidates, clock: followed.reference };
  const settledSnapshot = pass.kind === 'poll' ? (resumed ? '' : seen.snapshot.text) : known.settledSnapshot;
  // A query may look at the time; and a window moves on even past rows that had to wait.
  const mayDiffer = shape.query !== null || (isWindow(capture) && context.isFull);
  return {
    seen,
    position,
    pass,
    resumed,
    isIdle: pass.kind === 'poll' && !mayDiffer && !resumed && isSettled,
    shownBefore:
      pass.kind === 'poll' && isWindow(capture) && start.horizon !== null ? (capture === 'window' ? start.clock : start.high) : null,
    steppedBack,
    behind: seen.clock - (start.pass?.kind === 'load' && capture === 'time' ? start.floor + margin : start.clock),
    known: knownNow,
    knownAfter: { ...knownNow, candidates: after.candidates, settledSnapshot },
    finish: (cursor) => ({ ...afterPass(position, pass, cursor), floor: after.floor ?? position.floor }),
  };
}
