import { postgresName } from '#pipeline/index.ts';
import { columnOf, equalColumns } from './conditions.ts';
import { tableOf } from './shorten.ts';
import type { Touched } from './touch.ts';

/** An index that upkeep by key needs, and a mirror has not. */
export type MissingIndex = { readonly table: string; readonly columns: readonly string[]; readonly sql: string };

/** Each side of a join, and the columns of the key, are looked for by their values: of every table one of these columns must lead an index. */
export function missingIndexes(touched: readonly Touched[], key: readonly number[]): readonly MissingIndex[] {
  const found = new Map<string, MissingIndex>();
  for (const { leaves, conditions, outputs } of touched) {
    const lookups = new Map<string, { id: string; columns: Set<string> }>();
    const add = (id: string, column: string, by: string): void => {
      const lookup = lookups.get(`${id} ${by}`) ?? { id, columns: new Set<string>() };
      lookup.columns.add(column);
      lookups.set(`${id} ${by}`, lookup);
    };
    for (const pair of conditions.map(equalColumns)) {
      if (pair === null) continue;
      const [a, b] = pair;
      add(a.id, a.column, b.id);
      add(b.id, b.column, a.id);
    }
    for (const index of key) {
      const column = columnOf(outputs[index]);
      if (column !== null) add(column.id, column.column, 'key');
    }
    for (const { id, columns } of lookups.values()) {
      const leaf = leaves.find((one) => one.id === id);
      const table = leaf === undefined ? undefined : tableOf(leaf);
      if (table === undefined || [...columns].some((column) => table.indexed.has(column))) continue;
      const sql = `CREATE INDEX ON ${postgresName(table.name)} (${[...columns].map(postgresName).join(', ')})`;
      found.set(sql, { table: table.name, columns: [...columns], sql });
    }
  }
  return [...found.values()];
}
