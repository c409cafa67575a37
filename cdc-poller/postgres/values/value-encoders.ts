import { parseArray, type ArrayElements } from './array-text.ts';
import { javaNumber } from '../../encoding/java-number.ts';
import { jsonString } from '../../encoding/json-string.ts';
import type { ColumnType, ValueEncoder } from '../../encoding/column-type.ts';
import { isPlainUtc } from '../../encoding/plain-utc.ts';

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
/** All parts, also those that are zero. Infinities (Postgres 17 and newer) stay words. */
const interval: ValueEncoder = (text) => {
  if (text.endsWith('infinity')) return `"${text}"`;
  const [date = '', clock = ''] = text.slice(1).split('T');
  return `"P${partOf(date, 'Y')}Y${partOf(date, 'M')}M${partOf(date, 'D')}DT${partOf(clock, 'H')}H${partOf(clock, 'M')}M${partOf(clock, 'S')}S"`;
};
const date: ValueEncoder = (text) => (text.endsWith('infinity') ? `"${text}"` : `"${isoEra(text)}Z"`);
const time: ValueEncoder = (text) => `"${text}Z"`;
const timeWithZone: ValueEncoder = (text) => `"${utcTime(text)}Z"`;
const bytea: ValueEncoder = (text) => `"${Buffer.from(text.slice(2), 'hex').toString('base64')}"`;
const money: ValueEncoder = (text) => `"${text.replaceAll(/[$,]/g, '')}"`;

/** By the name of a built-in type. One that is not listed is written as a JSON string of its text (known-types.ts says which types have a text that is certain). */
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

const comma: readonly string[] = [','];

/** The elements of an array's text. @throws TypeError when it is none */
export function elementsOf({ delimiters = comma }: ColumnType, text: string): ArrayElements {
  return parseArray(text, delimiters);
}

/** The encoder of a column type. */
export function encoderFor(type: ColumnType): ValueEncoder {
  const { name, isArray, modifier } = type;
  const encode = shapedEncoder(name, modifier) ?? encoders[name] ?? jsonString;
  return isArray ? (text) => encodeArray(elementsOf(type, text), encode) : encode;
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
  // The end of a day is not its beginning.
  if (text === '24:00:00+00') return '24:00:00';
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

function encodeArray(elements: ArrayElements, encode: ValueEncoder): string {
  const members = elements.map((element) =>
    element === null ? 'null' : typeof element === 'string' ? encode(element) : encodeArray(element, encode),
  );
  return `[${members.join(',')}]`;
}
