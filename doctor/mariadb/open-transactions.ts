import { formatTableId } from '#change-events/index.ts';
import { isRefusal, type MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { PolledTable } from '../polled-tables.ts';
import { ageText } from '#connectors/postgres/sql-names.ts';

/** A transaction that has written and has not ended. */
export type OpenMariadbTransaction = {
  /** Its connection; 0 for one that was prepared (XA) and has none. */
  readonly connection: string;
  readonly user: string;
  readonly ageSeconds: number;
};

/** Null where the account may not see them (PROCESS). */
export async function readOpenTransactions(query: MariadbQuery): Promise<readonly OpenMariadbTransaction[] | null> {
  try {
    const rows = await query(`
      SELECT t.trx_mysql_thread_id, p.USER, TIMESTAMPDIFF(SECOND, t.trx_started, NOW())
      FROM information_schema.INNODB_TRX t LEFT JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
      WHERE t.trx_rows_modified > 0`);
    return rows.map(([connection, user, age]) => ({ connection: connection ?? '0', user: user ?? '', ageSeconds: Number(age) }));
  } catch (error) {
    if (isRefusal(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR')) return null;
    throw error;
  }
}

/**
 * What a transaction has written and commits later than a table's window is wide is never read. (A connector is not held up: it reads what is
 * committed, and the lock of its first snapshot does not wait for open transactions.) Pure.
 */
export function judgeOpenTransactions(open: readonly OpenMariadbTransaction[], polled: readonly PolledTable[]): readonly Finding[] {
  return open.flatMap(({ connection, user, ageSeconds }) => {
    const outlasted = polled.filter(
      ({ mode, config }) => (mode === 'timestamp' || mode === 'timestamp+incrementing') && config.overlapMs < ageSeconds * 1000,
    );
    if (outlasted.length === 0) return [];
    const isPrepared = connection === '0';
    const particulars = {
      who: isPrepared ? 'A prepared transaction (XA)' : `Connection ${connection} (user ${user})`,
      age: ageText(ageSeconds),
      tables: outlasted.map(({ id }) => formatTableId(id)).join(', '),
      sqlEnd: isPrepared ? 'XA RECOVER, then XA COMMIT or XA ROLLBACK' : `KILL ${connection}`,
    };
    const name = isPrepared ? 'prepared (XA)' : `connection ${connection}`;
    return [mariadbFinding('TRANSACTION_OUTLASTS_WINDOW', 'query', { kind: 'transaction', name }, particulars)];
  });
}
