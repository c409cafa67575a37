import { ownMember } from '#pipeline/index.ts';

/**
 * Times as exact text. Postgres and Debezium write the same instant in several ways (offset or Z, six digits or none, BC or a
 * negative year); here each becomes a count of microseconds. Text that is none of them stays as it is, so that it can only equal itself.
 */
const instant =
  /^(?<year>[+-]?\d+)-(?<month>\d\d)-(?<day>\d\d)(?:[T ](?<clock>\d\d:\d\d:\d\d(?:\.\d+)?))?(?<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?(?<bc> BC)?$/;
const clockTime =
  /^(?<hours>\d\d):(?<minutes>\d\d)(?::(?<seconds>\d\d)(?:\.(?<fraction>\d{1,6})\d*)?)?(?<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?$/;

const microsPerSecond = 1_000_000n;
const microsPerDay = 86_400n * microsPerSecond;

/** What Debezium 3.6 writes where the value is infinite (docs/change-event.md): the only reading these far-off texts have. */
const infinities: Readonly<Record<string, string>> = {
  '-290308-12-21T19:59:27.6Z': '-infinity',
  '+292278994-08-16Z': 'infinity',
  '-5877611-06-21Z': 'infinity',
};

/** Microseconds since 1970 of a timestamp or date; one without zone counts as UTC. */
export function canonicalInstant(text: string): string {
  const infinite = ownMember(infinities, text);
  if (infinite !== undefined) return infinite;
  const parts = instant.exec(text)?.groups;
  if (parts === undefined) return text;
  const { year = '', month = '', day = '', clock, zone, bc } = parts;
  // Postgres counts 1 BC, 2 BC …; ISO has a year 0.
  const isoYear = bc === undefined ? Number(year) : 1 - Number(year);
  const days = daysSinceEpoch(isoYear, Number(month), Number(day));
  const time = clock === undefined ? 0n : (clockMicros(clock) ?? 0n);
  return (BigInt(days) * microsPerDay + time - zoneMicros(zone)).toString();
}

/** Microseconds since midnight; one with a zone is brought to UTC. 24:00:00 stays a day. */
export function canonicalClock(text: string): string {
  const parts = clockTime.exec(text)?.groups;
  const micros = clockMicros(text);
  if (parts === undefined || micros === null) return text;
  const offset = zoneMicros(parts['zone']);
  return (offset === 0n ? micros : (((micros - offset) % microsPerDay) + microsPerDay) % microsPerDay).toString();
}

function clockMicros(text: string): bigint | null {
  const parts = clockTime.exec(text)?.groups;
  if (parts === undefined) return null;
  const seconds = Number(parts['hours']) * 3600 + Number(parts['minutes']) * 60 + Number(parts['seconds'] ?? '0');
  return BigInt(seconds) * microsPerSecond + BigInt((parts['fraction'] ?? '').padEnd(6, '0'));
}

function zoneMicros(zone: string | undefined): bigint {
  if (zone === undefined || zone === 'Z') return 0n;
  const [hours = '0', minutes = '0', seconds = '0'] = zone.slice(1).match(/\d\d/g) ?? [];
  const total = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * microsPerSecond;
  return zone.startsWith('-') ? -total : total;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's days_from_civil); Date ends at year 275760. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
