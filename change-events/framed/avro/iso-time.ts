/** Counts of days and of parts of a second, as the contract's texts: ISO 8601 in UTC, as many digits of the second as there are. */

const secondsPerDay = 86_400n;

/** Days since 1970-01-01 → `2026-02-28Z`. */
export function isoDate(days: bigint): string {
  return `${plainDate(days)}Z`;
}

/** Parts of a second since midnight → `23:59:59.5Z`. */
export function isoTime(parts: bigint, perSecond: bigint): string {
  return `${clock(parts, perSecond)}Z`;
}

/** Parts of a second since 1970 → `2026-02-28T23:59:59.5Z`. */
export function isoTimestamp(parts: bigint, perSecond: bigint): string {
  const perDay = secondsPerDay * perSecond;
  const day = floorDivide(parts, perDay);
  return `${plainDate(day)}T${clock(parts - day * perDay, perSecond)}Z`;
}

/** A length of time → `P0Y0M0DT1H2M3.5S`, all parts as Debezium writes them. */
export function isoDuration(parts: bigint, perSecond: bigint): string {
  const sign = parts < 0n ? '-' : '';
  const length = parts < 0n ? -parts : parts;
  const seconds = length / perSecond;
  const [hour, minute, second] = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n];
  const part = (value: bigint): string => (value === 0n ? '0' : `${sign}${value}`);
  const fractionText = fraction(length % perSecond, perSecond);
  const secondText = second === 0n && fractionText === '' ? '0' : `${sign}${second}${fractionText}`;
  return `P0Y0M0DT${part(hour)}H${part(minute)}M${secondText}S`;
}

function clock(parts: bigint, perSecond: bigint): string {
  const seconds = parts / perSecond;
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${fraction(parts % perSecond, perSecond)}`;
}

function fraction(parts: bigint, perSecond: bigint): string {
  if (parts === 0n) return '';
  const width = String(perSecond).length - 1;
  return `.${String(parts).padStart(width, '0').replace(/0+$/, '')}`;
}

/** Of the proleptic Gregorian calendar: its 400 years repeat, and 146097 days. A Date reaches 275,000 years only. */
function plainDate(days: bigint): string {
  const cycle = floorDivide(days, 146_097n);
  const within = new Date(Number(days - cycle * 146_097n) * 86_400_000);
  const year = BigInt(within.getUTCFullYear()) + cycle * 400n;
  return `${yearText(year)}-${two(BigInt(within.getUTCMonth() + 1))}-${two(BigInt(within.getUTCDate()))}`;
}

function yearText(year: bigint): string {
  const digits = String(year < 0n ? -year : year).padStart(4, '0');
  if (year < 0n) return `-${digits}`;
  return year > 9999n ? `+${digits}` : digits;
}

function two(value: bigint): string {
  return String(value).padStart(2, '0');
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}
