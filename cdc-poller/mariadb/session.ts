import type { Connection, FieldPacket } from 'mysql2/promise';
import { CdcError, describeError, mariadbAccount, mariadbConnectionOptions, mariadbName, type LegacyDbConfig } from '#pipeline/index.ts';
import type { OpenSession, TextRows } from '../source/dialect.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import { typeOfField } from './values/field-type.ts';
import { readInnodbLog, serverLog } from './server-log.ts';

/** The server counts much for that answer. */
const askInnodbMs = 1000;

/**
 * Opens a session as the poller's role. Each query is a transaction of its own, read-only, whose locks end with it.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING, LEGACY_LOGIN_REFUSED or SELECT_MISSING, naming host, database and role, never the password
 */
export async function openMariadbSession(
  config: LegacyDbConfig,
  applicationName: string,
  statementTimeoutMs: number,
): Promise<OpenSession> {
  const role = config.roles.poller;
  const connection = await connect(config, applicationName);
  // A connection that breaks between queries says so by this event; the next query reports it.
  connection.on('error', () => undefined);
  const run = async (sql: string): Promise<{ readonly rows: TextRows; readonly fields: readonly FieldPacket[] }> => {
    // The server's own limit cannot end a wait for a server that the network has lost: on a dead connection nothing ever comes. (mysql2's own
    // timer outlives a connection that breaks.)
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => silence.reject(new Error('no answer')), statementTimeoutMs + 5000);
    try {
      const [rows, fields] = await Promise.race([connection.query(sql), silence.promise]);
      return { rows: textRows(rows), fields };
    } catch (error) {
      if (error instanceof Error && 'sqlState' in error && error.sqlState !== undefined) throw error;
      connection.destroy();
      throw new CdcError(
        'LEGACY_DB_UNREACHABLE',
        `the legacy database ${placeOf(config)} dropped the connection (${describeError(error)})`,
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
  };
  // One sentence of the server, in which the values are written as it escapes them.
  const query = async (text: string, values: readonly string[] = []): Promise<TextRows> =>
    (await run(values.length === 0 ? text : connection.format(text, values))).rows;
  // MySQL has no such variable.
  let logSql = 'NULL';
  try {
    const [[version] = []] = await query('SELECT VERSION()');
    const isMariadb = /mariadb/i.test(version ?? '');
    if (isMariadb) logSql = '@@GLOBAL.gtid_binlog_pos';
    for (const statement of sessionSetup(statementTimeoutMs, isMariadb)) await query(statement);
  } catch (error) {
    connection.destroy();
    throw connectionError(error, placeOf(config), role.user);
  }
  let innodb: { readonly log: string | null; readonly at: number } | null = null;
  return {
    query,
    async page({ text, seen }) {
      try {
        const [first, ...others] = await query(text);
        if (first === undefined) return [];
        return seen === undefined ? [first, ...others] : [first.with(1, await seen(query)), ...others];
      } catch (error) {
        throw isGone(error) ? new TableReshaped() : error;
      }
    },
    async describe(text) {
      const { fields } = await run(text);
      return fields.map(typeOfField);
    },
    async observe(watch = 'NULL') {
      // NOW() is when the statement began.
      const [seen = []] = await query(`SELECT UNIX_TIMESTAMP(NOW(6)), ${watch}, ${logSql}`);
      const [seconds = '0', watched = null, log = null] = seen;
      const clock = BigInt((seconds ?? '0').replace('.', ''));
      if (innodb === null || performance.now() - innodb.at > askInnodbMs)
        innodb = { log: await readInnodbLog(query), at: performance.now() };
      // Nothing says what is committed: no two observations are alike.
      return { clock, open: new Set(), snapshot: { xmin: 0n, xmax: 0n, text: clock.toString() }, watched, log: serverLog(log, innodb.log) };
    },
    async [Symbol.asyncDispose]() {
      await close(connection);
    },
  };
}

async function connect(config: LegacyDbConfig, applicationName: string): Promise<Connection> {
  const role = config.roles.poller;
  // Nobody who polls a Postgres waits for it to be loaded.
  const { createConnection } = await import('mysql2/promise');
  try {
    return await createConnection(mariadbConnectionOptions(config, role, applicationName));
  } catch (error) {
    // Who may read nothing of a database may not enter it: what a REVOKE leaves behind.
    if (hasCode(error, 'ER_DBACCESS_DENIED_ERROR')) throw await entryRefused(error, config, applicationName);
    throw connectionError(error, placeOf(config), role.user);
  }
}

async function entryRefused(error: unknown, config: LegacyDbConfig, applicationName: string): Promise<CdcError> {
  const { database, ...server } = config;
  const { user } = config.roles.poller;
  const { createConnection } = await import('mysql2/promise');
  let account = user;
  try {
    const connection = await createConnection(mariadbConnectionOptions(server, config.roles.poller, applicationName));
    const [rows] = await connection.query('SELECT CURRENT_USER()');
    account = textRows(rows)[0]?.[0] ?? user;
    await close(connection);
  } catch (other) {
    return connectionError(other, placeOf(config), user);
  }
  // A database in a grant is a pattern.
  const granted = mariadbName(database.replaceAll(/[_%]/g, String.raw`\$&`));
  const remedy = `GRANT SELECT ON ${granted}.* TO ${mariadbAccount(account)};\nOr on those of its tables alone that poller.tables names; or correct legacyDb.database: the server does not say which of them it is.`;
  const problem = `the legacy database ${placeOf(config)} refused user ${user} (${describeError(error)})`;
  return new CdcError('SELECT_MISSING', problem, { cause: error, remedy });
}

function placeOf({ host, port, database }: LegacyDbConfig): string {
  return `${host}:${port}/${database}`;
}

function sessionSetup(statementTimeoutMs: number, isMariadb: boolean): readonly string[] {
  const seconds = statementTimeoutMs / 1000;
  return [
    'SET NAMES utf8mb4',
    "SET SESSION time_zone = '+00:00'",
    // Neither padded chars nor refused zero dates; backslashes escape, as in the values that are written into a statement.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    'SET SESSION TRANSACTION READ ONLY',
    'SET SESSION autocommit = 1',
    'SET SESSION group_concat_max_len = 1048576',
    // The current rows, whatever the server shows by default of tables WITH SYSTEM VERSIONING.
    ...(isMariadb ? ['SET SESSION system_versioning_asof = DEFAULT'] : []),
    `SET SESSION lock_wait_timeout = ${Math.max(1, Math.ceil(seconds))}`,
    isMariadb ? `SET SESSION max_statement_time = ${seconds}` : `SET SESSION max_execution_time = ${statementTimeoutMs}`,
  ];
}

/** Bytes as the server sends them, which are UTF-8 after SET NAMES: mysql2 makes nothing of them. */
function textRows(rows: unknown): TextRows {
  if (!Array.isArray(rows)) return [];
  return rows.map((row: unknown) => (Array.isArray(row) ? row.map(textOf) : []));
}

function textOf(value: unknown): string | null {
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  if (value === null) return null;
  throw new TypeError(`mysql2 gave a ${typeof value} in place of bytes`);
}

/** No such table, no such column: what was looked at before is not there any more. */
function isGone(error: unknown): boolean {
  return hasCode(error, 'ER_NO_SUCH_TABLE', 'ER_BAD_FIELD_ERROR');
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** A server on which something holds a statement up does not answer QUIT either. */
async function close(connection: Connection): Promise<void> {
  const timer = setTimeout(() => connection.destroy(), 1000);
  try {
    await connection.end();
  } catch {
    connection.destroy();
  } finally {
    clearTimeout(timer);
  }
}

function connectionError(error: unknown, place: string, user: string): CdcError {
  const what = error instanceof Error && 'errno' in error && 'sqlState' in error ? 'refused' : 'did not answer';
  const problem = `the legacy database ${place} ${what} user ${user} (${describeError(error)})`;
  if (hasCode(error, 'ER_BAD_DB_ERROR')) return new CdcError('LEGACY_DB_MISSING', problem, { cause: error });
  if (hasCode(error, 'ER_ACCESS_DENIED_ERROR', 'ER_HOST_NOT_PRIVILEGED', 'ER_ACCOUNT_HAS_BEEN_LOCKED', 'AUTH_SWITCH_PLUGIN_ERROR')) {
    const remedy =
      "Correct the user and password in legacyDb.roles.poller; the account 'user'@'host' must allow the host that the poller runs on.";
    return new CdcError('LEGACY_LOGIN_REFUSED', problem, { cause: error, remedy });
  }
  return new CdcError('LEGACY_DB_UNREACHABLE', problem, { cause: error });
}
