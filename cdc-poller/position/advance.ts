import { advanceFloor, type FloorState, type Mark, type Observation } from '../fence/floor.ts';
import { idMark, isWindow, windowStart, type Position } from './position.ts';

/**
 * Floor and candidates after a poll that began with `seen` and reads from the position's floor to the end. Pure.
 *
 * By id, the mark of this moment is the highest id that earlier passes have read, and no higher than the sequence was (`drawn`) where that
 * could be asked: both were read before `seen`, as the floor needs it. An id that somebody wrote by hand, above the sequence, then cannot lift the
 * floor over the ids that the sequence has yet to give.
 *
 * A window needs no moments: it reaches `margin` behind the clock or the highest id, and what commits later than that is lost.
 */
export function advance(
  position: Position,
  candidates: FloorState['candidates'],
  seen: Observation,
  { margin, drawn }: { readonly margin: Mark; readonly drawn: bigint | null },
): FloorState {
  const { floor, high } = position;
  const capture = position.basis?.capture ?? 'time';
  if (capture === 'whole') return { floor, candidates: [] };
  if (isWindow(capture)) return { floor: windowStart(position, seen.clock, margin), candidates: [] };
  if (capture === 'time') return advanceFloor({ floor, candidates }, seen, margin);
  const mark = high !== null && drawn !== null && drawn < high ? drawn : high;
  return advanceFloor({ floor, candidates }, seen, 0n, idMark(mark));
}
