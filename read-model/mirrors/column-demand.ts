import type { JsonValue } from '#change-events/index.ts';
import type { ColumnType } from '../decode/values/column-type.ts';

/** What an event asks of its mirror's columns before it can be applied without a loss. Never takes anything away. */
export type ColumnDemand =
  | { readonly kind: 'add'; readonly column: string; readonly type: 'boolean' | 'json' | 'text' }
  | { readonly kind: 'widen'; readonly column: string; readonly type: string }
  | { readonly kind: 'nullable'; readonly column: string };

export function demandName({ kind, column }: ColumnDemand): string {
  return `${kind} ${column}`;
}

/** What every table of Postgres has by itself. */
const systemColumns: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);
/** NAMEDATALEN - 1, as Postgres is built everywhere: it would cut a longer name, and two columns could become one. */
const nameBytes = 63;
/** MaxHeapAttributeNumber. */
export const columnsMost = 1600;

/** Why no column of Postgres can have this name; null when one can. */
export function unfitName(name: string): string | null {
  if (name === '') return 'a column without a name';
  const shown = `column ${JSON.stringify(name.slice(0, 100))}`;
  if (name.includes('\0')) return `${shown} has a NUL in its name`;
  if (!name.isWellFormed()) return `${shown} has half a character in its name`;
  if (systemColumns.has(name)) return `${shown} is called as a column that every table of Postgres has by itself`;
  const bytes = Buffer.byteLength(name);
  return bytes > nameBytes ? `${shown} has a name of ${bytes} bytes, and Postgres keeps ${nameBytes}` : null;
}

/**
 * The type of a new column, as far as its first value shows it: JSON's numbers do not say whether they are of an integer or of a float,
 * nor a string whether it is a date, so all of these are `text`, which holds each of them as it is.
 */
export function addedType(value: JsonValue): 'boolean' | 'json' | 'text' {
  if (typeof value === 'boolean') return 'boolean';
  return typeof value === 'object' ? 'json' : 'text';
}

const integerRange: Readonly<Record<string, number>> = { int2: 2 ** 15, int4: 2 ** 31 };

/** A float4 has at most nine significant digits in its shortest text: a value with more comes from a float8. */
const floatDigits = 9;

/** The test behind {@link import('./mirror.ts').MirrorColumn.widerFor}, made once per column. */
export function widerFor({ name, element }: ColumnType): ((value: JsonValue) => string | null) | null {
  if (element !== null) return null;
  const range = integerRange[name];
  if (range !== undefined) {
    return (value) => (typeof value === 'bigint' || (typeof value === 'number' && (value >= range || value < -range)) ? 'bigint' : null);
  }
  if (name === 'float4') {
    return (value) => (typeof value === 'number' && significantDigits(value) > floatDigits ? 'double precision' : null);
  }
  if (name === 'date') {
    // Postgres would take the text and drop the time without a word.
    return (value) => {
      if (typeof value === 'string' && value.includes('T')) throw new TypeError(`a date column cannot hold the time in "${value}"`);
      return null;
    };
  }
  return null;
}

function significantDigits(value: number): number {
  const [mantissa = ''] = String(Math.abs(value)).split('e');
  // Zeros at either end only say how large the value is.
  return mantissa.replace('.', '').replaceAll(/^0+|0+$/g, '').length;
}
