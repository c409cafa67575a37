/**
 * A table's rows as events would carry them, for whoever reads a table once: in pages of its key's order, and by key. The same statements, sessions and
 * values as the poller's own, so that a row reads alike on every database. Read-only; takes no lock but ACCESS SHARE.
 */
import { formatTableId, type TableId } from '#change-events/index.ts';
import { isUnique, pipelineSchema, type PollerTableConfig } from '#pipeline/index.ts';
import type { ColumnType } from './encoding/column-type.ts';
import { unreadableValue } from './encoding/event-encoder.ts';
import type { Cursor, Pass } from './fence/pass.ts';
import { isTable, type CatalogColumn, type CatalogTable } from './source/table/catalog-table.ts';
import { pagePrefix, type SourceSession, type TextRows } from './source/dialect.ts';
import { findProblems, problemsError } from './source/judge/judge-table.ts';
import { cursorAfter } from './source/page-rows.ts';
import { charactersOf, firstPageSize, nextPageSize } from './source/page-size.ts';
import { shapeOf, type TableShape } from './source/table/table-shape.ts';

export { dialectOf } from './dialects.ts';
export type { SourceSession } from './source/dialect.ts';

/** A row that was read. */
export type ReadRow = {
  /** The key's values as the server wrote them: what {@link TableRows.byKeys} takes. */
  readonly key: readonly string[];
  /** The key's values, then those of the columns asked for, as JSON texts of the contract. */
  readonly keyValues: readonly string[];
  readonly values: readonly string[];
  /** Differs between versions of a row that look alike; null where the server has no such value. */
  readonly version: string | null;
};

export type TableRows = {
  /** All rows, in an order that an index of the key knows. A page is bounded by rows and by bytes. */
  pages(maxRows: number): AsyncGenerator<readonly ReadRow[]>;
  /** Those of these keys that are there, in any order. */
  byKeys(keys: readonly (readonly string[])[]): Promise<readonly ReadRow[]>;
};

export type KnownColumn = { readonly name: string; readonly type: ColumnType; readonly collation: CatalogColumn['collation'] };

/** A table as its catalogue has it, before rows are read. */
export type ReadableTable = {
  readonly columns: readonly KnownColumn[];
  /** Columns of types whose text may not be the whole value, and those that the role may not read. */
  readonly unknown: readonly string[];
  readonly unreadable: readonly string[];
  /** Rows with these columns besides the key. @throws CdcError */
  rows(columns: readonly string[]): TableRows;
};

export type TableRequest = {
  readonly table: TableId;
  /** Names one row. */
  readonly key: readonly string[];
  /** A Postgres table that others inherit from: its own rows alone. */
  readonly only?: boolean;
  /** Who asks, for what an error says. */
  readonly role: string;
};

/** One query asks for so many keys. */
const keysOfQuery = { single: 500, composite: 100 };

/** @throws CdcError TABLE_UNKNOWN, SELECT_MISSING, KEY_UNFIT … with the poller's own words and remedies */
export async function openTable(session: SourceSession, { table, key, only = false, role }: TableRequest): Promise<ReadableTable> {
  const { dialect } = session;
  const { words } = dialect;
  const configOf = (includeColumns: readonly string[], ordered = key): PollerTableConfig =>
    tableSchema.parse({
      table: formatTableId(table),
      mode: 'bulk',
      pollIntervalMs: 1000,
      keysAsWritten: true,
      only,
      key: ordered,
      includeColumns,
    });
  const catalog = await dialect.readCatalog(session, configOf(key));
  const problems = [...findProblems(catalog, configOf(key), role, words), ...ambiguous(catalog, key)];
  if (problems.length > 0) throw problemsError(problems);
  const known = catalog.columns.filter(({ unknownPart }) => unknownPart === null || unknownPart === undefined);
  return {
    columns: known.filter(({ readable }) => readable).map(({ name, type, collation }) => ({ name, type, collation })),
    unknown: catalog.columns.filter((column) => !known.includes(column)).map(({ name }) => name),
    unreadable: known.filter(({ readable }) => !readable).map(({ name }) => name),
    rows(columns) {
      const read = configOf([...new Set([...key, ...columns])], inIndexOrder(catalog, key));
      return rowsOf(session, shapeOf(catalog, read, '', words), key, columns);
    },
  };
}

const tableSchema = pipelineSchema.shape.poller.unwrap().shape.tables.element;

/** Keys that are not unique cannot be asked for one by one. Of a view that is not known. */
function ambiguous(catalog: CatalogTable, key: readonly string[]): ReturnType<typeof findProblems> {
  if (!catalog.exists || !isTable(catalog) || isUnique(catalog, key)) return [];
  const message = `columns ${key.join(', ')} of ${formatTableId(catalog.id)} are not unique: its rows cannot be asked for by them`;
  return [{ code: 'KEY_UNFIT', message, remedy: 'Give the other side the primary key of this table.' }];
}

/** The primary key's own order of columns, where it is the key: its index answers no other. */
function inIndexOrder({ primaryKey }: CatalogTable, key: readonly string[]): readonly string[] {
  return primaryKey.length === key.length && primaryKey.every((name) => key.includes(name)) ? primaryKey : key;
}

function rowsOf(session: SourceSession, shape: TableShape, key: readonly string[], columns: readonly string[]): TableRows {
  const { dialect } = session;
  const encoded = (names: readonly string[]): readonly ((row: readonly (string | null)[]) => string)[] =>
    names.map((name) => {
      const index = shape.columns.findIndex((column) => column.name === name);
      const column = shape.columns[index];
      if (column === undefined) throw new RangeError(`column ${name} of ${formatTableId(shape.id)} was not read`);
      const encode = dialect.encodeColumn(column);
      return (row) => {
        const text = row[index + pagePrefix] ?? null;
        try {
          return text === null ? 'null' : encode(text);
        } catch (error) {
          throw unreadableValue(error, shape.id, column);
        }
      };
    });
  const [keyEncoders, encoders] = [encoded(key), encoded(columns)];
  const keyIndexes = key.map((name) => shape.columns.findIndex((column) => column.name === name) + pagePrefix);
  const toRow = (row: readonly (string | null)[]): ReadRow => ({
    key: keyIndexes.map((index) => row[index] ?? ''),
    keyValues: keyEncoders.map((encode) => encode(row)),
    values: encoders.map((encode) => encode(row)),
    version: row[0] ?? null,
  });
  const read = (what: TableShape, cursor: Cursor | null, limit: number): Promise<TextRows> => {
    const { text, values } = dialect.pageQuery(what, { ...everything, cursor }, limit);
    return session.query(text, values);
  };
  return {
    async *pages(maxRows) {
      let cursor: Cursor | null = null;
      for (let limit = firstPageSize(maxRows); ;) {
        const page: TextRows = await read(shape, cursor, limit);
        cursor = cursorAfter(shape, page) ?? cursor;
        yield page.map(toRow);
        if (page.length < limit) return;
        limit = nextPageSize(limit, { rows: page.length, characters: charactersOf(page) }, maxRows);
      }
    },
    async byKeys(keys) {
      const found: ReadRow[] = [];
      const most = key.length === 1 ? keysOfQuery.single : keysOfQuery.composite;
      for (let from = 0; from < keys.length; from += most) {
        const asked = keys.slice(from, from + most);
        const query = keyedSql(session, shape, key, asked);
        // It is polled as a query, which has no state of a relation.
        for (const row of await read({ ...shape, query, relation: null }, null, asked.length)) found.push(toRow(row));
      }
      return found;
    },
  };
}

/** Everything, whatever was read before. */
const everything: Omit<Pass, 'cursor'> = { kind: 'whole', from: null, below: null, horizon: null, nextHorizon: 0n };

function keyedSql({ dialect }: SourceSession, shape: TableShape, key: readonly string[], keys: readonly (readonly string[])[]): string {
  const { words, literal } = dialect;
  const { id, columns, hasXmin, inheritable } = shape;
  const keyed = key.flatMap((name) => columns.find((column) => column.name === name) ?? []);
  const [only] = keyed;
  const condition =
    only !== undefined && keyed.length === 1
      ? `${words.name(only.name)} IN (${keys.map(([text = '']) => literal(only, text)).join(', ')})`
      : keys
          .map(
            (texts) => `(${keyed.map((column, at) => `${words.name(column.name)} = ${literal(column, texts[at] ?? '')}`).join(' AND ')})`,
          )
          .join(' OR ');
  const selected = [...(hasXmin ? ['xmin'] : []), ...columns.map(({ name }) => words.name(name))];
  // Only Postgres has rows of tables that inherit.
  const from = `${inheritable && hasXmin ? 'ONLY ' : ''}${words.name(id.schema)}.${words.name(id.table)}`;
  return `SELECT ${selected.join(', ')} FROM ${from} WHERE ${condition}`;
}
