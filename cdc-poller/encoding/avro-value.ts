import type { FieldType } from '../schemas/field-type.ts';
import type { AvroWriter } from './avro-writer.ts';

/** Writes a value from its text, as the database gives it. What JSON would say of the value, a reader gets from these bytes. */
export type AvroValue = {
  readonly write: (writer: AvroWriter, text: string) => void;
  /** Texts that mean no value: a date that is none. */
  readonly isNull?: (text: string) => boolean;
};

export function unquoted(encode: (text: string) => string): AvroValue['write'] {
  return (writer, text) => writer.string(encode(text).slice(1, -1));
}

/** An array of more dimensions than its column was declared with: its schema has no place for it. */
export class DeepArray extends Error {
  override readonly name = 'DeepArray';

  constructor(depth: number) {
    super(`an array of more than ${depth} dimension${depth === 1 ? '' : 's'}`);
  }
}

/** What replaces every value of a column, null included. */
export function writeFixed(value: string | number | boolean, { base }: FieldType): (writer: AvroWriter) => void {
  if (base === 'boolean') return (writer) => writer.byte(value === true ? 1 : 0);
  if (base === 'long') return (writer) => writer.integer(String(value));
  if (base === 'double') return (writer) => writer.double(Number(value));
  return (writer) => writer.string(String(value));
}
