import { formatTableId, type TableId } from '#change-events/index.ts';
import { pascal } from '#change-events/types/index.ts';

/** What follows the name of a table in the names of its types: none is the end of another, so that types of two tables are never called the same. */
export const suffixes = { row: 'Row', key: 'Key', change: 'Change', event: 'Event' } as const;

/**
 * A name for each table, by `schema.table`: that of the table, OrderItems. Where several tables would have the same, each has its schema before it; and a number behind
 * it where that is the same too, in the order of their names. To be asked about all captured tables, also where only some of them are wanted: then a table has the same name in
 * every file.
 */
export function tableNames(tables: readonly TableId[]): ReadonlyMap<string, string> {
  const sorted = tables.toSorted((a, b) => (formatTableId(a) < formatTableId(b) ? -1 : 1));
  const byTable = Map.groupBy(sorted, ({ table }) => pascal(table));
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const give = (id: TableId, wish: string): void => {
    let name = wish;
    for (let number = 2; taken.has(name); number += 1) name = `${wish}_${number}`;
    taken.add(name);
    names.set(formatTableId(id), name);
  };
  for (const [name, [only, ...others]] of byTable) if (only !== undefined && others.length === 0) give(only, name);
  for (const [, group] of byTable) if (group.length > 1) for (const id of group) give(id, pascal(`${id.schema} ${id.table}`));
  return names;
}
