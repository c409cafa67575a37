import type { ProcessFigures } from './prometheus.ts';

/** Whether a poller process does what it is there for; otherwise why not, one sentence each. */
export type Readiness = { readonly ready: boolean; readonly reasons: readonly string[] };

/** Pure. A member of the group without a table is ready: it waits to take over. */
export function readinessOf({ tables, member }: ProcessFigures): Readiness {
  const reasons = tables
    .filter(({ stuck }) => stuck)
    .map(({ table, phase, lastSuccessAt, lastError }) => {
      const since = lastSuccessAt === null ? 'no poll has succeeded' : `no poll has succeeded since ${lastSuccessAt}`;
      const why = lastError === null ? '' : ` (${lastError.code}: ${lastError.message})`;
      return `table ${table} ${phase === 'failed' ? 'has stopped' : 'is stuck'}: ${since}${why}`;
    });
  if (member === false) reasons.push('not a member of the group that shares the tables');
  return { ready: reasons.length === 0, reasons };
}
