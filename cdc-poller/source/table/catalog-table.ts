import type { TableId } from '#change-events/index.ts';
import type { ColumnType } from '../../encoding/column-type.ts';
import type { Relation } from '../../position/position.ts';

/** What a database knows of a table before it is polled: the same for every database, read by the catalogue of its folder. */

/** A column as the catalogue has it, or as a query gives it. */
export type CatalogColumn = {
  readonly name: string;
  readonly type: ColumnType;
  /** How a text becomes a value of the base type: in Postgres the type's full name for a cast, `pg_catalog.int8`; in MariaDB SQL with a question mark. */
  readonly sqlType: string;
  /** False for a query's column: it is not known. */
  readonly notNull: boolean;
  readonly readable: boolean;
  /** pg_type.typtype of the type, or of an array's elements: b base, e enum, c composite, r range, m multirange. */
  readonly kind?: string;
  /** A type that it is made of, whose values the poller does not know how to write; null for none. */
  readonly unknownPart?: string | null;
  /** Of text: `loose` takes different texts for equal, `padded` those that differ in blanks at their end only. Not known of a query's. */
  readonly collation?: 'exact' | 'padded' | 'loose';
};

/** The sequence that gives a column its values. */
export type CatalogSequence = {
  readonly oid: string;
  readonly name: string;
  readonly increment: bigint;
  readonly cache: bigint;
  readonly cycles: boolean;
  /** Whether the role may read how far it is. */
  readonly readable: boolean;
  /** The value that it gives next, where that can be read without drawing it. */
  readonly next?: bigint | null;
};

/** What the catalogue has of a table; `columns` empty and `exists` false when there is none. */
export type CatalogTable = {
  readonly id: TableId;
  readonly exists: boolean;
  /** pg_class.relkind: r table, p partitioned, v view, m materialised view, f foreign table; b: a table without a fence; q: a query of the configuration. */
  readonly kind: string;
  /** USAGE on the schema, and SELECT on the table. Without SELECT on the table, columns may be readable one by one. */
  readonly readable: boolean;
  readonly columns: readonly CatalogColumn[];
  /** Names of the primary key's columns in key order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Columns of each unique index that covers all rows. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** Leading columns of the indexes that cover all rows, in index order. */
  readonly indexes: readonly (readonly string[])[];
  /** Of the incrementing column. */
  readonly sequence: CatalogSequence | null;
  /** Tables that do exist, to name the one that was meant. */
  readonly similar: readonly string[];
  /** What a poll compares with: null for a query. `rows`: which of them are shown, where the server can hide some. */
  readonly relation: (Relation & { readonly columnsHash: string; readonly keyIndex: string; readonly rows?: string }) | null;
  /** False: the role may not use the schema, whatever it may do with the table. */
  readonly schemaUsable?: boolean;
  /** Its policies for reading, whomever they apply to. */
  readonly policies?: readonly { readonly name: string; readonly restrictive: boolean }[];
  /** Tables that inherit from it, also by way of others; partitions are none of them. */
  readonly children?: readonly TableId[];
  /** Of a partitioned table: the tables that hold its rows. */
  readonly leaves?: readonly Leaf[];
};

/** Of a table that is not there. */
export function missingTable(id: TableId): CatalogTable {
  return {
    id,
    exists: false,
    kind: '',
    readable: false,
    columns: [],
    primaryKey: [],
    uniqueKeys: [],
    indexes: [],
    sequence: null,
    similar: [],
    relation: null,
  };
}

/** A partition without partitions. `indexes`: columns of those that an index of the partitioned table could take in. */
export type Leaf = { readonly id: TableId; readonly indexes: readonly (readonly string[])[] };

/**
 * An event key names a row as the database's key does only if both agree which values are equal. `merged`: values that differ would be one event key. `variants`:
 * equal values have several texts, and a row that changes from one to another would have two event keys. `unknown`: nothing is known of its equality or order.
 */
export type KeyMisfit = { readonly kind: 'merged' | 'variants' | 'unknown'; readonly reason: string };

/** Whether rows have an xmin that means something: partitioned tables give their partitions'; a materialised view rewrites all its rows. */
export function hasFence({ kind }: CatalogTable): boolean {
  return kind === 'r' || kind === 'p';
}

/** Whether the catalogue has keys, indexes and which columns are not null. */
export function isTable(table: CatalogTable): boolean {
  return hasFence(table) || table.kind === 'b';
}

export function namesOf({ columns }: CatalogTable): readonly string[] {
  return columns.map(({ name }) => name);
}
