/** Repeatable chance: the same seed gives the same numbers on every machine. */
export type Random = {
  /** In [0, 1). */
  readonly fraction: () => number;
  /** An integer from `low` to `high`, both included. */
  readonly integer: (low: number, high: number) => number;
  readonly chance: (probability: number) => boolean;
  readonly oneOf: <const T>(choices: readonly [T, ...T[]]) => T;
};

/** mulberry32: 32 bits of state are plenty for choosing what an application does next. `seed` counts modulo 2^32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const integer = (low: number, high: number): number => low + Math.floor(fraction() * (high - low + 1));
  return {
    fraction,
    integer,
    chance: (probability) => fraction() < probability,
    oneOf: (choices) => choices[integer(0, choices.length - 1)] ?? choices[0],
  };
}
