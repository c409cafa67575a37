import type { TableId } from '#change-events/index.ts';
import type { CatalogColumn, KeyMisfit, Leaf } from './table/catalog-table.ts';

/** The words of a database for what a table is judged by. */
export type Words = {
  /** Types of columns that may be an id that grows. */
  readonly idTypes: readonly string[];
  /** Types whose order the database and its indexes know, and whose text reads back as the same value. */
  readonly orderedTypes: readonly string[];
  /** Types of timestamps that are instants, and of those that are readings of a clock. */
  readonly zonedTypes: readonly string[];
  readonly localTypes: readonly string[];
  /** Why values of a column cannot name rows in events; null when they can. */
  readonly keyMisfit: (column: CatalogColumn) => KeyMisfit | null;
  /** Types whose values may be longer than an index takes: with an index on one, an INSERT of such a value fails. */
  readonly longTypes: readonly string[];
  /** SQL that does as it says whatever the names are. Each statement ends with a semicolon. */
  readonly name: (name: string) => string;
  readonly role: (role: string) => string;
  readonly grant: (table: TableId, columns: readonly string[], role: string) => string;
  /** Statements to be run one by one, outside a transaction. Nobody waits longer than seconds for them, but who runs them. */
  readonly createIndex: (table: TableId, columns: readonly string[], leaves: readonly Leaf[] | null) => readonly string[];
};

/** After this long, in seconds, a statement that takes a lock gives up, so that nobody queues behind it for longer. */
export const lockSeconds = 3;

/** Columns in brackets, for SQL; nothing for none. */
export function columnList(columns: readonly string[], quote: (name: string) => string): string {
  return columns.length === 0 ? '' : ` (${columns.map(quote).join(', ')})`;
}
