import { earliestReading } from '../fence/local-time.ts';
import type { Mark } from '../fence/floor.ts';
import { formatMicros } from '../fence/micros.ts';
import type { Pass } from '../fence/pass.ts';
import type { PageQuery } from '../source/dialect.ts';
import type { OrderTerm, TableShape } from '../source/table/table-shape.ts';
import { h2Filled, h2Name, h2Table, h2Text } from './names.ts';
import { columnsHashSql } from './relation-state.ts';
import { plainName, readSql } from './types.ts';

/**
 * One page of a pass: a column without a use here, the state of the table's columns and key, then the columns that are read. Values are in the statement
 * (session.ts says why). Of a row value H2 asks the index by its first column, and goes through the rows that are equal there.
 */
export function h2PageQuery(shape: TableShape, pass: Pass, limit: number): PageQuery {
  const { columns, order, relation, id } = shape;
  const seen =
    relation === null ? 'NULL' : `'0/' || ${h2Text(relation.oid)} || '/' || ${columnsHashSql(h2Text(id.schema), h2Text(id.table))} || '/'`;
  const read = columns.map(({ name, type }) => readSql(type, columnSql(name)));
  const terms = order.map((term) => termSql(shape, term));
  const where = conditions(shape, pass, terms);
  return {
    text: [
      `SELECT ${['NULL', seen, ...read].join(', ')}`,
      `FROM ${fromSql(shape)}`,
      ...(where.length === 0 ? [] : [`WHERE ${where.join(' AND ')}`]),
      ...(terms.length === 0 ? [] : [`ORDER BY ${terms.join(', ')}`]),
      `FETCH FIRST ${limit} ROWS ONLY`,
    ].join('\n'),
    values: [],
  };
}

export function h2HighestIdQuery(shape: TableShape): string {
  const { columns, order } = shape;
  return `SELECT MAX(${columnSql(columns[order[0]?.columns[0] ?? 0]?.name ?? '')}) FROM ${fromSql(shape)}`;
}

function conditions(shape: TableShape, { cursor, from, below }: Pass, terms: readonly string[]): readonly string[] {
  const [first] = terms;
  if (first === undefined) return [];
  const start =
    cursor !== null
      ? [`(${terms.join(', ')}) > (${shape.order.map(({ sqlType }, at) => h2Filled(sqlType, [cursor[at] ?? ''])).join(', ')})`]
      : from === null
        ? []
        : [`${first} >= ${markSql(shape, from)}`];
  return below === null ? start : [...start, `${first} < ${markSql(shape, below)}`];
}

/** What is read has this name in the statement, so that a column is never taken for another of the same name. */
const alias = '"source"';

function columnSql(name: string): string {
  return `${alias}.${h2Name(name)}`;
}

function fromSql({ id, query }: TableShape): string {
  return `${query === null ? h2Table(id) : `(${query}\n)`} AS ${alias}`;
}

function termSql({ columns }: TableShape, { columns: indexes }: OrderTerm): string {
  const names = indexes.map((index) => columnSql(columns[index]?.name ?? ''));
  return names.length === 1 ? names.join('') : `COALESCE(${names.join(', ')})`;
}

/** A mark as the first term's type takes it. What a wall clock shows from an instant on may be earlier than at the instant. */
function markSql({ capture, clock, order, columns }: TableShape, mark: Mark): string {
  if (capture === 'id-window') return mark.toString();
  const reading = formatMicros(clock === null ? mark : earliestReading(clock, mark))
    .replace('T', ' ')
    .replace('Z', '');
  const column = columns[order[0]?.columns[0] ?? 0];
  const isLocal = column !== undefined && plainName(column.type) === 'timestamp';
  return isLocal ? `TIMESTAMP '${reading}'` : `TIMESTAMP WITH TIME ZONE '${reading}+00'`;
}
