import type { LegacyDbConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { ByteValue } from '../encoding/bytes/byte-value.ts';
import type { EncodeColumn, EventColumn, KeyText } from '../encoding/event-encoder.ts';
import type { Observation } from '../fence/floor.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import type { Snapshot } from '../fence/xid.ts';
import type { ColumnDetails, FieldType } from '../schemas/field-type.ts';
import type { FieldTypes } from '../schemas/table-fields.ts';
import type { CatalogColumn, CatalogTable } from './table/catalog-table.ts';
import type { TableShape } from './table/table-shape.ts';
import type { Words } from './words.ts';

/**
 * What differs between databases: how they are asked, and what their values look like. What decides (fence/, position/) knows none of it,
 * but which capture a table has: only Postgres gives rows a fence.
 */
export type Dialect = {
  readonly openSession: (config: LegacyDbConfig, applicationName: string, statementTimeoutMs: number) => Promise<SourceSession>;
  readonly readIdentity: (source: CatalogSource) => Promise<ServerIdentity>;
  readonly readCatalog: (source: CatalogSource, config: CatalogRequest) => Promise<CatalogTable>;
  /** Schema and name of every table that patterns may mean. */
  readonly listTables: (source: CatalogSource) => Promise<readonly (readonly (string | null)[])[]>;
  readonly pageQuery: (shape: TableShape, pass: Pass, limit: number) => PageQuery;
  /** Where pages may be read as bytes (CopyRows): the page's statement, and the quick way of a column's values. */
  readonly bytes?: {
    /** `until`: where the page ends at the latest, that place included. */
    readonly copyQuery: (shape: TableShape, pass: Pass, limit: number, until?: Cursor | null) => string;
    /** Where the next pages of so many rows end, `count` at most, in order: a page's last row as its cursor. Reads no other column, so that an index may do. */
    readonly endsQuery: (shape: TableShape, pass: Pass, rows: number, count: number) => PageQuery;
    readonly valueOf: (column: EventColumn) => ByteValue | null;
    readonly avroValueOf: (column: EventColumn, type: FieldType) => ByteValue | null;
  };
  readonly highestIdQuery: (shape: TableShape) => string;
  /** An SQL scalar for `observe`, and what its text says: how far the table's sequence is. `high` is the position's. @throws TableReshaped */
  readonly watchSql: (shape: TableShape) => string;
  readonly readWatch: (shape: TableShape, watched: string | null, high: bigint | null) => bigint | null;
  /** How many rows a load is going to read, roughly; null where it is not known. */
  readonly estimateRows: (source: CatalogSource, shape: TableShape, pass: Pass, pageRows: number) => Promise<number | null>;
  readonly encodeColumn: EncodeColumn;
  readonly keyText: KeyText;
  /** What only schemas need to know of the columns; of a query's next to nothing. */
  readonly readColumnDetails: (source: CatalogSource, shape: Pick<TableShape, 'id' | 'query' | 'columns'>) => Promise<ColumnDetails>;
  readonly fieldTypes: FieldTypes;
  /** The type of Postgres, as SQL, in which a mirror holds the column's values as this strategy writes them. */
  readonly mirrorType: (column: CatalogColumn, capturedBy: 'query' | 'log') => string;
  /** Whether the log's events have the bytes of the column's text in place of the text. */
  readonly writtenAsBytes?: (column: CatalogColumn) => boolean;
  /** Whether the log's events have an object, or a list of numbers, in place of the column's text. */
  readonly writtenAsStructure?: (column: CatalogColumn) => boolean;
  /** An extension's type, named as its extension, in which a mirror may hold the column's values where the read database has it; null for others. */
  readonly extensionType?: (column: CatalogColumn) => string | null;
  /** SQL of a value of the column, from its text as pages give it. */
  readonly literal: (column: Pick<CatalogColumn, 'sqlType'>, text: string) => string;
  readonly words: Words;
};

/** Which table the catalogue is asked about, or which query. */
export type CatalogRequest = Pick<PollerTableConfig, 'table' | 'query' | 'incrementingColumn'>;

/** SQL with the values for its $1, $2 … */
export type PageQuery = {
  readonly text: string;
  readonly values: readonly string[];
  /** Whether names in it without a schema are the user's: of a query of the configuration. */
  readonly isUsers?: boolean;
  /** Where the page's second column cannot be part of its statement: asked once it is read, for its first row. */
  readonly seen?: (query: TextQuery) => Promise<string>;
};

/** Columns that come before the table's own in each row of a page. */
export const pagePrefix = 2;

/** Rows as the server's own texts: no parser touches them. */
export type TextRows = readonly (readonly (string | null)[])[];

export type SourceSession = OpenSession & { readonly dialect: Dialect };

/** One connection to the legacy database, read-only in every sense: it never takes more than ACCESS SHARE. */
export type OpenSession = AsyncDisposable & {
  /** `rowsOf`: how many of the table's rows the server read for the answer, where its load is to be governed; none by default. */
  query(text: string, values?: readonly string[], rowsOf?: (rows: TextRows) => number): Promise<TextRows>;
  /** A statement that is the same for every table, with other values: the server may plan it once per connection. Where it is not there, `query` does. */
  prepared?: TextQuery;
  /** A page, as a prepared statement. */
  page(query: PageQuery): Promise<TextRows>;
  /** A page as bytes: whole rows as {@link CopyRows} reads them, which are valid until the page after the next is read. */
  copyPage?(text: string): Promise<CopiedPage>;
  /** The columns that a SELECT gives. */
  describe(text: string): Promise<readonly DescribedColumn[]>;
  explain?(query: PageQuery): Promise<TextRows>;
  /**
   * Clock and open transactions first, then the snapshot: the order that the fence needs. `watch` is a scalar (SQL, text) that is read in that
   * very snapshot: what it does not show yet is of a transaction at or past the snapshot's xmin. It is not read, and null, where the snapshot is `settled`.
   */
  observe(watch?: string, settled?: string): Promise<WatchedObservation>;
  /** Between polls, while nothing runs: a connection that is shared goes to the next table. */
  rest?: () => Promise<void>;
};

export type CopiedPage = { readonly bytes: Buffer; readonly rows: number };

export type WatchedObservation = Observation & {
  readonly snapshot: Snapshot;
  readonly watched: string | null;
  /** How far the server's log is, where it is known; only ever compared with itself. */
  readonly log: string | null;
};

/** Runs a query and gives its rows as texts. */
export type TextQuery = (text: string, values?: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>;

/** A column of a query's result, as the server describes it: its type's oid, in MariaDB the type's name. */
export type DescribedColumn = { readonly name: string; readonly typeOid: string; readonly modifier: number };

/** What the catalogue is read through: a SourceSession. */
export type CatalogSource = {
  query: TextQuery;
  /** As {@link OpenSession} has it. */
  prepared?: TextQuery;
  /** The columns that a SELECT gives; reads no row. */
  describe(text: string): Promise<readonly DescribedColumn[]>;
  /** Runs an EXPLAIN of a page; where it is not there, `query` does. */
  explain?(query: PageQuery): Promise<readonly (readonly (string | null)[])[]>;
};

/** The database, its role and itself. */
export type ServerIdentity = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly role: string;
  /** How far the server's log is, where it is known. */
  readonly log: string | null;
  /** The transaction id that it gives next; null where the server does not say. */
  readonly nextXid: bigint | null;
  /** It takes no writes but its own replication's, as far as that is known. */
  readonly readOnly: boolean;
};
