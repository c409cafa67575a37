import knex, { type Knex } from 'knex';
import { mariadbName, mariadbTable, mariadbText } from '#pipeline/index.ts';
import { earliestReading } from '../fence/local-time.ts';
import type { Mark } from '../fence/floor.ts';
import { formatMicros } from '../fence/micros.ts';
import type { Pass } from '../fence/pass.ts';
import type { PageQuery } from '../source/dialect.ts';
import { createFragments, type Fragments } from '../source/sql-fragments.ts';
import type { OrderTerm, TableShape } from '../source/table/table-shape.ts';
import { readColumnsHashAgain } from './relation-state.ts';
import { readsThrough } from './values/types.ts';

/** Builds SQL only; never connects. */
const builder: Knex = knex({ client: 'mysql2' });

/**
 * One page of a pass, as the Postgres one: two columns of its own, which are empty here, then those that are read.
 *
 * MariaDB answers `(a, b) > (1, 2)` by looking at every row from the index' beginning; of `a > 1 OR (a = 1 AND b > 2)` it makes
 * ranges of the index. The table's columns are asked for when the page is there: if they are the expected ones then, the page lacks none that there is.
 */
export function mariadbPageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { columns, order, relation, id } = shape;
  const fragments = createFragments();
  const query = from(shape, fragments)
    .select(builder.raw('NULL AS xmin'), builder.raw('NULL AS seen'))
    .select(columns.map(({ name, type }) => builder.raw(fragments.of(readSql(name, type.name)))))
    .limit(limit);
  const terms = order.map((term) => ({ sql: fragments.of(termSql(shape, term)), cast: term.sqlType }));
  for (const { sql } of terms) void query.orderByRaw(`${sql} asc`);
  const [first] = terms;
  const { cursor } = pass;
  if (cursor !== null) {
    void query.where((page) => {
      for (const [place, term] of terms.entries()) {
        const equal = terms.slice(0, place).map(({ sql, cast }) => `${sql} = ${cast} AND `);
        const bindings = terms.slice(0, place + 1).map((_, index) => cursor[index] ?? '');
        void page.orWhereRaw(`(${equal.join('')}${term.sql} > ${term.cast})`, bindings);
      }
    });
  } else if (pass.from !== null && first !== undefined) {
    void query.whereRaw(`${first.sql} >= ${markSql(shape, pass.from)}`);
  }
  if (pass.below !== null && first !== undefined) void query.whereRaw(`${first.sql} < ${markSql(shape, pass.below)}`);
  const text = sqlOf(query, fragments);
  if (relation === null) return { text, values: [] };
  return {
    text,
    values: [],
    seen: async (ask) => ['0', relation.oid, await readColumnsHashAgain(ask, id, relation.columnsHash), ''].join('/'),
  };
}

export function mariadbHighestIdQuery(shape: TableShape): string {
  const { columns, order } = shape;
  const fragments = createFragments();
  const column = fragments.of(columnSql(columns[order[0]?.columns[0] ?? 0]?.name ?? ''));
  return sqlOf(from(shape, fragments).select(builder.raw(`max(${column})`)), fragments);
}

/** The statement with its values: LIMIT takes a number only. */
function sqlOf(query: Knex.QueryBuilder, fragments: Fragments): string {
  const { sql, bindings } = query.toSQL().toNative();
  return fragments.fill(sql, (index) => {
    const value: unknown = bindings[index];
    return typeof value === 'number' ? value.toString() : mariadbText(String(value));
  });
}

/** What is read has this name in the statement, so that a column is never taken for one of the page's own of the same name, by which ORDER BY goes first. */
const alias = '`source`';

function columnSql(name: string): string {
  return `${alias}.${mariadbName(name)}`;
}

function from({ id, query }: TableShape, fragments: Fragments): Knex.QueryBuilder {
  return builder.from(builder.raw(`${fragments.of(query === null ? mariadbTable(id) : `(${query}\n)`)} as ${alias}`));
}

function readSql(name: string, type: string): string {
  const through = readsThrough(type);
  if (through === null) return columnSql(name);
  return through === 'HEX' ? `HEX(${columnSql(name)})` : `CAST(${columnSql(name)} AS DOUBLE)`;
}

function termSql({ columns }: TableShape, { columns: indexes }: OrderTerm): string {
  const names = indexes.map((index) => columnSql(columns[index]?.name ?? ''));
  return names.length === 1 ? names.join('') : `coalesce(${names.join(', ')})`;
}

/** A mark is of digits, or of our own making: nothing to escape. */
function markSql({ capture, clock }: TableShape, mark: Mark): string {
  if (capture === 'id-window') return mark.toString();
  const reading = formatMicros(clock === null ? mark : earliestReading(clock, mark));
  return `CAST('${reading.replace('T', ' ').replace('Z', '')}' AS DATETIME(6))`;
}
