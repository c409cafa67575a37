import type { Table } from '../model/catalogue.ts';
import type { Column } from '../model/values.ts';
import { Problem } from '../../http/problems.ts';
import { readCursor, type Filter, type ListIdentity } from './cursor.ts';

/** What a request asks of a table, checked against it. */
export type ListQuery = ListIdentity & {
  readonly limit: number;
  readonly columns: readonly Column[];
  /** The values of `order` in the row after which the page begins. */
  readonly after: readonly (string | null)[] | null;
};

export type Limits = { readonly defaultLimit: number; readonly maxLimit: number };

/** Parameters that are not filters. A column of such a name is `column.<name>`. */
const reserved = ['limit', 'cursor', 'fields', 'order', 'desc', 'deleted', 'min-position', 'if-behind'] as const;
/** What the request of one row may have. */
const ofRow: ReadonlySet<string> = new Set(['fields', 'deleted', 'min-position', 'if-behind']);
const prefix = 'column.';

/** Whether a column of this name needs the prefix as a parameter. */
export function isReserved(name: string): boolean {
  return reserved.some((one) => one === name);
}

/** The query of a list. @throws Problem */
export function readListQuery(table: Table, parameters: URLSearchParams, limits: Limits): ListQuery {
  const filters = readFilters(table, parameters);
  const descending = flag(parameters, 'desc', ['true', 'false']) === 'true';
  const order = chooseOrder(table, filters, namesOf(table, parameters, 'order'));
  const withDeleted = readDeleted(table, parameters);
  const asked = single(parameters, 'limit') ?? String(limits.defaultLimit);
  const limit = /^\d{1,6}$/.test(asked) ? Number(asked) : 0;
  if (limit < 1 || limit > limits.maxLimit)
    throw new Problem('bad-request', `limit: expected a whole number from 1 to ${limits.maxLimit}.`);
  const cursor = single(parameters, 'cursor');
  const query = { filters, order, descending, limit, columns: readFields(table, parameters), withDeleted };
  return { ...query, after: cursor === null ? null : readCursor(cursor, table, query) };
}

/** The query of one row: its filter is the key. @throws Problem */
export function readRowQuery(table: Table, key: readonly string[], parameters: URLSearchParams): ListQuery {
  for (const name of parameters.keys())
    if (!ofRow.has(name)) throw new Problem('unknown-parameter', `${name}: a row is asked for with ${[...ofRow].join(', ')} only.`);
  const filters = table.key.map((column, index) => ({ column, value: key[index] ?? '' }));
  return {
    filters,
    order: table.key,
    descending: false,
    limit: 1,
    columns: readFields(table, parameters),
    withDeleted: readDeleted(table, parameters),
    after: null,
  };
}

function readFilters(table: Table, parameters: URLSearchParams): readonly Filter[] {
  const filters = new Map<string, Filter>();
  for (const [name, value] of parameters) {
    if (isReserved(name)) continue;
    const asked = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    const column = columnOf(table, asked);
    if (column === undefined)
      throw new Problem('unknown-parameter', `${table.name} has no column ${asked}, and there is no parameter of that name.`);
    if (filters.has(asked)) throw new Problem('bad-request', `${asked}: given more than once.`);
    filters.set(asked, { column, value });
  }
  return [...filters.values()].toSorted((a, b) => (a.column.name < b.column.name ? -1 : 1));
}

/** By the key; or by the columns that are asked for, with the key behind them. An index must serve filter and order both. */
function chooseOrder({ name, key, indexes }: Table, filters: readonly Filter[], wanted: readonly Column[]): readonly Column[] {
  const filtered = new Set(filters.map(({ column }) => column.name));
  // Of what is filtered there is one value only.
  const asked = wanted.filter((column) => !filtered.has(column.name));
  const begins = (index: readonly Column[]): boolean =>
    index.length >= filtered.size && index.slice(0, filtered.size).every((column) => filtered.has(column.name));
  const serves = (index: readonly Column[]): boolean =>
    begins(index) && asked.every((column, place) => index[filtered.size + place]?.name === column.name);
  if (!indexes.some(serves)) {
    const listed = indexes.map((index) => `(${index.map((column) => column.name).join(', ')})`).join(', ');
    throw new Problem(
      'filter-not-indexed',
      `A filter is the first columns of an index, and an order the columns after them. ${name} has ${listed}. An index on the table of the read model adds one.`,
    );
  }
  const known = new Set([...filtered, ...asked.map((column) => column.name)]);
  const rest = key.filter((column) => !known.has(column.name));
  const order = [...asked, ...rest];
  return order.length === 0 ? key : order;
}

function readFields(table: Table, parameters: URLSearchParams): readonly Column[] {
  const names = new Set(namesOf(table, parameters, 'fields').map(({ name }) => name));
  return names.size === 0 ? table.columns : table.columns.filter(({ name }) => names.has(name));
}

/** `a,b`, or once for each; a name that has a comma itself is given alone. */
function namesOf(table: Table, parameters: URLSearchParams, parameter: string): readonly Column[] {
  const names = parameters.getAll(parameter).flatMap((value) => (columnOf(table, value) === undefined ? value.split(',') : [value]));
  const columns = names.map((name) => {
    const column = columnOf(table, name);
    if (column === undefined)
      throw new Problem('bad-request', `${parameter}: ${table.name} has no column ${name === '' ? '(empty)' : name}.`);
    return column;
  });
  return [...new Set(columns)];
}

function readDeleted(table: Table, parameters: URLSearchParams): boolean {
  const asked = flag(parameters, 'deleted', ['include', 'exclude']) === 'include';
  if (asked && table.deleted === null)
    throw new Problem('bad-request', `deleted: ${table.name} keeps no deleted rows (deletes: mark would).`);
  return asked;
}

export function flag<const Word extends string>(parameters: URLSearchParams, name: string, words: readonly Word[]): Word | null {
  const value = single(parameters, name);
  if (value === null) return null;
  const word = words.find((one) => one === value);
  if (word === undefined) throw new Problem('bad-request', `${name}: expected ${words.join(' or ')}.`);
  return word;
}

export function single(parameters: URLSearchParams, name: string): string | null {
  const values = parameters.getAll(name);
  if (values.length > 1) throw new Problem('bad-request', `${name}: given more than once.`);
  return values[0] ?? null;
}

function columnOf(table: Table, name: string): Column | undefined {
  return table.columns.find((column) => column.name === name);
}
