import type { Micros } from './floor.ts';

/**
 * Times without zone. An application that writes them reads a wall clock, and a wall clock is set back once a year: the hour before that
 * and the hour after it carry the same times. A floor on instants is therefore no floor on local times until it is lowered to the earliest
 * wall-clock reading from that instant on.
 */
export type WallClock = {
  /** Microseconds that the wall clock is ahead of UTC at an instant. */
  offsetAt(instant: Micros): Micros;
};

const day: Micros = 86_400_000_000n;
const second: Micros = 1_000_000n;

/**
 * The earliest reading of the wall clock at or after an instant, in microseconds as if it were UTC: rows stamped from then on carry no
 * earlier time. Exact where the clock is set back at most once a day and by less than a day. Pure.
 */
export function earliestReading(clock: WallClock, from: Micros): Micros {
  const reading = from + clock.offsetAt(from);
  const setBack = clock.offsetAt(from) - clock.offsetAt(from + day);
  // A change further away than it sets back does not reach below the reading of now.
  if (setBack <= 0n || clock.offsetAt(from + setBack) === clock.offsetAt(from)) return reading;
  let before = from;
  let after = from + setBack;
  while (after - before > 1n) {
    const middle = (before + after) / 2n;
    if (clock.offsetAt(middle) === clock.offsetAt(from)) before = middle;
    else after = middle;
  }
  const lowest = after + clock.offsetAt(after);
  return lowest < reading ? lowest : reading;
}

/** The instant of a reading: of the two that a set-back clock gives, the earlier; of a skipped one, the moment of the change or later. */
export function instantOf(clock: WallClock, reading: Micros): Micros {
  const guesses = [reading - clock.offsetAt(reading - day), reading - clock.offsetAt(reading + day)].toSorted((a, b) => (a < b ? -1 : 1));
  return guesses.find((guess) => guess + clock.offsetAt(guess) === reading) ?? guesses.at(-1) ?? reading;
}

/** No earlier than any instant at which the clock showed this reading. */
export function latestInstantOf(clock: WallClock, reading: Micros): Micros {
  const [before, after] = [clock.offsetAt(reading - day), clock.offsetAt(reading + day)];
  return reading - (before < after ? before : after);
}

/** The wall clock of an IANA time zone, by the tables of Node's ICU. @throws RangeError when there is no such zone */
export function wallClock(timeZone: string): WallClock {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  return {
    offsetAt(instant) {
      const seconds = instant / second - (instant % second < 0n ? 1n : 0n);
      const name = format.formatToParts(Number(seconds) * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      const match = /^GMT(?:(?<sign>[+-])(?<hours>\d\d):(?<minutes>\d\d)(?::(?<seconds>\d\d))?)?$/.exec(name);
      if (match === null) throw new RangeError(`no offset in "${name}" (time zone ${timeZone})`);
      const { sign, hours = '0', minutes = '0', seconds: rest = '0' } = match.groups ?? {};
      const offset = BigInt((Number(hours) * 60 + Number(minutes)) * 60 + Number(rest)) * second;
      return sign === '-' ? -offset : offset;
    },
  };
}
