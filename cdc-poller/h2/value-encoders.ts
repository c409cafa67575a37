import type { EventColumn } from '../encoding/event-encoder.ts';
import type { ValueEncoder } from '../encoding/column-type.ts';
import { javaNumber } from '../encoding/java-number.ts';
import { jsonString } from '../encoding/json-string.ts';
import { isBinary, isInteger, plainName } from './types.ts';

/** Values of H2 in the forms that Postgres' have (docs/change-event.md), from the texts that types.ts reads. */
export function encodeH2Column({ type }: EventColumn): ValueEncoder {
  const name = plainName(type);
  if (name === 'timestamp' || name === 'timestamp with time zone') return timestamp(name, type.modifier);
  return encoders[name] ?? (isInteger(name) ? integer : isBinary(name) ? base64 : jsonString);
}

const integer: ValueEncoder = (text) => {
  if (!/^-?\d+$/.test(text)) throw new TypeError(`not an integer: ${text}`);
  return text;
};

/** As Java writes them already, in most versions of it. */
const float: ValueEncoder = (text) =>
  /^-?\d/.test(text) ? javaNumber(text.replace(/E(-?)/, (_, sign: string) => (sign === '' ? 'e+' : 'e-'))) : `"${text}"`;

const base64: ValueEncoder = (text) => `"${Buffer.from(text, 'hex').toString('base64')}"`;

/** In the words that Postgres' numeric has in events. */
const decimal: ValueEncoder = (text) => {
  if (text === 'NaN') return '"NAN"';
  if (text.endsWith('Infinity')) return text.startsWith('-') ? '"NEGATIVE_INFINITY"' : '"POSITIVE_INFINITY"';
  return `"${plainDigits(text)}"`;
};

/** Digits that are written out: as many as Postgres' numeric can hold. */
const mostDigits = 16_383;

/** `1E+2` → `100`, `1.5E-7` → `0.00000015`; what would be too long stays as it is. */
function plainDigits(text: string): string {
  const match = /^(?<sign>-?)(?<whole>\d+)(?:\.(?<fraction>\d+))?E(?<exponent>[+-]?\d+)$/.exec(text);
  if (match === null) return text;
  const { sign = '', whole = '', fraction = '', exponent = '0' } = match.groups ?? {};
  const power = Number(exponent);
  if (Math.abs(power) > mostDigits) return text;
  const digits = whole + fraction;
  const point = whole.length + power;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits.padEnd(point, '0')}`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

const date: ValueEncoder = (text) => `"${isoYear(text)}Z"`;
const time: ValueEncoder = (text) => `"${text.replace(/\+00$/, '')}Z"`;

/** Years past 9999 take a plus sign; those before the first are counted as ISO 8601 does already. */
function isoYear(text: string): string {
  return /^\d{5,}-/.test(text) ? `+${text}` : text;
}

/** With a zone: as many digits of the second as the column has; without: no zeros at the end. */
function timestamp(name: string, digits: number): ValueEncoder {
  return (text) => {
    const match = /^(?<day>-?\d+-\d\d-\d\d) (?<clock>\d\d:\d\d:\d\d)(?:\.(?<fraction>\d+))?(?:\+00)?$/.exec(text);
    const { day = '', clock = '', fraction = '' } = match?.groups ?? {};
    if (match === null || fraction.length > digits) throw new TypeError(`not a timestamp of ${digits} digits: ${text}`);
    const shown = name === 'timestamp' ? fraction : fraction.padEnd(digits, '0');
    return `"${isoYear(day)}T${clock}${shown === '' ? '' : `.${shown}`}Z"`;
  };
}

/** `INTERVAL '-3-2' YEAR TO MONTH` → `P-3Y-2M0DT0H0M0S`: each part in its own place, all of one sign; those that are not there are zero. */
const interval: ValueEncoder = (text) => {
  const match = /^INTERVAL '(?<sign>-?)(?<values>[\d\-:. ]+)' (?<first>[A-Z]+)(?: TO (?<last>[A-Z]+))?$/.exec(text);
  if (match === null) throw new TypeError(`not an interval: ${text}`);
  const { sign = '', values = '', first = '' } = match.groups ?? {};
  const from = units.indexOf(first);
  if (from < 0) throw new TypeError(`not an interval: ${text}`);
  const parts = new Map(values.split(/[-: ]/).map((value, index) => [units[from + index], value]));
  const part = (unit: string): string => {
    const value = (parts.get(unit) ?? '0').replace(/^0+(?=\d)/, '');
    return Number(value) === 0 ? value : `${sign}${value}`;
  };
  return `"P${part('YEAR')}Y${part('MONTH')}M${part('DAY')}DT${part('HOUR')}H${part('MINUTE')}M${part('SECOND')}S"`;
};

const units: readonly string[] = ['YEAR', 'MONTH', 'DAY', 'HOUR', 'MINUTE', 'SECOND'];

const encoders: Readonly<Record<string, ValueEncoder>> = {
  boolean: (text) => (text === 't' ? 'true' : 'false'),
  numeric: decimal,
  decfloat: decimal,
  real: float,
  'double precision': float,
  date,
  time,
  'time with time zone': time,
  interval,
};
