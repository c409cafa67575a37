import type { LegacyDbConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { EncodeColumn } from '../encoding/event-encoder.ts';
import type { Pass } from '../fence/pass.ts';
import type { ColumnDetails } from '../schemas/field-type.ts';
import type { FieldTypes } from '../schemas/table-fields.ts';
import type { CatalogSource, ServerIdentity } from './catalog.ts';
import { mariadb } from './mariadb/dialect.ts';
import type { PageQuery } from './page-query.ts';
import { postgres } from './postgres-dialect.ts';
import type { SourceSession } from './source-session.ts';
import type { CatalogTable, TableShape } from './table-shape.ts';
import type { Words } from './words.ts';

/**
 * What differs between databases: how they are asked, and what their values look like. What decides (fence/, position/) knows none of it,
 * but which capture a table has: only Postgres gives rows a fence.
 */
export type Dialect = {
  readonly openSession: (config: LegacyDbConfig, applicationName: string, statementTimeoutMs: number) => Promise<SourceSession>;
  readonly readIdentity: (source: CatalogSource) => Promise<ServerIdentity>;
  readonly readCatalog: (source: CatalogSource, config: PollerTableConfig) => Promise<CatalogTable>;
  /** Schema and name of every table that patterns may mean. */
  readonly listTables: (source: CatalogSource) => Promise<readonly (readonly (string | null)[])[]>;
  readonly pageQuery: (shape: TableShape, pass: Pass, limit: number) => PageQuery;
  readonly highestIdQuery: (shape: TableShape) => string;
  /** An SQL scalar for `observe`, and what its text says: how far the table's sequence is. `high` is the position's. @throws TableReshaped */
  readonly watchSql: (shape: TableShape) => string;
  readonly readWatch: (shape: TableShape, watched: string | null, high: bigint | null) => bigint | null;
  /** How many rows a load is going to read, roughly; null where nothing tells. */
  readonly estimateRows: (source: CatalogSource, shape: TableShape, pass: Pass, pageRows: number) => Promise<number | null>;
  readonly encodeColumn: EncodeColumn;
  /** What only schemas need to know of the columns; of a query's next to nothing. */
  readonly readColumnDetails: (source: CatalogSource, shape: TableShape) => Promise<ColumnDetails>;
  readonly fieldTypes: FieldTypes;
  readonly words: Words;
};

export function dialectOf({ dialect = 'postgres' }: Pick<LegacyDbConfig, 'dialect'>): Dialect {
  return { postgres, mariadb }[dialect];
}
