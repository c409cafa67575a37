import type { Mirror, Refusal } from './mirror.ts';
import { demandName } from './column-demand.ts';
import type { DemandRefusedError } from './follow-source.ts';

/** What mirrors could not be given: not asked for again with every batch. */
export type Refusals = {
  readonly add: (mirror: Mirror, error: DemandRefusedError) => void;
  /** Those that hold for the mirror as it is now. */
  readonly of: (mirror: Mirror) => ReadonlyMap<string, Refusal>;
};

/** So often a trial is worth its lock: a right may have been granted. */
const againMs = 30_000;

export function createRefusals(): Refusals {
  const tables = new Map<string, Map<string, { readonly refusal: Refusal; readonly until: number; readonly columns: string }>>();
  return {
    add: (mirror, { demand, refusal, isCostly }) => {
      const until = isCostly ? Number.POSITIVE_INFINITY : Date.now() + againMs;
      const known = tables.get(mirror.table) ?? new Map();
      tables.set(mirror.table, known.set(demandName(demand), { refusal, until, columns: columnsOf(mirror) }));
    },
    of: (mirror) => {
      const found = new Map<string, Refusal>();
      for (const [name, { refusal, until, columns }] of tables.get(mirror.table) ?? []) {
        if (Date.now() < until && columns === columnsOf(mirror)) found.set(name, refusal);
        else tables.get(mirror.table)?.delete(name);
      }
      return found;
    },
  };
}

/** Refusals whose cause somebody may have removed. */
function columnsOf({ columns }: Mirror): string {
  return JSON.stringify(columns.map(({ name, carrier, cast, required }) => [name, carrier, cast, required]));
}
