import { ownMember } from '#pipeline/index.ts';
import type { JsonValue } from '../../lossless-json.ts';
import { isoDate, isoDuration, isoTime, isoTimestamp } from './iso-time.ts';
import type { AvroType, Meaning } from './schema.ts';

/** From what the bytes give (numbers, base64, records) to what the contract writes for the same value. */
type Conversion = (value: JsonValue) => JsonValue;

const seconds = { milli: 1000n, micro: 1_000_000n, nano: 1_000_000_000n } as const;

const timestamp =
  (perSecond: bigint): Conversion =>
  (value) =>
    typeof value === 'number' || typeof value === 'bigint' ? isoTimestamp(BigInt(value), perSecond) : value;
const time =
  (perSecond: bigint): Conversion =>
  (value) =>
    typeof value === 'number' || typeof value === 'bigint' ? isoTime(BigInt(value), perSecond) : value;
const duration =
  (perSecond: bigint): Conversion =>
  (value) =>
    typeof value === 'number' || typeof value === 'bigint' ? isoDuration(BigInt(value), perSecond) : value;
const date: Conversion = (value) => (typeof value === 'number' || typeof value === 'bigint' ? isoDate(BigInt(value)) : value);

/** What Debezium's and Connect's names mean. Those that are not here (Json, Uuid, Enum, ZonedTimestamp, Iso…, Interval) are what they look like. */
const connectNames: Readonly<Record<string, Conversion>> = {
  'io.debezium.time.Date': date,
  'io.debezium.time.Time': time(seconds.milli),
  'io.debezium.time.MicroTime': time(seconds.micro),
  'io.debezium.time.NanoTime': time(seconds.nano),
  'io.debezium.time.Timestamp': timestamp(seconds.milli),
  'io.debezium.time.MicroTimestamp': timestamp(seconds.micro),
  'io.debezium.time.NanoTimestamp': timestamp(seconds.nano),
  'io.debezium.time.MicroDuration': duration(seconds.micro),
  'io.debezium.time.NanoDuration': duration(seconds.nano),
  'org.apache.kafka.connect.data.Date': date,
  'org.apache.kafka.connect.data.Time': time(seconds.milli),
  'org.apache.kafka.connect.data.Timestamp': timestamp(seconds.milli),
  'io.debezium.data.VariableScaleDecimal': variableScale,
};

const logicalTypes: Readonly<Record<string, Conversion>> = {
  date,
  'time-millis': time(seconds.milli),
  'time-micros': time(seconds.micro),
  'timestamp-millis': timestamp(seconds.milli),
  'timestamp-micros': timestamp(seconds.micro),
  'timestamp-nanos': timestamp(seconds.nano),
  'local-timestamp-millis': timestamp(seconds.milli),
  'local-timestamp-micros': timestamp(seconds.micro),
  'local-timestamp-nanos': timestamp(seconds.nano),
};

/** How values of this type become what the contract writes; null when they are that already. */
export function conversionOf(type: AvroType & { readonly meaning: Meaning }): Conversion | null {
  const { connectName, logicalType, scale } = type.meaning;
  if (logicalType === 'decimal' && (type.kind === 'bytes' || type.kind === 'fixed')) {
    return (value) => (typeof value === 'string' ? decimalText(Buffer.from(value, 'base64'), scale) : value);
  }
  return (
    (connectName === null ? undefined : ownMember(connectNames, connectName)) ??
    (logicalType === null ? undefined : ownMember(logicalTypes, logicalType)) ??
    null
  );
}

/** Debezium's struct for numerics without a scale of their own. */
function variableScale(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || !('scale' in value)) return value;
  const { scale, value: unscaled } = value;
  return typeof scale === 'number' && typeof unscaled === 'string' ? decimalText(Buffer.from(unscaled, 'base64'), scale) : value;
}

/** The digits of a two's complement number, big endian, with its point. */
function decimalText(unscaled: Buffer, scale: number): string {
  const magnitude = unscaled.length === 0 ? 0n : BigInt(`0x${unscaled.toString('hex')}`);
  const number = BigInt.asIntN(unscaled.length * 8, magnitude);
  if (scale <= 0) return String(number * 10n ** BigInt(-scale));
  const digits = String(number < 0n ? -number : number).padStart(scale + 1, '0');
  return `${number < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
