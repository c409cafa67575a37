import type { Micros } from './floor.ts';

/** A reading of the server's clock, with this process' monotonic time in ms before the question and after the answer. */
export type ClockReading = { readonly clock: Micros; readonly askedAt: number; readonly answeredAt: number };

/** What is compared with: the reading by which the server's clock was furthest ahead. */
export type ClockReference = ClockReading | null;

/** Slower answers and a clock that is slewed are no step. The floor's margin is larger. */
const tolerance: Micros = 250_000n;

/**
 * How far the server's clock stepped back since the reference, 0 within the tolerance, and the reference for the next reading. Small
 * steps add up, because the reference stays with the reading that was furthest ahead. Pure.
 */
export function followClock(reference: ClockReference, reading: ClockReading): { readonly step: Micros; readonly reference: ClockReading } {
  if (reference === null) return { step: 0n, reference: reading };
  const elapsed = BigInt(Math.max(0, Math.round((reading.askedAt - reference.answeredAt) * 1000)));
  const behind = reference.clock + elapsed - reading.clock;
  if (behind > tolerance) return { step: behind, reference: reading };
  return { step: 0n, reference: behind < 0n ? reading : reference };
}
