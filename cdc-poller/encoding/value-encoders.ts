import { parse as parseArray } from 'postgres-array';
import { javaNumber } from './java-number.ts';
import { jsonString } from './json-string.ts';

/** Turns a value's text, as Postgres gives it, into the contract's JSON text. Never through a JS number or Date. */
export type ValueEncoder = (text: string) => string;

/** Settings of a session under which the encoders know Postgres's texts. */
export const sessionSettings = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'iso_8601',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
} as const;

const asIs: ValueEncoder = (text) => text;
const float: ValueEncoder = (text) => (/^-?\d/.test(text) ? javaNumber(text) : `"${text}"`);
const boolean: ValueEncoder = (text) => (text === 't' ? 'true' : 'false');
/** Debezium writes Java's BigDecimal text, and NAN and infinities in its own words. */
const numeric: ValueEncoder = (text) => {
  if (text === 'NaN') return '"NAN"';
  if (text.endsWith('Infinity')) return text.startsWith('-') ? '"NEGATIVE_INFINITY"' : '"POSITIVE_INFINITY"';
  return `"${text}"`;
};
const timestamp: ValueEncoder = (text) => `"${isoTimestamp(text)}"`;
/** All parts, also those that are zero. */
const interval: ValueEncoder = (text) => {
  const [date = '', clock = ''] = text.slice(1).split('T');
  return `"P${partOf(date, 'Y')}Y${partOf(date, 'M')}M${partOf(date, 'D')}DT${partOf(clock, 'H')}H${partOf(clock, 'M')}M${partOf(clock, 'S')}S"`;
};
const date: ValueEncoder = (text) => (text.endsWith('infinity') ? `"${text}"` : `"${isoEra(text)}Z"`);
const time: ValueEncoder = (text) => `"${text}Z"`;
const timeWithZone: ValueEncoder = (text) => `"${utcTime(text)}Z"`;
const bytea: ValueEncoder = (text) => `"${Buffer.from(text.slice(2), 'hex').toString('base64')}"`;
const money: ValueEncoder = (text) => `"${text.replaceAll(/[$,]/g, '')}"`;

/** By pg_type name. A type that is not listed is written as a JSON string of its text. */
const encoders: Readonly<Record<string, ValueEncoder>> = {
  int2: asIs,
  int4: asIs,
  int8: asIs,
  oid: asIs,
  float4: float,
  float8: float,
  bool: boolean,
  numeric,
  timestamp,
  interval,
  date,
  time,
  timetz: timeWithZone,
  bytea,
  money,
};

/** A column's type as the catalogue tells it: a domain is given as its base type. */
export type ColumnType = {
  /** pg_type.typname; of the element for an array. */
  readonly name: string;
  readonly isArray: boolean;
  /** pg_attribute.atttypmod; -1 when the type has none. */
  readonly modifier: number;
};

/** The encoder of a column type. */
export function encoderFor({ name, isArray, modifier }: ColumnType): ValueEncoder {
  const encode = shapedEncoder(name, modifier) ?? encoders[name] ?? jsonString;
  return isArray ? (text) => encodeArray(parseArray(text, encode)) : encode;
}

/** The number before a unit of an ISO 8601 duration. */
function partOf(duration: string, unit: 'Y' | 'M' | 'D' | 'H' | 'S'): string {
  const end = duration.indexOf(unit);
  return end < 0 ? '0' : (/-?[\d.]+$/.exec(duration.slice(0, end))?.[0] ?? '0');
}

/** Encoders that depend on the type's modifier: the length of bit, the digits of timestamptz. */
function shapedEncoder(name: string, modifier: number): ValueEncoder | undefined {
  if (name === 'bit' || name === 'varbit') return bits(name === 'bit' && modifier === 1);
  return name === 'timestamptz' ? timestampWithZone(modifier < 0 ? 6 : modifier) : undefined;
}

/** Debezium writes as many digits of the second as the column has. */
function timestampWithZone(digits: number): ValueEncoder {
  return (text) => {
    if (isPlainUtc(text)) {
      // `2026-11-22 15:00:00.1+00`: 20 characters up to and with the dot, or none of it.
      const zeros = digits - Math.max(0, text.length - 23);
      const dot = zeros === digits && digits > 0 ? '.' : '';
      return `"${text.slice(0, 10)}T${text.slice(11, -3)}${dot}${zeros <= 0 ? '' : '0'.repeat(zeros)}Z"`;
    }
    const iso = isoTimestamp(text);
    const dot = iso.indexOf('.');
    const missing = dot < 0 ? digits + 1 : digits - (iso.length - 2 - dot);
    if (missing === 0 || digits === 0 || !iso.endsWith('Z')) return `"${iso}"`;
    return `"${iso.slice(0, -1)}${dot < 0 ? '.' : ''}${'0'.repeat(dot < 0 ? digits : missing)}Z"`;
  };
}

/** Whether it is a timestamptz's text of the ordinary kind, in UTC: four digits of the year, no era. Nearly all are, so they get a short way. */
export function isPlainUtc(text: string): boolean {
  // 43 is a plus sign, 45 a dash, 32 a blank.
  return text.charCodeAt(text.length - 3) === 43 && text.charCodeAt(4) === 45 && text.charCodeAt(10) === 32;
}

/** `2026-11-22 15:00:00.123456+00` or without zone → `2026-11-22T15:00:00.123456Z`; infinities stay words. */
function isoTimestamp(text: string): string {
  if (text.endsWith('infinity')) return text;
  const era = isoEra(text);
  return `${era.replace(' ', 'T').replace(/\+00$/, '')}Z`;
}

/** `0044-03-15 BC` → `-0043-03-15`, as ISO 8601 counts years before the first; years past 9999 take a plus sign. */
function isoEra(text: string): string {
  const beforeChrist = text.endsWith(' BC');
  const plainText = beforeChrist ? text.slice(0, -3) : text;
  const dash = plainText.indexOf('-');
  if (beforeChrist) {
    const year = Number(plainText.slice(0, dash)) - 1;
    return `${year === 0 ? '' : '-'}${year.toString().padStart(4, '0')}${plainText.slice(dash)}`;
  }
  return dash > 4 ? `+${plainText}` : plainText;
}

/** `05:00:00.5+02` → `03:00:00.5`: the same instant of the day in UTC. */
function utcTime(text: string): string {
  const match = /^(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d(?:\.\d+)?)(?<sign>[+-])(?<oh>\d\d)(?::(?<om>\d\d))?(?::(?<os>\d\d))?$/.exec(
    text,
  );
  if (match === null) throw new TypeError(`not a timetz: ${text}`);
  const { hour, minute, second = '', sign, oh, om = '0', os = '0' } = match.groups ?? {};
  const [wholeSecond = '', fraction] = second.split('.');
  const offset = (Number(oh) * 60 + Number(om)) * 60 + Number(os);
  const local = (Number(hour) * 60 + Number(minute)) * 60 + Number(wholeSecond);
  const utc = (((local + (sign === '+' ? -offset : offset)) % 86_400) + 86_400) % 86_400;
  return `${twoDigits(utc / 3600)}:${twoDigits((utc / 60) % 60)}:${twoDigits(utc % 60)}${fraction === undefined ? '' : `.${fraction}`}`;
}

function twoDigits(value: number): string {
  return Math.trunc(value).toString().padStart(2, '0');
}

/** Debezium: bit(1) is a boolean; longer ones base64 of their bytes. */
function bits(single: boolean): ValueEncoder {
  return single ? (text) => (text === '1' ? 'true' : 'false') : (text) => `"${bytesOfBits(text).toString('base64')}"`;
}

/** As Debezium: the lowest bit first, without bytes of zeros at the end. */
export function bytesOfBits(text: string): Buffer {
  const first = text.indexOf('1');
  const bytes = Buffer.alloc(first < 0 ? 0 : Math.ceil((text.length - first) / 8));
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    if (text[text.length - 1 - bit] === '1') bytes.writeUInt8(bytes.readUInt8(bit >> 3) | (1 << (bit & 7)), bit >> 3);
  }
  return bytes;
}

/** Elements come encoded already; NULL comes as null. */
function encodeArray(elements: readonly unknown[]): string {
  return `[${elements.map(encodeElement).join(',')}]`;
}

function encodeElement(element: unknown): string {
  if (Array.isArray(element)) return encodeArray(element);
  return typeof element === 'string' ? element : 'null';
}
