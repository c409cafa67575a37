import { KeyCollector, type KeyList } from '../report/key-list.ts';

/** A row with its key and the other values, as text. */
export type KeyedRow = { readonly key: readonly string[]; readonly values: readonly (string | null)[] };

/** One column of a key: integers by their value, anything else by the bytes of its text (`COLLATE "C"`). */
export type KeyOrder = 'integer' | 'bytes';

/** How a model compares with its source at the end. */
export type RowDifferences = {
  readonly source: number;
  readonly model: number;
  readonly equal: number;
  /** In the source, not in the model. */
  readonly missing: KeyList;
  /** In the model, gone from the source. */
  readonly ghost: KeyList;
  /** In both, and different; `staleColumns` counts which columns differ. */
  readonly stale: KeyList;
  readonly staleColumns: Readonly<Record<string, number>>;
};

export type MergeOptions = { readonly columns: readonly string[]; readonly keyOrder: readonly KeyOrder[]; readonly listedKeys: number };

/**
 * Compares two streams that are both in ascending key order, holding one row of each.
 *
 * @throws RangeError when a stream is not in order: the result would be wrong
 */
export async function mergeDiff(
  source: AsyncIterable<KeyedRow>,
  model: AsyncIterable<KeyedRow>,
  options: MergeOptions,
): Promise<RowDifferences> {
  const missing = new KeyCollector(options.listedKeys);
  const ghost = new KeyCollector(options.listedKeys);
  const stale = new KeyCollector(options.listedKeys);
  const staleColumns = new Map<string, number>();
  const counts = { source: 0, model: 0, equal: 0 };

  await using left = ascending(source, options.keyOrder, 'source');
  await using right = ascending(model, options.keyOrder, 'model');
  let a = await left.next();
  let b = await right.next();
  while (a !== null || b !== null) {
    const side = a === null ? 1 : b === null ? -1 : compareKeys(a.key, b.key, options.keyOrder);
    if (a !== null && side <= 0) counts.source += 1;
    if (b !== null && side >= 0) counts.model += 1;
    if (side < 0 && a !== null) missing.add(showKey(a.key));
    else if (side > 0 && b !== null) ghost.add(showKey(b.key));
    else if (a !== null && b !== null) {
      const different = differingColumns(a, b, options.columns);
      if (different.length === 0) counts.equal += 1;
      else stale.add(showKey(a.key));
      for (const column of different) staleColumns.set(column, (staleColumns.get(column) ?? 0) + 1);
    }
    if (side <= 0) a = await left.next();
    if (side >= 0) b = await right.next();
  }
  return { ...counts, missing: missing.list(), ghost: ghost.list(), stale: stale.list(), staleColumns: Object.fromEntries(staleColumns) };
}

/** As keys are shown everywhere: the value of a key of one column, a JSON list of more. */
function showKey(key: readonly string[]): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}

export function compareKeys(a: readonly string[], b: readonly string[], order: readonly KeyOrder[]): number {
  for (const [index, kind] of order.entries()) {
    const left = a[index] ?? '';
    const right = b[index] ?? '';
    const result =
      kind === 'integer'
        ? Number(BigInt(left) > BigInt(right)) - Number(BigInt(left) < BigInt(right))
        : Buffer.compare(Buffer.from(left), Buffer.from(right));
    if (result !== 0) return result;
  }
  return 0;
}

function differingColumns(a: KeyedRow, b: KeyedRow, columns: readonly string[]): readonly string[] {
  return columns.filter((_column, index) => a.values[index] !== b.values[index]);
}

type AscendingReader = AsyncDisposable & { next(): Promise<KeyedRow | null> };

function ascending(rows: AsyncIterable<KeyedRow>, order: readonly KeyOrder[], what: string): AscendingReader {
  const iterator = rows[Symbol.asyncIterator]();
  let previous: KeyedRow | null = null;
  return {
    async next() {
      const step = await iterator.next();
      if (step.done === true) return null;
      const row: KeyedRow = step.value;
      if (previous !== null && compareKeys(previous.key, row.key, order) >= 0)
        throw new RangeError(`rows of the ${what} are not in key order: ${showKey(previous.key)} before ${showKey(row.key)}`);
      previous = row;
      return row;
    },
    async [Symbol.asyncDispose]() {
      await iterator.return?.();
    },
  };
}
