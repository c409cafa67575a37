import knex, { type Knex } from 'knex';
import { formatMicros } from '../fence/micros.ts';
import type { Pass } from '../fence/pass.ts';
import { narrowXid } from '../fence/xid.ts';
import type { TableShape } from './table-shape.ts';

/** SQL with the values for its $1, $2 … */
export type PageQuery = { readonly text: string; readonly values: readonly string[] };

/** Builds SQL only; never connects. */
const builder: Knex = knex({ client: 'pg' });

/**
 * One page of a pass: each row's xmin, the xmax of the page's snapshot, then all columns in the table's order.
 *
 * `(timestamp, id) > (…, …)` is a row value, which an index on both columns answers directly; the equivalent OR is not. Rows of
 * transactions below the pass' horizon are filtered by the server, so that a floor that an old transaction holds back costs
 * reading, but no transfer.
 */
export function pageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { columns, id, timestamp, incrementing } = shape;
  const names = columns.map(({ name }) => name);
  const timestampColumn = names[timestamp] ?? '';
  const incrementingColumn = names[incrementing] ?? '';
  const query = builder
    .withSchema(id.schema)
    .from(id.table)
    .select(builder.raw('xmin'), builder.raw('(SELECT pg_snapshot_xmax(pg_current_snapshot()))'))
    .select(names)
    .orderBy([timestampColumn, incrementingColumn])
    .limit(limit);
  if (pass.cursor !== null) {
    void query.whereRaw('(??, ??) > (?::timestamptz, ?::bigint)', [
      timestampColumn,
      incrementingColumn,
      pass.cursor.timestamp,
      pass.cursor.id,
    ]);
  } else if (pass.from !== null) {
    void query.whereRaw('?? >= ?::timestamptz', [timestampColumn, formatMicros(pass.from)]);
  }
  if (pass.below !== null) void query.whereRaw('?? < ?::timestamptz', [timestampColumn, formatMicros(pass.below)]);
  if (pass.horizon !== null) void query.whereRaw('age(xmin) <= age(?::xid)', [narrowXid(pass.horizon)]);
  const { sql, bindings } = query.toSQL().toNative();
  return { text: sql, values: bindings.map(String) };
}
