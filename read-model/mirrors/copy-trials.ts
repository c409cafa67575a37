/**
 * Decides whether rows that their events call new are worth a COPY, which takes the server half of an upsert's CPU but fails as a whole
 * when one row is stored already. So once a table had such a row (a snapshot taken again, a log repeated) some batches of it go without a
 * trial, twice as many after each further failure.
 */
export type CopyTrials = {
  /** Asked once per batch. */
  isWorth(table: string, rows: number): boolean;
  /** How a trial ended. */
  ended(table: string, succeeded: boolean): void;
};

/** For fewer rows the savepoint costs what COPY saves. */
const rowsLeast = 200;
const skippedMost = 256;

export function createCopyTrials(): CopyTrials {
  const tables = new Map<string, { failures: number; skip: number }>();
  return {
    isWorth(table, rows) {
      if (rows < rowsLeast) return false;
      const state = tables.get(table);
      if (state === undefined || state.skip === 0) return true;
      state.skip -= 1;
      return false;
    },
    ended(table, succeeded) {
      if (succeeded) {
        tables.delete(table);
        return;
      }
      const failures = (tables.get(table)?.failures ?? 0) + 1;
      tables.set(table, { failures, skip: Math.min(skippedMost, 2 ** (failures + 1)) });
    },
  };
}
