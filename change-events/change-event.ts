import * as z from 'zod';
import type { JsonValue } from './lossless-json.ts';

/** One row as an event has it: column name → value in the contract's representation (docs/change-event.md). */
export type Row = { readonly [column: string]: JsonValue };

/**
 * A {@link Row} as two lists. Rows of the same columns may share the list of names: whoever works out something of the names alone can keep
 * it by that list.
 */
export type RowValues = { readonly names: readonly string[]; readonly values: readonly JsonValue[] };

export function toRowValues(row: Row): RowValues {
  return { names: Object.keys(row), values: Object.values(row) };
}

/** Create, update, delete, read (snapshot), truncate; Debezium's letters. */
export type Operation = 'c' | 'u' | 'd' | 'r' | 't';

/** The text with which Debezium replaces a TOAST column that an update left alone; the reader keeps the value it has. */
export const unavailableValue = '__debezium_unavailable_value';

/** `source.connector` of events that the query-based strategy publishes. */
export const queryConnector = 'cdc-poller';

export function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const lastPosition = 2n ** 63n - 1n;

/** Whether a number can be a position of a source's log: a whole one, of 64 bits, and not negative. */
export function isLogPosition(value: number | bigint): boolean {
  return typeof value === 'bigint' ? value >= 0n && value <= lastPosition : Number.isSafeInteger(value) && value >= 0;
}

const row = z
  .custom<Row>(isRow, 'expected an object of columns')
  .nullish()
  .transform((value) => value ?? null);

/** Where an event comes from. Only what both strategies give is required; what a strategy cannot know is null. */
const sourceSchema = z
  .looseObject({
    connector: z.string(),
    name: z.string(),
    db: z.string(),
    /** Where schemas are databases (MariaDB), Debezium leaves it out, and the poller writes the database. */
    schema: z.string().optional(),
    table: z.string(),
    /** The transaction that wrote the row: its xid for both strategies (a sub-transaction's own for the query-based one). */
    txId: z.union([z.number(), z.bigint()]).nullish(),
    lsn: z.union([z.number(), z.bigint()]).refine(isLogPosition, 'expected a position of the log: a whole number of 64 bits').nullish(),
    ts_ms: z.number().nullish(),
    /** Finer; nobody's reading depends on it. */
    ts_us: z.union([z.number(), z.bigint()]).nullish().catch(null),
    snapshot: z.union([z.string(), z.boolean()]).nullish(),
  })
  .transform((source) => ({ ...source, schema: source.schema ?? source.db }));

const transactionSchema = z.looseObject({
  id: z.string(),
  total_order: z.number(),
  data_collection_order: z.number(),
});

/** The envelope of Debezium, as both strategies write it. */
export const changeEventSchema = z.looseObject({
  before: row,
  after: row,
  source: sourceSchema,
  op: z.enum(['c', 'u', 'd', 'r', 't']),
  ts_ms: z.number().nullish(),
  transaction: transactionSchema.nullish(),
});

/**
 * A change of one row. `after` is null for `d` and `t`; `before` is null for `c` and `r`, and always for query-based events,
 * because a query cannot know it.
 */
export type ChangeEvent = z.output<typeof changeEventSchema>;
