import { parseTableId } from '#change-events/index.ts';
import { CdcError, describeError, mariadbTable } from '#pipeline/index.ts';
import type { Signal } from '../snapshot/request.ts';
import { isRefusal, withMariadb, type MariadbSource } from './mariadb-source.ts';

/** The first of `tables` (`database.table`) that cannot be read in chunks of its primary key. */
export async function unfitTable(
  source: MariadbSource,
  tables: readonly string[],
): Promise<{ readonly name: string; readonly found: boolean } | undefined> {
  return withMariadb(source, async (query) => {
    for (const name of tables) {
      const { schema, table } = parseTableId(name);
      const rows = await query(
        `SELECT EXISTS (SELECT 1 FROM information_schema.statistics WHERE table_schema = t.table_schema AND table_name = t.table_name AND index_name = 'PRIMARY')
           FROM information_schema.tables t WHERE t.table_schema = ? AND t.table_name = ?`,
        [schema, table],
      );
      if (rows[0]?.[0] !== '1') return { name, found: rows.length > 0 };
    }
    return undefined;
  });
}

/** Why the server would not read a table by a condition; undefined when it would. Asks for the plan only. */
export async function conditionProblem(source: MariadbSource, table: string, where: string): Promise<string | undefined> {
  return withMariadb(source, async (query) => {
    try {
      await query(`EXPLAIN SELECT 1 FROM ${mariadbTable(parseTableId(table))} WHERE (${where}\n) LIMIT 1`);
      return undefined;
    } catch (error) {
      if (isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) return undefined;
      const state = error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : '';
      if (/^(?:42|22)/.test(state)) return describeError(error);
      throw error;
    }
  });
}

/**
 * Puts a signal into the signal table. Returns the GTID of its transaction; undefined on a server without such (MySQL). Not the end of
 * the binlog: the connector answers a signal within a millisecond with transactions of its own, and behind the last of these, while
 * nobody else writes, its position stays for a minute or more.
 *
 * @throws CdcError SNAPSHOT_FAILED naming table and role, LEGACY_*
 */
export async function insertBinlogSignal(table: string, { id, type, data }: Signal, source: MariadbSource): Promise<string | undefined> {
  const name = mariadbTable(parseTableId(table));
  return withMariadb(source, async (query) => {
    try {
      await query(`INSERT INTO ${name} VALUES (?, ?, ?)`, [id, type, data]);
      const [row] = await query("SHOW SESSION VARIABLES LIKE 'last_gtid'");
      return row?.[1] ?? undefined;
    } catch (error) {
      if (!isRefusal(error, 'ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR', 'ER_TABLEACCESS_DENIED_ERROR', 'ER_SPECIFIC_ACCESS_DENIED_ERROR'))
        throw error;
      throw new CdcError('SNAPSHOT_FAILED', `signal table ${table} as ${source.connection.user ?? ''}: ${describeError(error)}`, {
        cause: error,
        remedy: 'Run connectors/sql/mariadb as the DBA: it makes the signal table and grants INSERT on it.',
      });
    }
  });
}
