import { escapeIdentifier as quoted } from 'pg';
import type { KeyColumn, Projection } from './projection.ts';

/** The SQL that keeps a view, of its query and key. */
type View = { readonly name: string; readonly query: string; readonly key: readonly KeyColumn[]; readonly columns: readonly string[] };

/** Names that no mirror has, since they would hide it in the query. */
const asked = '"cdc asked"';
const made = '"cdc made"';

/**
 * The rows of the keys that are asked for: for each key the query with that key alone. OFFSET 0 keeps the planner from taking the two apart: so
 * the key is a constant within, and reaches by equalities into what the query groups and joins. Its cost follows the keys.
 */
function rowsOfKeys({ query, key }: View): string {
  const same = key.map(({ name }, index) => `q.${quoted(name)} = ${asked}.k${index}`);
  return `${asked} CROSS JOIN LATERAL (SELECT * FROM (${query}) AS q WHERE ${same.join(' AND ')} OFFSET 0) AS r`;
}

function askedKeys({ key }: View): string {
  const names = key.map((_, index) => `k${index}`).join(', ');
  const arrays = key.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ');
  return `${asked} AS (SELECT DISTINCT ${names} FROM unnest(${arrays}) AS k (${names}))`;
}

/** The same of many keys: the query once, narrowed to them by conditions of its own, column by column. */
function rowsOfMany({ key }: View, narrowed: string): string {
  const columns = key.map(({ name }) => `q.${quoted(name)}`);
  const pairs = columns.length === 1 ? '' : ` WHERE (${columns.join(', ')}) IN (SELECT * FROM ${asked})`;
  return `(SELECT q.* FROM (${narrowed}) AS q${pairs}) AS r`;
}

/** @param narrowed the query with conditions that leave only keys of `$1`, `$2` …; null where there is none */
export function upkeepOf(
  view: View,
  narrowed: string | null,
): Pick<Projection, 'allKeys' | 'upkeep' | 'upkeepOfMany' | 'fill' | 'duplicate'> {
  const { name, query, key, columns } = view;
  const table = quoted(name);
  const keyNames = key.map((column) => quoted(column.name));
  const others = columns.filter((column) => !key.some((one) => one.name === column)).map(quoted);
  const isKnown = keyNames.map((column) => `q.${column} IS NOT NULL`).join(' AND ');
  // Without further columns too: a key that comes twice must be refused, which DO NOTHING would not.
  const set = others.length === 0 ? keyNames : others;
  const sets = `(${set.join(', ')}) = ROW (${set.map((column) => `EXCLUDED.${column}`).join(', ')})`;
  const isAsked = keyNames.map((column, index) => `kept.${column} = ${asked}.k${index}`).join(' AND ');
  const isMade = keyNames.map((column) => `${made}.${column} = kept.${column}`).join(' AND ');
  const keys = keyNames.map((column) => `q.${column}`).join(', ');
  // What it finds in the end are keys that come twice: where the row was there already, to update it twice would raise no error.
  const upkeepBy = (rows: string): string =>
    `WITH ${askedKeys(view)}, ${made} AS MATERIALIZED (SELECT r.* FROM ${rows}), "cdc gone" AS (
       DELETE FROM ${table} AS kept USING ${asked} WHERE ${isAsked} AND NOT EXISTS (SELECT FROM ${made} WHERE ${isMade})
     ), "cdc put" AS (
       INSERT INTO ${table} AS kept SELECT * FROM ${made} ON CONFLICT (${keyNames.join(', ')})
       DO UPDATE SET ${sets} WHERE kept.* *<> EXCLUDED.*
     ) SELECT ${keyNames.join(', ')} FROM ${made} GROUP BY ${keyNames.join(', ')} HAVING count(*) > 1 LIMIT 1`;
  return {
    allKeys: `SELECT ${keyNames.join(', ')} FROM ${table} UNION SELECT ${keys} FROM (${query}) AS q WHERE ${isKnown}`,
    upkeep: [upkeepBy(rowsOfKeys(view))],
    upkeepOfMany: narrowed === null ? [] : [upkeepBy(rowsOfMany(view, narrowed))],
    fill: `INSERT INTO ${table} SELECT * FROM (${query}) AS q WHERE ${isKnown}`,
    duplicate: {
      ofKeys: `WITH ${askedKeys(view)} SELECT ${keyNames.map((column) => `r.${column}`).join(', ')} FROM ${rowsOfKeys(view)}
        GROUP BY ${keyNames.map((column) => `r.${column}`).join(', ')} HAVING count(*) > 1 LIMIT 1`,
      ofAll: `SELECT ${keys} FROM (${query}) AS q WHERE ${isKnown} GROUP BY ${keys} HAVING count(*) > 1 LIMIT 1`,
    },
  };
}

function list(names: readonly string[]): string {
  return names.map(quoted).join(', ');
}

/** The table gets its columns' types from the query; its primary key is the key. */
export function createTableOf({ name, query, key }: View, indexes: readonly (readonly string[])[]): readonly string[] {
  const table = quoted(name);
  return [
    `CREATE TABLE ${table} AS ${query} WITH NO DATA`,
    `ALTER TABLE ${table} ADD PRIMARY KEY (${list(key.map((column) => column.name))})`,
    ...indexes.map((columns) => `CREATE INDEX ON ${table} (${list(columns)})`),
  ];
}
