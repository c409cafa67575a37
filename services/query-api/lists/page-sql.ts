import { escapeIdentifier } from 'pg';
import type { Table } from '../model/catalogue.ts';
import type { PageQuestion, Question } from '../model/reader.ts';
import { valueSql, type Column } from '../model/values.ts';
import type { ListQuery } from './list-query.ts';

/**
 * A page as one SELECT. It begins after a row's values by keyset, never by counting: each branch of the condition is a range of the index, so the last page
 * costs what the first does. Rows of equal values of an index are put in order by the key, so all of them are read. Nulls come last, as in Postgres' own
 * order. Pure.
 */

/** The columns of the question's rows, in order. */
const pageColumns = ['json', 'key', 'place', 'fits'] as const;

/** Where the rows are: what comes after FROM. */
type Place = { readonly from: string };

type AddValue = (value: string, column: Column) => string;

/** `maxBytes`: rows beyond it are given without their JSON. One row more than the limit, which shows that there is a next page. */
export function pageQuestion({ from }: Place, table: Table, query: ListQuery, maxBytes: number): PageQuestion {
  const values: unknown[] = [];
  const add: AddValue = (value, { type }) => {
    values.push(value);
    return `$${values.length}::${type}`;
  };
  const { order, descending, limit } = query;
  const where = [
    ...query.filters.map(({ column, value }) => `t.${escapeIdentifier(column.name)} = ${add(value, column)}`),
    ...(table.deleted === null || query.withDeleted ? [] : [`t.${escapeIdentifier(table.deleted)} IS NULL`]),
  ];
  const branches = query.after === null ? [null] : after(order, query.after, descending, add);
  const direction = descending ? ' DESC' : '';
  const byColumns = order.map(({ name }) => `t.${escapeIdentifier(name)}${direction}`).join(', ');
  const byAlias = order.map((_, index) => `o${index}${direction}`).join(', ');
  const selected = [
    `(SELECT row_to_json(r)::text FROM (SELECT ${shownOf(table, query)}) r) AS json`,
    `(SELECT row_to_json(r)::text FROM (SELECT ${table.key.map(valueSql).join(', ')}) r) AS key`,
    `json_build_array(${order.map(({ name }) => `t.${escapeIdentifier(name)}::text`).join(', ')})::text AS place`,
    ...order.map(({ name }, index) => `t.${escapeIdentifier(name)} AS o${index}`),
  ];
  const selects = branches.map((branch, index) => {
    const conditions = branch === null ? where : [...where, branch];
    return `(SELECT ${index} AS b, ${selected.join(', ')} FROM ${from} t${
      conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
    } ORDER BY ${byColumns} LIMIT ${limit + 1})`;
  });
  const sql = `SELECT p.n, CASE WHEN p.bytes <= ${maxBytes} THEN p.json END AS json, p.key, p.place, (p.bytes <= ${maxBytes})::text AS fits
     FROM (SELECT u.json, u.key, u.place, row_number() OVER w AS n, sum(octet_length(u.json) + 1) OVER w AS bytes
             FROM (${selects.join(' UNION ALL ')}) u WINDOW w AS (ORDER BY u.b, ${byAlias} ROWS UNBOUNDED PRECEDING)) p
    WHERE p.n <= ${limit + 1}`;
  return { kind: 'page', sql, columns: pageColumns, values };
}

/** The text of {@link rowQuestion} with all columns, which is what is asked for nearly always. */
const rowTexts = new WeakMap<Table, string>();

/** One row by its whole key: its JSON, or an empty text where that has `maxBytes` or more. */
export function rowQuestion({ from }: Place, table: Table, query: ListQuery, maxBytes: number): Question {
  const values = query.filters.map(({ value }) => value);
  const isUsual = query.columns === table.columns && !query.withDeleted;
  const known = isUsual ? rowTexts.get(table) : undefined;
  if (known !== undefined) return { kind: 'row', sql: known, values };
  const where = [
    ...query.filters.map(({ column: { name, type } }, index) => `t.${escapeIdentifier(name)} = $${index + 1}::${type}`),
    ...(table.deleted === null || query.withDeleted ? [] : [`t.${escapeIdentifier(table.deleted)} IS NULL`]),
  ];
  const sql = `SELECT CASE WHEN octet_length(u.json) < ${maxBytes} THEN u.json ELSE '' END
    FROM (SELECT row_to_json(r)::text AS json FROM (SELECT ${shownOf(table, query)} FROM ${from} t WHERE ${where.join(' AND ')}) r OFFSET 0) u`;
  if (isUsual) rowTexts.set(table, sql);
  return { kind: 'row', sql, values };
}

function shownOf({ deleted }: Table, { columns, withDeleted }: ListQuery): string {
  return [...columns.map(valueSql), ...(withDeleted && deleted !== null ? [`t.${escapeIdentifier(deleted)}`] : [])].join(', ');
}

/**
 * Conditions for the rows that come after one with these values, in the order of the list: first those that begin as it does, and so on. Nulls come last, and
 * first when descending. Two rows of a list are never equal, so after the last column there is nothing.
 */
function after(columns: readonly Column[], values: readonly (string | null)[], descending: boolean, add: AddValue): readonly string[] {
  const [first, ...rest] = columns;
  const [value = null, ...others] = values;
  if (first === undefined) return [];
  const beyond = descending ? '<' : '>';
  const name = `t.${escapeIdentifier(first.name)}`;
  const within = (condition: string): readonly string[] => after(rest, others, descending, add).map((inner) => `${condition} AND ${inner}`);
  if (columns.every(({ notNull }) => notNull)) {
    const names = columns.map((column) => `t.${escapeIdentifier(column.name)}`).join(', ');
    return [`(${names}) ${beyond} (${columns.map((column, index) => add(values[index] ?? '', column)).join(', ')})`];
  }
  if (value === null) return [...within(`${name} IS NULL`), ...(descending ? [`${name} IS NOT NULL`] : [])];
  const equal = within(`${name} = ${add(value, first)}`);
  return [...equal, `${name} ${beyond} ${add(value, first)}`, ...(descending || first.notNull ? [] : [`${name} IS NULL`])];
}
