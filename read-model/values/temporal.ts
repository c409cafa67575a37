/** The last year of Postgres's dates and of its timestamps, and the first of both: past them live Debezium's stand-ins for ±infinity. */
const lastYear = { date: 5_874_897, timestamp: 294_276, timestamptz: 294_276 };
const firstYear = -4713;

const longYear = /^([+-]\d{4,})(-.*)$/;

/** Debezium's text for date 'infinity' while streaming, though it is far in the past (docs/change-event.md). */
const streamedDateInfinity = '-5877611-06-21';

/**
 * A date or timestamp of the contract (ISO 8601 in UTC, zone `Z`) as Postgres reads it. ISO's signed years become `BC` or lose their
 * plus; Debezium's stand-ins for infinities become what they stand for.
 * In a type without zone the `Z` says nothing and is dropped.
 */
export function dateText(iso: string, type: 'date' | 'timestamp' | 'timestamptz'): string {
  const plain = type === 'timestamptz' || !iso.endsWith('Z') ? iso : iso.slice(0, -1);
  const first = plain.codePointAt(0);
  if (first !== 43 && first !== 45) return plain;
  const [, year, rest] = longYear.exec(plain) ?? [];
  if (year === undefined || rest === undefined) return plain;
  const number = Number(year);
  if (number > lastYear[type] || plain === streamedDateInfinity) return 'infinity';
  if (number < firstYear) return '-infinity';
  if (number > 0) return `${number}${rest}`;
  return `${String(1 - number).padStart(4, '0')}${rest} BC`;
}

/** A time of the contract as Postgres reads it into a type without zone. */
export function timeText(iso: string): string {
  return iso.endsWith('Z') ? iso.slice(0, -1) : iso;
}
