import type { JsonValue } from '#change-events/index.ts';
import { describeError } from '#pipeline/index.ts';
import { ColumnMismatchError } from '../mirrors/mismatch.ts';
import { JunkValueError } from './values/parameter.ts';

/** A column's value as text for Postgres. @throws ColumnMismatchError, JunkValueError, or TypeError for what no text of Postgres can hold */
export function convert(name: string, value: JsonValue, toParameter: (value: JsonValue) => string): string {
  const text = convertValue(name, value, toParameter);
  // JSON can spell half a character; on its way to Postgres it would become another one.
  if (!text.isWellFormed()) throw new TypeError(`column ${name} has half a character (a surrogate without its other half)`);
  return text;
}

function convertValue(name: string, value: JsonValue, toParameter: (value: JsonValue) => string): string {
  try {
    return toParameter(value);
  } catch (error) {
    // Nested too deep to be written: that says nothing of the column's type.
    if (error instanceof RangeError) throw error;
    if (error instanceof JunkValueError) throw new JunkValueError(`column ${name}: ${error.message}`, { cause: error });
    throw new ColumnMismatchError(`column ${name}: ${describeError(error)}`, { cause: error });
  }
}
