import knex, { type Knex } from 'knex';
import { earliestReading } from '../fence/local-time.ts';
import type { Mark } from '../fence/floor.ts';
import { formatMicros } from '../fence/micros.ts';
import type { Pass } from '../fence/pass.ts';
import { narrowXid } from '../fence/xid.ts';
import { drawnSql, pageStateSql } from './relation-state.ts';
import type { OrderTerm, TableShape } from './table-shape.ts';

/** SQL with the values for its $1, $2 … */
export type PageQuery = { readonly text: string; readonly values: readonly string[] };

/** Columns that stand before the table's own in each row of a page. */
export const pagePrefix = 2;

/** Builds SQL only; never connects. */
const builder: Knex = knex({ client: 'pg' });

/**
 * One page of a pass: each row's xmin; the xmax of the page's snapshot with what relation, columns and key are in that snapshot; then the columns
 * that are read, in the table's order. (Null for xmin and the rest where the source is a view or a query.)
 *
 * `(timestamp, id) > (…, …)` is a row value, which an index on both columns answers directly; the equivalent OR is not. Rows of
 * transactions below the pass' horizon are filtered by the server, so that a floor that an old transaction holds back costs
 * reading, but no transfer.
 */
export function pageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { columns, order, relation } = shape;
  const isFenced = shape.capture === 'time' || shape.capture === 'id';
  const hasXmin = shape.hasXmin;
  const query = from(shape)
    .select(
      builder.raw(hasXmin ? 'xmin' : 'NULL AS xmin'),
      builder.raw(
        relation === null
          ? 'NULL AS seen'
          : `(SELECT pg_snapshot_xmax(pg_current_snapshot()) || '/' || ${pageStateSql(shape.id).replaceAll('?', String.raw`\?`)}) AS seen`,
      ),
    )
    .select(columns.map(({ name }) => name))
    .limit(limit);
  const terms = order.map((term) => termSql(shape, term));
  for (const { sql, names } of terms) void query.orderByRaw(`${sql} asc`, [...names]);
  const [first] = terms;
  if (pass.cursor !== null) {
    const left = terms.map(({ sql }) => sql).join(', ');
    const right = order.map(({ sqlType }) => `?::${sqlType}`).join(', ');
    void query.whereRaw(`(${left}) > (${right})`, [...terms.flatMap(({ names }) => names), ...pass.cursor]);
  } else if (pass.from !== null && first !== undefined) {
    void query.whereRaw(`${first.sql} >= ${markSql(shape)}`, [...first.names, markText(shape, pass.from)]);
  }
  if (pass.below !== null && first !== undefined) {
    void query.whereRaw(`${first.sql} < ${markSql(shape)}`, [...first.names, markText(shape, pass.below)]);
  }
  if (isFenced && pass.horizon !== null) void query.whereRaw('age(xmin) <= age(?::xid)', [narrowXid(pass.horizon)]);
  const { sql, bindings } = query.toSQL().toNative();
  return { text: sql, values: bindings.map(String) };
}

/** The highest id there is; no higher than the sequence is, where that may be asked: ids written by hand say nothing of those to come. */
export function highestIdQuery({ id, columns, order, sequence }: TableShape): string {
  const column = columns[order[0]?.columns[0] ?? 0]?.name ?? '';
  const drawn = sequence === null ? 'NULL' : drawnSql(sequence);
  const highest = builder.raw(`least(max(??), ${drawn})`, [column]);
  return builder.withSchema(id.schema).from(id.table).select(highest).toQuery();
}

/** A question mark of the query's own is no place for a value. */
function from({ id, query }: TableShape): Knex.QueryBuilder {
  return query === null
    ? builder.withSchema(id.schema).from(id.table)
    : builder.from(builder.raw(`(${query.replaceAll('?', String.raw`\?`)}\n) AS source`));
}

/** An index answers a single column as it is; for several timestamps there has to be one on the very expression. */
function termSql({ columns }: TableShape, { columns: indexes }: OrderTerm): { readonly sql: string; readonly names: readonly string[] } {
  const names = indexes.map((index) => columns[index]?.name ?? '');
  return { sql: names.length === 1 ? '??' : `coalesce(${names.map(() => '??').join(', ')})`, names };
}

/** Ids as the widest of their types: a mark may lie outside the column's. */
function markSql({ capture, order }: TableShape): string {
  return `?::${capture === 'id' ? 'pg_catalog.int8' : (order[0]?.sqlType ?? 'text')}`;
}

/** A mark as the first term's type takes it. What a wall clock shows from an instant on may be earlier than at the instant. */
function markText({ capture, clock }: TableShape, mark: Mark): string {
  if (capture === 'id') return mark.toString();
  return formatMicros(clock === null ? mark : earliestReading(clock, mark));
}
