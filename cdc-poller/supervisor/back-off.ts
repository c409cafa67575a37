/** Milliseconds to wait before try number `attempt` (from 1): doubling from 100 ms to 10 s, with up to a quarter of jitter. Pure. */
export function backOffMs(attempt: number, random: number): number {
  const base = Math.min(10_000, 100 * 2 ** Math.min(attempt - 1, 20));
  return Math.round(base * (0.75 + random / 4));
}
