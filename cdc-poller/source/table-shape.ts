import type { TableId } from '#change-events/index.ts';
import { keyColumns, publishedColumns, readColumns, tieBreakers, timestampColumns, type PollerTableConfig } from '#pipeline/index.ts';
import type { ColumnType } from '../encoding/value-encoders.ts';
import type { Mask } from '../encoding/masks.ts';
import { wallClock, type WallClock } from '../fence/local-time.ts';
import type { Basis, Capture, Relation } from '../position/position.ts';
import { postgresWords, type Words } from './words.ts';

/** A column as the catalogue tells it, or as a query gives it. */
export type CatalogColumn = {
  readonly name: string;
  readonly type: ColumnType;
  /** How a text becomes a value of the base type: in Postgres the type's full name for a cast, `pg_catalog.int8`; in MariaDB SQL with a question mark. */
  readonly sqlType: string;
  /** False for a query's column: nothing tells. */
  readonly notNull: boolean;
  readonly readable: boolean;
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
  /** The value that it gives next, where that is told without asking it. */
  readonly next?: bigint | null;
};

/** What the catalogue tells of a table; `columns` empty and `exists` false when there is none. */
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
  /** What a poll compares with: null for a query. */
  readonly relation: (Relation & { readonly columnsHash: string; readonly keyIndex: string }) | null;
};

/** One term of the order of pages: a column, or the first that is not null of several. Never null. */
export type OrderTerm = { readonly columns: readonly number[]; readonly sqlType: string };

/** A table that can be polled: columns found and fit. */
export type TableShape = {
  readonly id: TableId;
  /** SELECT in place of the table; null for a table. */
  readonly query: string | null;
  readonly capture: Capture;
  /** Whether rows carry the id of the transaction that wrote them. */
  readonly hasXmin: boolean;
  /** What is read, in the table's order. */
  readonly columns: readonly CatalogColumn[];
  /** Indexes in `columns` of what stands in events, with the masks. */
  readonly published: readonly { readonly column: number; readonly mask: Mask | null }[];
  /** Indexes in `columns`. */
  readonly key: readonly number[];
  /** Indexes in `columns` of those that tell a row's time; empty where none does. */
  readonly timestamps: readonly number[];
  /** Of timestamps without zone. */
  readonly clock: WallClock | null;
  readonly order: readonly OrderTerm[];
  /** Whether an index begins with what pages are ordered by; without one each page sorts the table. Not known of views and queries. */
  readonly indexed: boolean;
  readonly basis: Basis;
  readonly relation: CatalogTable['relation'];
  /** The sequence to ask how far it is, where the role may. */
  readonly sequence: string | null;
  /** `id-window`: the id that the table gives next, where it tells. */
  readonly nextId: bigint | null;
};

/** Whether rows have an xmin that means something: partitioned tables give their partitions'; a materialised view rewrites all its rows. */
export function hasFence({ kind }: CatalogTable): boolean {
  return kind === 'r' || kind === 'p';
}

/** Whether the catalogue tells keys, indexes and which columns are not null. */
export function isTable(table: CatalogTable): boolean {
  return hasFence(table) || table.kind === 'b';
}

export function captureOf(table: CatalogTable, { mode }: PollerTableConfig): Capture {
  if (mode === 'bulk') return 'whole';
  if (!hasFence(table)) return mode === 'incrementing' ? 'id-window' : 'window';
  return mode === 'incrementing' ? 'id' : 'time';
}

/** The columns that have to be read: published ones, and those that order and key need. */
export function columnsToRead(table: CatalogTable, config: PollerTableConfig): readonly CatalogColumn[] {
  const names = new Set(readColumns(namesOf(table), table, config));
  return table.columns.filter(({ name }) => names.has(name));
}

export function namesOf({ columns }: CatalogTable): readonly string[] {
  return columns.map(({ name }) => name);
}

/** The shape of a table in which `findProblems` found nothing wrong. */
export function shapeOf(table: CatalogTable, config: PollerTableConfig, maskSecret: string, words: Words = postgresWords): TableShape {
  const columns = columnsToRead(table, config);
  const indexOf = (name: string): number => {
    const index = columns.findIndex((column) => column.name === name);
    if (index < 0) throw new RangeError(`column ${name} of ${config.table} was not judged`);
    return index;
  };
  const times = timestampColumns(config);
  const key = keyColumns(table, config);
  const breakers = tieBreakers(table, config);
  const term = (names: readonly string[]): OrderTerm => {
    const indexes = names.map(indexOf);
    return { columns: indexes, sqlType: columns[indexes[0] ?? 0]?.sqlType ?? 'text' };
  };
  const capture = captureOf(table, config);
  const zone = columns.some(({ name, type }) => times.includes(name) && words.localTypes.includes(type.name)) ? config.timeZone : undefined;
  return {
    id: table.id,
    query: config.query ?? null,
    capture,
    hasXmin: hasFence(table),
    columns,
    published: publishedColumns(namesOf(table), config).map((name) => ({
      column: indexOf(name),
      mask: maskOf(config.mask?.[name], maskSecret),
    })),
    key: key.map(indexOf),
    timestamps: times.map(indexOf),
    clock: zone === undefined ? null : wallClock(zone),
    order: [
      ...(times.length === 0 ? [] : [term(times)]),
      ...breakers.filter((name) => times[0] !== name || times.length > 1).map((name) => term([name])),
    ],
    // Of several timestamps, the index is on an expression, which is not looked at.
    indexed: !isTable(table) || times.length > 1 || isIndexed(table, [...times, ...breakers]),
    basis: {
      capture,
      by: [...(capture === 'id' || capture === 'id-window' ? [config.incrementingColumn] : times), ...(zone === undefined ? [] : [zone])],
      order: [times.join('|'), ...breakers].filter((name) => name !== ''),
      key,
    },
    relation: table.relation,
    sequence: capture === 'id' && table.sequence?.readable === true ? table.sequence.oid : null,
    nextId: capture === 'id-window' ? (table.sequence?.next ?? null) : null,
  };
}

function isIndexed({ indexes }: CatalogTable, order: readonly string[]): boolean {
  return indexes.some((index) => order.every((name, place) => index[place] === name));
}

function maskOf(mask: NonNullable<PollerTableConfig['mask']>[string] | undefined, salt: string): Mask | null {
  if (mask === undefined) return null;
  if (mask === 'hash') return { kind: 'hash', salt };
  return { kind: 'fixed', value: mask === 'null' ? null : mask.fixed };
}
