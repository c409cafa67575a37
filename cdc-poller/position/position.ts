import type { Micros, Observation } from '../fence/floor.ts';
import type { Cursor, Pass } from '../fence/pass.ts';

/**
 * Where the poller stands in one table. Written to Kafka in the transaction that carries the events, so that it is always exactly as
 * far as what was published. Values, not objects: each change gives a new one.
 */
export type Position = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  /** The server's clock when it was last read. */
  readonly clock: Micros;
  /** No pass but a repair looks below it. */
  readonly floor: Micros;
  /** Every row version of a transaction below it has been published, save what a repair is still to bring. Null until the first poll ended. */
  readonly horizon: bigint | null;
  /** The pass in whose middle the poller stands. */
  readonly pass: Pass | null;
  /** What the load left to a repair pass; null when nothing. */
  readonly repair: Repair | null;
};

/** Transactions that were open when the load began: what they write may lie below the floor. */
export type Repair = {
  readonly below: Micros;
  readonly horizon: bigint;
  /** Of those transactions, the virtual ids that have not been seen ended. */
  readonly open: ReadonlySet<string>;
  /** As in the floor: once all are seen ended, the xmax that the snapshot's xmin must reach (prepared transactions). */
  readonly gate: bigint | null;
};

type ServerId = { readonly systemIdentifier: string; readonly timeline: string };

/** The position of a table that has none: at the start of its load. */
export function startPosition({ systemIdentifier, timeline }: ServerId, seen: Observation, margin: Micros): Position {
  const floor = seen.clock - margin;
  const { xmin, xmax } = seen.snapshot;
  const quiet = seen.open.size === 0 && xmin === xmax;
  return {
    systemIdentifier,
    timeline,
    clock: seen.clock,
    floor,
    horizon: null,
    pass: { kind: 'load', from: null, below: floor, horizon: null, nextHorizon: xmin, cursor: null },
    repair: quiet ? null : { below: floor, horizon: xmin, open: seen.open, gate: null },
  };
}

/** Takes note of what an observation says about the transactions that the repair waits for. */
export function observeRepair(repair: Repair | null, { open, snapshot }: Observation): Repair | null {
  if (repair === null || repair.gate !== null) return repair;
  const still = repair.open.intersection(open);
  return { below: repair.below, horizon: repair.horizon, open: still, gate: still.size === 0 ? snapshot.xmax : null };
}

/** The pass to begin now: the repair as soon as it can be whole, else a poll. */
export function nextPass(position: Position, { snapshot }: Observation): Pass {
  const { repair, floor, horizon } = position;
  if (repair !== null && repair.gate !== null && snapshot.xmin >= repair.gate) {
    return { kind: 'repair', from: null, below: repair.below, horizon: repair.horizon, nextHorizon: snapshot.xmin, cursor: null };
  }
  return { kind: 'poll', from: floor, below: null, horizon, nextHorizon: snapshot.xmin, cursor: null };
}

/** The position after a page that is not the last of its pass. */
export function afterPage(position: Position, pass: Pass, cursor: Cursor): Position {
  return { ...position, pass: { ...pass, cursor } };
}

/** The position after a whole pass. */
export function afterPass(position: Position, pass: Pass): Position {
  const rested: Position = { ...position, pass: null };
  if (pass.kind === 'load') return rested;
  if (pass.kind === 'repair') return { ...rested, repair: null };
  return { ...rested, horizon: pass.nextHorizon };
}
