import type { Micros } from './floor.ts';

/** `1795409484978123` → `2026-11-23T05:11:24.978123Z`, for a timestamptz parameter and for people. Years 0-9999. */
export function formatMicros(micros: Micros): string {
  const millis = micros / 1000n;
  const rest = micros % 1000n;
  const [whole, below] = rest < 0n ? [millis - 1n, rest + 1000n] : [millis, rest];
  return new Date(Number(whole)).toISOString().replace('Z', `${below.toString().padStart(3, '0')}Z`);
}
