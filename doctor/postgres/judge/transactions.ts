import { finding, type Finding } from '../../finding.ts';
import type { Viewer } from '../probe/session.ts';
import type { OpenTransaction, TransactionFacts } from '../probe/transactions.ts';
import { ageText, sqlName, sqlText } from '#connectors/postgres/sql-names.ts';

const consequences = {
  query: "each of the poller's queries reads more and more rows again",
  log: 'creating the replication slot waits for it',
} as const;

/** Old transactions hold the poller's floor down. Pure. */
export function judgeFloor({ open, prepared }: TransactionFacts, viewer: Viewer, oldSeconds: number): readonly Finding[] {
  return [
    ...open.flatMap((one) => {
      if (one.ageSeconds === null) return [hidden(one, viewer)];
      if (one.ageSeconds < oldSeconds) return [];
      const particulars = { who: who(one), age: ageText(one.ageSeconds), pid: String(one.pid) };
      return [finding('TRANSACTION_HOLDS_FLOOR', 'query', subject(one), particulars)];
    }),
    ...prepared
      .filter(({ ageSeconds }) => ageSeconds >= oldSeconds)
      .map(({ gid, owner, database, ageSeconds }) =>
        finding(
          'PREPARED_HOLDS_FLOOR',
          'query',
          { kind: 'transaction', name: gid },
          { owner, database, age: ageText(ageSeconds), sqlGid: sqlText(gid) },
        ),
      ),
  ];
}

/** A new logical slot waits for every writing transaction of the server. `slot` is the one to be made; undefined: none is. Pure. */
export function judgeSlotCreation(
  { open, prepared }: TransactionFacts,
  viewer: Viewer,
  slot: string | undefined,
  oldSeconds: number,
): readonly Finding[] {
  if (slot === undefined) return [];
  return [
    ...open
      .filter(({ writing }) => writing)
      .flatMap((one) => {
        if (one.ageSeconds === null) return [hidden(one, viewer)];
        if (one.ageSeconds < oldSeconds) return [];
        const particulars = { who: who(one), age: ageText(one.ageSeconds), pid: String(one.pid), slot };
        return [finding('TRANSACTION_BLOCKS_SLOT', 'log', subject(one), particulars)];
      }),
    ...prepared
      .filter(({ ageSeconds }) => ageSeconds >= oldSeconds)
      .map(({ gid, owner, database, ageSeconds }) =>
        finding(
          'PREPARED_BLOCKS_SLOT',
          'log',
          { kind: 'transaction', name: gid },
          { owner, database, age: ageText(ageSeconds), sqlGid: sqlText(gid), slot },
        ),
      ),
  ];
}

function hidden(one: OpenTransaction, { strategy, role }: Viewer): Finding {
  const particulars = { who: who(one), role, sqlRole: sqlName(role), pid: String(one.pid), consequence: consequences[strategy] };
  return finding('TRANSACTION_HIDDEN', strategy, subject(one), particulars);
}

function subject({ pid }: OpenTransaction): { kind: 'transaction'; name: string } {
  return { kind: 'transaction', name: `pid ${pid}` };
}

function who({ role, database, application, pid }: OpenTransaction): string {
  return `A session of ${role}${database === null ? '' : ` in database ${database}`} (${application === '' ? '' : `${application}, `}pid ${pid})`;
}
