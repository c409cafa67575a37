import knex, { type Knex } from 'knex';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { earliestReading } from '../fence/local-time.ts';
import type { Mark } from '../fence/floor.ts';
import { formatMicros } from '../fence/micros.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import { narrowXid } from '../fence/xid.ts';
import { drawnSql, pageStateSql } from './relation-state.ts';
import { createFragments, type Fragments } from '../source/sql-fragments.ts';
import type { PageQuery } from '../source/dialect.ts';
import type { OrderTerm, TableShape } from '../source/table/table-shape.ts';

/** Builds SQL only; never connects. */
const builder: Knex = knex({ client: 'pg' });

/**
 * One page of a pass: each row's xmin; the xmax of the page's snapshot with what relation, columns and key are in that snapshot; then the columns
 * that are read, in the table's order. (Null for xmin and all that follows it where the source is a view or a query.)
 *
 * `(timestamp, id) > (…, …)` is a row value, which an index on both columns answers directly; the equivalent OR is not. Rows of
 * transactions below the pass' horizon are filtered by the server, so that a floor that an old transaction holds back costs
 * reading, but no transfer.
 */
export function pageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { query, fragments } = buildPage(shape, pass, limit);
  const { sql, bindings } = query.toSQL().toNative();
  return { text: fragments.fill(sql), values: bindings.map(String) };
}

/** The same page as a COPY, which takes no parameters: values are literals, each quoted by pg's escapeLiteral. */
export function copyQuery(shape: TableShape, pass: Pass, limit: number, until: Cursor | null = null): string {
  const { query, fragments } = buildPage(shape, pass, limit, until);
  const { sql, bindings } = query.toSQL();
  const literals = bindings.map(String).map((value) => escapeLiteral(value));
  return `COPY (${fragments.fill(sql, (index) => literals[index] ?? '')}) TO STDOUT`;
}

/** Where the next pages end: each `rows`th row of the order, `count` at most. The inner LIMIT ends the walk along the index. */
export function endsQuery(shape: TableShape, pass: Pass, rows: number, count: number): PageQuery {
  const fragments = createFragments();
  const terms = shape.order.map((term) => fragments.of(termSql(shape, term)));
  const names = terms.map((_, index) => `end_${index}`);
  const walk = rowsOf(shape, pass, rows * count, fragments, null)
    .select(terms.map((term, index) => builder.raw(`${term} as end_${index}`)))
    .select(builder.raw(`row_number() over (order by ${terms.join(', ')}) as place`));
  const { sql, bindings } = builder
    .select(names)
    .from(walk.as('ends'))
    .whereRaw('place % ? = 0', [rows])
    .orderBy('place')
    .toSQL()
    .toNative();
  return { text: fragments.fill(sql), values: bindings.map(String) };
}

function buildPage(
  shape: TableShape,
  pass: Pass,
  limit: number,
  until: Cursor | null = null,
): { readonly query: Knex.QueryBuilder; readonly fragments: Fragments } {
  const { columns, relation } = shape;
  const fragments = createFragments();
  const seen =
    relation === null
      ? 'NULL AS seen'
      : `(SELECT pg_snapshot_xmax(pg_current_snapshot()) || '/' || ${fragments.of(pageStateSql(shape.id))}) AS seen`;
  const query = rowsOf(shape, pass, limit, fragments, until)
    .select(builder.raw(shape.hasXmin ? 'xmin' : 'NULL AS xmin'), builder.raw(seen))
    .select(columns.map(({ name }) => builder.raw(fragments.of(columnSql(name)))));
  return { query, fragments };
}

/** The rows of a page, in their order; nothing is selected yet. */
function rowsOf(shape: TableShape, pass: Pass, limit: number, fragments: Fragments, until: Cursor | null): Knex.QueryBuilder {
  const { order } = shape;
  const isFenced = shape.capture === 'time' || shape.capture === 'id';
  const query = from(shape, fragments).limit(limit);
  const terms = order.map((term) => fragments.of(termSql(shape, term)));
  for (const term of terms) void query.orderByRaw(`${term} asc`);
  const [first] = terms;
  const right = order.map(({ sqlType }) => `?::${fragments.of(sqlType)}`).join(', ');
  if (until !== null) void query.whereRaw(`(${terms.join(', ')}) <= (${right})`, [...until]);
  if (pass.cursor !== null) {
    void query.whereRaw(`(${terms.join(', ')}) > (${right})`, [...pass.cursor]);
  } else if (pass.from !== null && first !== undefined) {
    void query.whereRaw(`${first} >= ?::${fragments.of(markType(shape))}`, [markText(shape, pass.from)]);
  }
  if (pass.below !== null && first !== undefined) {
    void query.whereRaw(`${first} < ?::${fragments.of(markType(shape))}`, [markText(shape, pass.below)]);
  }
  if (isFenced && pass.horizon !== null) void query.whereRaw('age(xmin) <= age(?::xid)', [narrowXid(pass.horizon)]);
  return query;
}

/** The highest id there is; no higher than the sequence is, where that may be asked: ids written by hand say nothing of those to come. */
export function highestIdQuery(shape: TableShape): string {
  const { columns, order, sequence } = shape;
  const fragments = createFragments();
  const column = fragments.of(columnSql(columns[order[0]?.columns[0] ?? 0]?.name ?? ''));
  const drawn = sequence === null ? 'NULL' : drawnSql(sequence);
  return fragments.fill(
    from(shape, fragments)
      .select(builder.raw(`least(max(${column}), ${drawn})`))
      .toQuery(),
  );
}

/** What is read has this name in the statement, so that a column is never taken for one of the page's own of the same name, by which ORDER BY goes first. */
const alias = '"source"';

function columnSql(name: string): string {
  return `${alias}.${escapeIdentifier(name)}`;
}

/** Rows of tables that inherit are no rows of this one; those of partitions are. */
function from({ id, query, inheritable }: TableShape, fragments: Fragments): Knex.QueryBuilder {
  const what =
    query === null ? `${inheritable ? 'ONLY ' : ''}${escapeIdentifier(id.schema)}.${escapeIdentifier(id.table)}` : `(${query}\n)`;
  return builder.from(builder.raw(`${fragments.of(what)} as ${alias}`));
}

/** An index answers a single column as it is; for several timestamps there has to be one on the very expression. */
function termSql({ columns }: TableShape, { columns: indexes }: OrderTerm): string {
  const names = indexes.map((index) => columnSql(columns[index]?.name ?? ''));
  return names.length === 1 ? names.join('') : `coalesce(${names.join(', ')})`;
}

/** Ids as the widest of their types: a mark may lie outside the column's. */
function markType({ capture, order }: TableShape): string {
  return capture === 'id' ? 'pg_catalog.int8' : (order[0]?.sqlType ?? 'text');
}

/** A mark as the first term's type takes it. What a wall clock shows from an instant on may be earlier than at the instant. */
function markText({ capture, clock }: TableShape, mark: Mark): string {
  if (capture === 'id') return mark.toString();
  return formatMicros(clock === null ? mark : earliestReading(clock, mark));
}
