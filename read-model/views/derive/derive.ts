import type { KeyColumn, Touch } from '../projection.ts';
import { missingIndexes, type MissingIndex } from './indexes.ts';
import type { Query } from './query-model.ts';
import { shorten, tableOf } from './shorten.ts';
import type { Grammar } from '../grammar/sql-tree.ts';
import { touches } from './touch.ts';
import { ownKey, touchedSql } from './touched-sql.ts';
import { isUnique } from './uniqueness.ts';

/** What a bound query says of its upkeep. Pure. */
export type Derived = {
  readonly reads: readonly string[];
  readonly touchedBy: Readonly<Record<string, readonly Touch[] | { readonly uncertain: string }>>;
  /** Mirrors any change of which touches all keys. */
  readonly touchesAll: readonly string[];
  readonly missingIndexes: readonly MissingIndex[];
  readonly unique: boolean;
};

type Input = {
  readonly grammar: Grammar;
  readonly query: Query;
  readonly keyColumns: readonly KeyColumn[];
  /** Their places among the query's columns. */
  readonly keyIndexes: readonly number[];
};

export function derive({ grammar, query, keyColumns, keyIndexes }: Input): Derived {
  const all = touches(query);
  const byMirror = Map.groupBy(all, ({ changed }) => tableOf(changed)?.name ?? '');
  const touchesAll = new Set<string>();
  const entries = [...byMirror].map(([mirror, occurrences]): [string, readonly Touch[] | { readonly uncertain: string }] => {
    const found: Touch[] = [];
    for (const touched of occurrences) {
      const key = keyIndexes.map((index) => touched.outputs[index] ?? null);
      const missing = key.indexOf(null);
      const table = tableOf(touched.changed);
      if (missing >= 0 || table === undefined) return [mirror, { uncertain: whyNot(query, keyColumns[missing]?.name ?? '') }];
      const short = shorten(
        touched,
        key.flatMap((node) => node ?? []),
      );
      if (short.touchesAll) touchesAll.add(mirror);
      const own = ownKey(short, touched.changed.id, table);
      if (own !== null) {
        found.push({ ownKey: own });
        continue;
      }
      const sql = touchedSql(
        grammar,
        short,
        table,
        keyColumns.map(({ type }) => type),
      );
      if (sql === null) return [mirror, { uncertain: 'what asks for them cannot be written as SQL' }];
      found.push({ sql, joins: short.leaves.length > 1 });
    }
    return [mirror, found];
  });
  return {
    reads: [...byMirror.keys()],
    touchedBy: Object.fromEntries(entries),
    touchesAll: [...touchesAll],
    missingIndexes: missingIndexes(all, keyIndexes),
    unique: isUnique(query, keyIndexes),
  };
}

/** Why a column of the key is not one that a row keeps for certain. */
function whyNot(query: Query, name: string): string {
  if (query.kind === 'set') return query.limited ? `LIMIT lets a row decide about others` : `${name} is not certain in each branch`;
  if (query.apart.length > 0) return `LIMIT, DISTINCT ON or a window function lets a row decide about rows that have another ${name}`;
  const output = query.outputs.find((one) => one.name === name);
  if (output !== undefined && !output.value.certain) return `${name} is made of an aggregate, a subquery or several rows`;
  return `${name} comes from the side of an outer join that may be null, or from what is grouped or limited within`;
}
