/** The last year of Postgres's dates and of its timestamps, and the first of both: past them live Debezium's stand-ins for ±infinity. */
const lastYear = { date: 5_874_897, timestamp: 294_276, timestamptz: 294_276 };
const firstYear = -4713;

const longYear = /^([+-]\d{4,})(-.*)$/;

/** Debezium's stand-ins for infinities: of a date two, in the snapshot and while streaming, not always on their own side (docs/change-event.md). */
const standIns: Readonly<Record<string, 'infinity' | '-infinity'>> = {
  '+292278994-08-16': 'infinity',
  '-5877611-06-21': 'infinity',
  '+292269055-12-02': '-infinity',
  '-5877611-06-22': '-infinity',
  '+294247-01-10T04:00:25.2': 'infinity',
  '-290308-12-21T19:59:27.6': '-infinity',
};

/**
 * A date or timestamp of the contract (ISO 8601 in UTC, zone `Z`) as Postgres reads it. ISO's signed years become `BC` or lose their
 * plus; Debezium's stand-ins for infinities become infinities again.
 * In a type without zone the `Z` says nothing and is dropped.
 */
export function dateText(iso: string, type: 'date' | 'timestamp' | 'timestamptz'): string {
  const plain = type === 'timestamptz' || !iso.endsWith('Z') ? iso : iso.slice(0, -1);
  // ISO 8601 has a year 0, which is 1 BC.
  if (plain.startsWith('0000-')) return `0001${plain.slice(4)} BC`;
  const first = plain.codePointAt(0);
  if (first !== 43 && first !== 45) return plain;
  const [, year, rest] = longYear.exec(plain) ?? [];
  if (year === undefined || rest === undefined) return plain;
  const standIn = standIns[iso.endsWith('Z') ? iso.slice(0, -1) : iso];
  if (standIn !== undefined) return standIn;
  const number = Number(year);
  // In an array of timestamptz; the hour is that of the worker's zone.
  if (number === 292_269_055) return '-infinity';
  if (number > lastYear[type]) return 'infinity';
  if (number < firstYear) return '-infinity';
  if (number > 0) return `${number}${rest}`;
  return `${String(1 - number).padStart(4, '0')}${rest} BC`;
}

/** A time of the contract as Postgres reads it into a type without zone. */
export function timeText(iso: string): string {
  return iso.endsWith('Z') ? iso.slice(0, -1) : iso;
}
