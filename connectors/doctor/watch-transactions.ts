import { setTimeout as delay } from 'node:timers/promises';
import type { DoctorSession } from './probe/session.ts';
import { readTransactions, stillOpen, type TransactionFacts } from './probe/transactions.ts';

/** A transaction whose age may not be seen is told of only when it lasts this long while doctor looks. */
const hiddenMs = 1000;

/** Looks at the open transactions now; `finish` looks again, which tells a short one of hidden age from one that stays. */
export async function watchTransactions(
  session: DoctorSession,
): Promise<{ readonly finish: (signal: AbortSignal) => Promise<TransactionFacts> }> {
  const first = await readTransactions(session);
  const looked = performance.now();
  return {
    finish: async (signal) => {
      if (first.open.every(({ ageSeconds }) => ageSeconds !== null)) return first;
      await delay(Math.max(0, hiddenMs - (performance.now() - looked)), undefined, { signal });
      return stillOpen(first, await readTransactions(session));
    },
  };
}
