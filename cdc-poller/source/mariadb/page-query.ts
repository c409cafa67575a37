import knex, { type Knex } from 'knex';
import { earliestReading } from '../../fence/local-time.ts';
import type { Mark } from '../../fence/floor.ts';
import { formatMicros } from '../../fence/micros.ts';
import type { Pass } from '../../fence/pass.ts';
import type { PageQuery } from '../page-query.ts';
import type { OrderTerm, TableShape } from '../table-shape.ts';
import { columnsHashSql } from './relation-state.ts';
import { readsThrough } from './types.ts';

/** Builds SQL only; never connects. */
const builder: Knex = knex({ client: 'mysql2' });

/**
 * One page of a pass, as the Postgres one: two columns of its own, of which only the name and the hash of the table's columns and key are there, then those that are read.
 *
 * MariaDB answers `(a, b) > (1, 2)` by looking at every row from the index' beginning; of `a > 1 OR (a = 1 AND b > 2)` it makes
 * ranges of the index. The hash is read while the statement holds its own lock on the table's definition, so it is of the columns that the page shows.
 */
export function mariadbPageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { columns, order, relation, id } = shape;
  const table = [id.schema, id.table];
  const query = from(shape)
    .select(
      builder.raw('NULL AS xmin'),
      relation === null
        ? builder.raw('NULL AS seen')
        : builder.raw(`CONCAT('0/', ?, '/', ${columnsHashSql('?', '?')}, '/') AS seen`, [relation.oid, ...table, ...table]),
    )
    .select(columns.map(({ name, type }) => readSql(name, type.name)))
    .limit(limit);
  const terms = order.map((term) => termSql(shape, term));
  for (const { sql, names } of terms) void query.orderByRaw(`${sql} asc`, [...names]);
  const [first] = terms;
  const { cursor } = pass;
  if (cursor !== null) {
    void query.where((page) => {
      for (const [place, term] of terms.entries()) {
        const equal = terms.slice(0, place).map(({ sql, cast }) => `${sql} = ${cast} AND `);
        const bindings = [
          ...terms.slice(0, place).flatMap(({ names }, index) => [...names, cursor[index] ?? '']),
          ...term.names,
          cursor[place] ?? '',
        ];
        void page.orWhereRaw(`(${equal.join('')}${term.sql} > ${term.cast})`, bindings);
      }
    });
  } else if (pass.from !== null && first !== undefined) {
    void query.whereRaw(`${first.sql} >= ${markSql(shape, pass.from)}`, [...first.names]);
  }
  if (pass.below !== null && first !== undefined) void query.whereRaw(`${first.sql} < ${markSql(shape, pass.below)}`, [...first.names]);
  return { text: query.toQuery(), values: [] };
}

export function mariadbHighestIdQuery({ id, columns, order }: TableShape): string {
  const column = columns[order[0]?.columns[0] ?? 0]?.name ?? '';
  return builder.withSchema(id.schema).from(id.table).max(column).toQuery();
}

/** A question mark of the query's own is no place for a value. */
function from({ id, query }: TableShape): Knex.QueryBuilder {
  return query === null
    ? builder.withSchema(id.schema).from(id.table)
    : builder.from(builder.raw(`(${query.replaceAll('?', String.raw`\?`)}\n) AS source`));
}

function readSql(name: string, type: string): Knex.Raw {
  const through = readsThrough(type);
  if (through === null) return builder.raw('??', [name]);
  return builder.raw(through === 'HEX' ? 'HEX(??)' : 'CAST(?? AS DOUBLE)', [name]);
}

type Term = { readonly sql: string; readonly names: readonly string[]; readonly cast: string };

function termSql({ columns }: TableShape, { columns: indexes, sqlType }: OrderTerm): Term {
  const names = indexes.map((index) => columns[index]?.name ?? '');
  return { sql: names.length === 1 ? '??' : `coalesce(${names.map(() => '??').join(', ')})`, names, cast: sqlType };
}

/** A mark is of digits, or of our own making: nothing to escape. */
function markSql({ capture, clock }: TableShape, mark: Mark): string {
  if (capture === 'id-window') return mark.toString();
  const reading = formatMicros(clock === null ? mark : earliestReading(clock, mark));
  return `CAST('${reading.replace('T', ' ').replace('Z', '')}' AS DATETIME(6))`;
}
