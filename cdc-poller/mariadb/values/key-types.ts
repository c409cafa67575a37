import type { KeyMisfit } from '../../source/table/catalog-table.ts';
import type { CatalogColumn } from '../../source/table/catalog-table.ts';

/** As in Postgres' ../key-types.ts: equal if and only if their event keys are, in an order that an index knows, from a text that reads back as the same value. */
const fitTypes: ReadonlySet<string> = new Set([
  'tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year', 'decimal', 'double', 'binary', 'varbinary', 'uuid', 'inet4', 'inet6', 'date', 'time', 'datetime', 'timestamp',
]); // prettier-ignore

const texts: ReadonlySet<string> = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext']);

const misfits: Readonly<Record<string, KeyMisfit>> = {
  float: { kind: 'unknown', reason: 'its text is rounded, so that pages cannot be cut by it' },
  bit: { kind: 'unknown', reason: 'its text does not read back as the same value in the same order, and pages are cut by it' },
  enum: { kind: 'unknown', reason: 'it is ordered by number and compared by text, and pages are cut by it' },
  set: { kind: 'unknown', reason: 'it is ordered by number and compared by text, and pages are cut by it' },
};

/** Why values of a MariaDB or MySQL column cannot name rows in events; null when they can. */
export function mariadbKeyMisfit({ type: { name }, collation = 'exact' }: Pick<CatalogColumn, 'type' | 'collation'>): KeyMisfit | null {
  if (fitTypes.has(name)) return null;
  if (texts.has(name)) {
    return collation === 'loose' ? { kind: 'variants', reason: 'its collation takes different texts for equal, as a and A' } : null;
  }
  return misfits[name] ?? { kind: 'unknown', reason: 'nothing is known of which of its values are equal' };
}

/**
 * Which texts a collation takes for equal, by its name: a binary one those that differ in blanks at their end, unless it is one without padding; all others,
 * for all that their names tell, also those that differ in case or accents.
 */
export function collationOf(name: string | null | undefined): 'exact' | 'padded' | 'loose' {
  if (name === null || name === undefined || name === '' || name === 'binary') return 'exact';
  if (/_(?:nopad|0900)_bin$/.test(name)) return 'exact';
  return name.endsWith('_bin') ? 'padded' : 'loose';
}
