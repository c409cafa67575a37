import type { TableId } from '#change-events/index.ts';
import { keyColumns, publishedColumns, readColumns, tieBreakers, timestampColumns, type PollerTableConfig } from '#pipeline/index.ts';
import type { EventShape } from '../../encoding/event-encoder.ts';
import type { Mask } from '../../encoding/masks.ts';
import { wallClock, type WallClock } from '../../fence/local-time.ts';
import type { Basis, Capture } from '../../position/position.ts';
import { hasFence, namesOf, type CatalogColumn, type CatalogTable } from './catalog-table.ts';
import type { Words } from '../words.ts';

/** One term of the order of pages: a column, or the first that is not null of several. Never null. */
export type OrderTerm = { readonly columns: readonly number[]; readonly sqlType: string };

/** A table that can be polled: columns found and fit. */
export type TableShape = {
  readonly id: TableId;
  /** SELECT in place of the table; null for a table. */
  readonly query: string | null;
  readonly capture: Capture;
  /** Whether other tables may inherit from it, now or later. */
  readonly inheritable: boolean;
  /** Whether rows carry the id of the transaction that wrote them. */
  readonly hasXmin: boolean;
  /** What is read, in the table's order. */
  readonly columns: readonly CatalogColumn[];
  /** Indexes in `columns` of what events have, with the masks. */
  readonly published: readonly { readonly column: number; readonly mask: Mask | null }[];
  /** Indexes in `columns`. */
  readonly key: readonly number[];
  /** Indexes in `columns` of those that have a row's time; empty where none does. */
  readonly timestamps: readonly number[];
  /** Of timestamps without zone. */
  readonly clock: WallClock | null;
  readonly order: readonly OrderTerm[];
  readonly basis: Basis;
  /**
   * Whether rows can be asked for by their key, each with the transaction that wrote it: not where that would read the whole table, nor of partitions, which
   * may be taken away and put back with other rows.
   */
  readonly hasWitness: boolean;
  readonly relation: CatalogTable['relation'];
  /** The sequence to ask how far it is, where the role may. */
  readonly sequence: string | null;
  /** `id-window`: the id that the table gives next, where that is known. */
  readonly nextId: bigint | null;
};

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

/** The shape of a table in which `findProblems` found nothing wrong. */
export function shapeOf(table: CatalogTable, config: PollerTableConfig, maskSecret: string, words: Words): TableShape {
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
    inheritable: table.kind === 'r' || table.kind === 'f',
    hasXmin: hasFence(table),
    columns,
    published: publishedColumns(namesOf(table), config).map((name) => ({
      column: indexOf(name),
      mask: maskOf(config.mask !== undefined && Object.hasOwn(config.mask, name) ? config.mask[name] : undefined, maskSecret),
    })),
    key: key.map(indexOf),
    timestamps: times.map(indexOf),
    clock: zone === undefined ? null : wallClock(zone),
    order: [
      ...(times.length === 0 ? [] : [term(times)]),
      ...breakers.filter((name) => times[0] !== name || times.length > 1).map((name) => term([name])),
    ],
    basis: {
      capture,
      by: [...(capture === 'id' || capture === 'id-window' ? [config.incrementingColumn] : times), ...(zone === undefined ? [] : [zone])],
      order: [times.join('|'), ...breakers].filter((name) => name !== ''),
      key,
    },
    hasWitness: isWitnessed(table, key, words),
    relation: table.relation,
    sequence: capture === 'id' && table.sequence?.readable === true ? table.sequence.oid : null,
    nextId: capture === 'id-window' ? (table.sequence?.next ?? null) : null,
  };
}

/** What the events of the table are made of. `prefix` is the topic prefix. */
export function eventShapeOf(
  shape: TableShape,
  { encodeColumn, keyText }: Pick<EventShape, 'encodeColumn' | 'keyText'>,
  database: string,
  prefix: string,
): EventShape {
  return { ...shape, encodeColumn, keyText, database, table: shape.id, prefix };
}

function isWitnessed({ kind, primaryKey, uniqueKeys, columns }: CatalogTable, key: readonly string[], { orderedTypes }: Words): boolean {
  const isKey = (unique: readonly string[]): boolean => unique.length === key.length && unique.every((name) => key.includes(name));
  const types = columns.filter(({ name }) => key.includes(name)).map(({ type }) => type);
  return (
    kind === 'r' && [primaryKey, ...uniqueKeys].some(isKey) && types.every(({ name, isArray }) => !isArray && orderedTypes.includes(name))
  );
}

function maskOf(mask: NonNullable<PollerTableConfig['mask']>[string] | undefined, salt: string): Mask | null {
  if (mask === undefined) return null;
  if (mask === 'hash') return { kind: 'hash', salt };
  return { kind: 'fixed', value: mask === 'null' ? null : mask.fixed };
}
