import type { Mark } from '../fence/floor.ts';
import type { Capture } from '../position/position.ts';

/** How an overlap window fares. A row that comes later than it is wide is lost, and nothing can show that one. */
export type WindowFigures = {
  readonly unit: 'seconds' | 'ids';
  readonly width: number;
  /** The latest that a row has come after a poll that it should have been in, by its timestamp or id. */
  readonly latest: number;
};

/** Null for a capture without a window. Pure. */
export function windowFigures(capture: Capture, margin: Mark, late: Mark): WindowFigures | null {
  if (capture === 'window') return { unit: 'seconds', width: Number(margin) / 1e6, latest: Number(late) / 1e6 };
  return capture === 'id-window' ? { unit: 'ids', width: Number(margin), latest: Number(late) } : null;
}

/** Whether rows come so late that the next may be lost: more than half the width after they should have. */
export function isNarrow({ width, latest }: WindowFigures): boolean {
  return latest > width / 2;
}

/** The later of two. */
export function worse(one: WindowFigures | null, other: WindowFigures): WindowFigures {
  return one === null || one.unit !== other.unit || other.latest > one.latest ? other : { ...one, width: other.width };
}
