import type { Difference, DifferenceKind } from './difference.ts';
import type { Problem, NotCompared } from './plan.ts';

/** A count, and the first of the keys. */
export type KeyList = { readonly count: number; readonly keys: readonly string[] };

/** One table of one model. */
export type TableResult = {
  readonly table: string;
  readonly model: string;
  readonly strategy: string;
  /** `notVerified`: its events have the rows of a query of the configuration, and no table has these. */
  readonly outcome: 'equal' | 'differs' | 'inconclusive' | 'notVerified' | 'failed';
  readonly sourceRows: number;
  readonly mirrorRows: number;
  readonly missing: KeyList;
  readonly ghost: KeyList;
  /** Ghosts are what a query leaves of deleted rows: they are counted and no difference. */
  readonly ghostsExpected: boolean;
  readonly stale: KeyList & { readonly columns: Readonly<Record<string, number>> };
  /** Rows that differ in nothing but values that the log's events do not carry: no difference. */
  readonly notComparable: KeyList & { readonly columns: Readonly<Record<string, number>> };
  /** Of the keys that are listed, what differs. */
  readonly differences: readonly Difference[];
  readonly inconclusive: KeyList & { readonly why: string | null };
  readonly notCompared: readonly NotCompared[];
  /** Events of the table's topic that are parked: their rows are not in the mirror. */
  readonly parked: number;
  /** False when so much differs that not all rows were compared. */
  readonly complete: boolean;
  readonly problem: Problem | null;
};

/** Gathers what a table's walk finds; keeps the first keys, and counts all. */
export class Tally {
  readonly #listed: number;
  readonly #keys: Record<DifferenceKind, string[]> = { missing: [], ghost: [], stale: [], notComparable: [] };
  readonly #counts: Record<DifferenceKind, number> = { missing: 0, ghost: 0, stale: 0, notComparable: 0 };
  readonly #columns = { stale: new Map<string, number>(), notComparable: new Map<string, number>() };
  readonly #differences: Difference[] = [];
  readonly #open: string[] = [];
  #openCount = 0;
  #why: string | null = null;

  constructor(listed: number) {
    this.#listed = listed;
  }

  add(differences: readonly Difference[]): void {
    for (const difference of differences) {
      const { kind, key, columns } = difference;
      this.#counts[kind] += 1;
      const counts = this.#columns[kind === 'notComparable' ? kind : 'stale'];
      for (const { name } of columns) counts.set(name, (counts.get(name) ?? 0) + 1);
      if (this.#keys[kind].length >= this.#listed) continue;
      this.#keys[kind].push(key);
      this.#differences.push(difference);
    }
  }

  leaveOpen(keys: readonly string[], why: string | null): void {
    this.#openCount += keys.length;
    this.#open.push(...keys.slice(0, Math.max(0, this.#listed - this.#open.length)));
    this.#why ??= why;
  }

  get openCount(): number {
    return this.#openCount;
  }

  count(kind: DifferenceKind): number {
    return this.#counts[kind];
  }

  found(): Pick<TableResult, 'missing' | 'ghost' | 'stale' | 'notComparable' | 'differences' | 'inconclusive'> {
    const list = (kind: DifferenceKind): KeyList => ({ count: this.#counts[kind], keys: this.#keys[kind] });
    return {
      missing: list('missing'),
      ghost: list('ghost'),
      stale: { ...list('stale'), columns: Object.fromEntries(this.#columns.stale) },
      notComparable: { ...list('notComparable'), columns: Object.fromEntries(this.#columns.notComparable) },
      differences: this.#differences,
      inconclusive: { count: this.#openCount, keys: this.#open, why: this.#why },
    };
  }
}

/** What a result comes to. Expected ghosts are no difference. Pure. */
export function outcomeOf({
  missing,
  ghost,
  stale,
  inconclusive,
  ghostsExpected,
}: Pick<TableResult, 'missing' | 'ghost' | 'stale' | 'inconclusive' | 'ghostsExpected'>): TableResult['outcome'] {
  if (missing.count + stale.count > 0 || (ghost.count > 0 && !ghostsExpected)) return 'differs';
  return inconclusive.count > 0 ? 'inconclusive' : 'equal';
}
