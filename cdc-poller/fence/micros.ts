import type { Micros } from './floor.ts';

/** `1795409484978123` → `2026-11-23T05:11:24.978123Z`, for a timestamptz parameter and for people. Years 0-9999. */
export function formatMicros(micros: Micros): string {
  const millis = micros / 1000n;
  const rest = micros % 1000n;
  const [whole, below] = rest < 0n ? [millis - 1n, rest + 1000n] : [millis, rest];
  return new Date(Number(whole)).toISOString().replace('Z', `${below.toString().padStart(3, '0')}Z`);
}

/**
 * The inverse, of Postgres's text in ISO style too: `2026-11-23 05:11:24.978123+00`, also without zone (taken as UTC). Null for what is
 * no finite time, or before Christ.
 */
export function parseMicros(text: string): Micros | null {
  const match =
    /^(?<date>\+?\d+-\d\d-\d\d)[ T](?<clock>\d\d:\d\d(?::\d\d)?)(?:\.(?<fraction>\d{1,6}))?(?<zone>Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text);
  if (match === null) return null;
  const { date = '', clock = '', fraction = '', zone = 'Z' } = match.groups ?? {};
  const year = date.replace('+', '').split('-', 1)[0] ?? '';
  const isoDate = year.length > 4 ? `+${date.replace('+', '').padStart(12, '0')}` : date;
  const isoZone = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone;
  const millis = Date.parse(`${isoDate}T${clock}${isoZone}`);
  return Number.isNaN(millis) ? null : BigInt(millis) * 1000n + BigInt(fraction.padEnd(6, '0'));
}
