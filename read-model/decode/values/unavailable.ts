import { createHash } from 'node:crypto';
import { unavailableValue, type JsonValue } from '#change-events/index.ts';
import type { ColumnType } from './column-type.ts';

/**
 * The forms in which Debezium says that an update left a TOAST column alone, so its value is not in the log. It has one per kind of
 * column (its class UnchangedToastedPlaceholder).
 */
const bytes = Buffer.from(unavailableValue);
const base64 = bytes.toString('base64');
const codes = JSON.stringify([...bytes]);
const uuid = nameUuid(bytes);
const hstore = JSON.stringify({ [unavailableValue]: unavailableValue });

type Test = (value: JsonValue) => boolean;

const isText: Test = (value) => value === unavailableValue || value === hstore;
const isBytes: Test = (value) => value === base64 || value === unavailableValue;
const never: Test = () => false;
const isArray: Test = (value) => {
  if (!Array.isArray(value)) return value === unavailableValue;
  const [first] = value;
  if (value.length === 1) return first === unavailableValue || first === base64 || first === uuid;
  return value.length === bytes.length && first === bytes[0] && JSON.stringify(value) === codes;
};

/** Types of fixed size are never moved to TOAST. */
const fixedSize: ReadonlySet<string> = new Set(
  'bool int2 int4 int8 oid float4 float8 date time timetz timestamp timestamptz interval uuid money'.split(' '),
);

/** A test, made once per column, that knows this column's form of "unchanged, ask the row you have". */
export function unavailableTest({ name, element }: ColumnType): Test {
  if (element !== null) return isArray;
  if (name === 'bytea') return isBytes;
  return fixedSize.has(name) ? never : isText;
}

/** Any of its forms, where the type of the column is not known. */
export function isUnavailable(value: JsonValue): boolean {
  return typeof value === 'string' ? isText(value) || isBytes(value) : Array.isArray(value) && isArray(value);
}

/** Java's UUID.nameUUIDFromBytes. */
function nameUuid(name: Buffer): string {
  const hash = createHash('md5').update(name).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x30;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
