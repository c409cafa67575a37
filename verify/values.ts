import { parseLossless, stringifyLossless, type JsonValue, type Row } from '#change-events/index.ts';
import { canonicalFromEvent } from '#comparison/canonical/value.ts';
import { valueKind, type Column } from '#comparison/canonical/shape.ts';
import type { KnownColumn, ReadRow } from '#cdc-poller/rows.ts';
import type { LegacyDbConfig } from '#pipeline/index.ts';
import type { Mirror } from '#read-model/index.ts';

/**
 * Whether a row of the source and its mirror say the same, column by column. Both sides are JSON texts of the contract. Equal texts are equal values;
 * of different texts the mirror's type says whether they mean the same: one number, one instant, one JSON document. Pure.
 */

/** How values of a mirror's column are compared. */
export function comparedAs({ name, type }: KnownColumn): Column {
  return { name, kind: valueKind(type.name), array: type.isArray };
}

/** Whether a row of the mirror has what that of the source has. */
export function isSameRow(columns: readonly Column[], source: readonly string[], mirror: readonly string[]): boolean {
  return columns.every((column, at) => {
    const [here = 'null', there = 'null'] = [source[at], mirror[at]];
    return here === there || canonicalText(column, here) === canonicalText(column, there);
  });
}

/** One text for all JSON texts of a value that mean the same to the column's type. No value is like none at all. */
export function canonicalText(column: Column, text: string): string {
  const value = canonical(column, text);
  return value === null ? 'null' : `=${value}`;
}

/**
 * A key's one name on both sides. What a database takes for one key may have several texts: numbers by the zeros at their end, texts by blanks at their end
 * where the source's type does not count them.
 */
export function keyName(columns: readonly Column[], padded: ReadonlySet<string>, values: readonly string[]): string {
  return JSON.stringify(
    columns.map((column, at) => {
      const text = canonical(column, values[at] ?? 'null') ?? '';
      return padded.has(column.name) ? text.replace(/ +$/, '') : text;
    }),
  );
}

/** A key as people read it, as `cdc events tail` does: the value itself for a key of one column, JSON for more. */
export function keyText(names: readonly string[], values: readonly string[]): string {
  const row: Row = Object.fromEntries(names.map((name, at) => [name, parseLossless(values[at] ?? 'null')]));
  const [only, ...more] = Object.values(row);
  if (only === undefined || more.length > 0) return stringifyLossless(row);
  return typeof only === 'string' ? only : stringifyLossless(only);
}

function canonical(column: Column, text: string): string | null {
  const value = meant(column, parseLossless(text));
  const found = canonicalFromEvent(column, value);
  if (found === null || column.array) return found;
  // 1.5 and 1.50 are one number, and -0 is 0.
  if (column.kind === 'numeric' && found.includes('.')) return found.replace(/\.?0+$/, '');
  return column.kind === 'float' && found === '-0' ? '0' : found;
}

/** MariaDB has no boolean: it writes 0 and 1. */
function meant({ kind }: Column, value: JsonValue): JsonValue {
  return kind === 'boolean' && (value === 0 || value === 1) ? value === 1 : value;
}

/** A source's key as the mirror's column reads it: as the read model writes it. */
export function toMirrorKey({ columns, key }: Pick<Mirror, 'columns' | 'key'>): (row: ReadRow) => readonly string[] {
  const readers = key.map((index) => columns[index]?.toParameter);
  return ({ keyValues }) =>
    keyValues.map((text, at) => {
      const value = parseLossless(text);
      const reader = readers[at];
      return value === null || reader === undefined ? '' : reader(value);
    });
}

/** A mirror's key as the source reads it. Postgres' own texts are the same on both sides. */
export function toSourceKey(
  columns: readonly Column[],
  dialect: LegacyDbConfig['dialect'] = 'postgres',
): (row: ReadRow) => readonly string[] {
  if (dialect === 'postgres') return ({ key }) => key;
  return ({ key }) => key.map((text, at) => foreignText(columns[at]?.kind, text, dialect));
}

function foreignText(kind: Column['kind'] | undefined, text: string, dialect: 'mariadb' | 'h2'): string {
  if (kind === 'bytea') return text.replace(/^\\x/, '').toUpperCase();
  if (kind === 'boolean' && dialect === 'mariadb') return text === 't' ? '1' : '0';
  // The session's zone is UTC.
  return kind === 'timestamptz' && dialect === 'mariadb' ? text.replace(/\+00$/, '') : text;
}

/** Key columns whose blanks at the end do not count at the source, and which the event's key has without. */
export function paddedColumns(source: readonly KnownColumn[], key: readonly string[]): ReadonlySet<string> {
  return new Set(
    source
      .filter(({ name, type, collation }) => key.includes(name) && (collation === 'padded' || type.name === 'bpchar'))
      .map(({ name }) => name),
  );
}
