import { CdcError, describeError, lacksPassword, postgresClientConfig, sessionSql, type LegacyDbConfig } from '#pipeline/index.ts';
import { Client, DatabaseError } from 'pg';
import { sessionSettings } from './values/value-encoders.ts';
import { parseSnapshot } from '../fence/xid.ts';
import { flushedSql } from './catalog.ts';
import type { OpenSession, TextRows } from '../source/dialect.ts';
import { endConnection, lostConnection, rawTypes } from '../source/pg-connection.ts';
import { createCopyReader } from './copy-query.ts';
import { backendSql, isPooler, poolerBetween } from './pooler.ts';

/** An observation reads no table: a server that has not answered it in this time, in ms, counts as lost. */
const observeTimeoutMs = 15_000;

/** A connection that thousands of tables share would keep a plan for each of them in the server's memory: further statements are not prepared. */
const preparedMost = 100;

/**
 * Opens a session as the poller's role.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING, LEGACY_LOGIN_REFUSED or POOLER_BETWEEN, naming host, database and role, never the password
 */
export async function openSourceSession(config: LegacyDbConfig, applicationName: string, statementTimeoutMs: number): Promise<OpenSession> {
  const role = config.roles.poller;
  const place = `${config.host}:${config.port}/${config.database}`;
  // The server's own limit cannot end a wait for a server that the network has lost: on a dead connection nothing ever comes.
  const lostAfterMs = statementTimeoutMs + 5000;
  const observeMs = Math.min(lostAfterMs, observeTimeoutMs);
  const client = new Client({ ...postgresClientConfig(config, role, applicationName), query_timeout: lostAfterMs });
  // A connection that breaks between queries says so by this event; the next query reports it.
  client.on('error', () => undefined);
  let backend = '';
  let rolesPath = '';
  try {
    await client.connect();
    const asked = await client.query<(string | null)[]>({ text: backendQuery, rowMode: 'array', types: rawTypes });
    [backend = '', rolesPath = ''] = (asked.rows[0] ?? []).map((value) => value ?? '');
    if (config.pooler === undefined && isPooler(client, backend)) throw poolerBetween(place);
    await client.query(sessionSql(settingsOf(statementTimeoutMs)));
  } catch (error) {
    await endConnection(client);
    throw error instanceof CdcError ? error : connectionError(error, place, role.user);
  }
  const answered = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw isOtherBackends(error) ? poolerBetween(place, error) : lostConnection(error, place);
    }
  };
  const query = async (text: string, values: readonly string[] = [], name?: string, timeoutMs?: number): Promise<TextRows> => {
    const { rows } = await answered(
      client.query<(string | null)[]>({
        text,
        values: [...values],
        rowMode: 'array',
        types: rawTypes,
        ...(name === undefined ? {} : { name }),
        ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
      }),
    );
    return rows;
  };
  // Postgres cuts statement names at 63 characters, so that a text itself would not do as its name.
  const names = new Map<string, string>();
  const nameOf = (text: string): string | undefined => {
    const name = names.get(text) ?? (names.size < preparedMost ? `statement_${names.size}` : undefined);
    if (name !== undefined) names.set(text, name);
    return name;
  };
  const copy = createCopyReader(client);
  const setPath = (path: string): Promise<TextRows> => query("SELECT pg_catalog.set_config('search_path', $1, false)", [path]);
  /** In a query of the configuration, names without a schema are those that the role's own search_path finds; pg_catalog's go before them all the same. */
  const asUsers = async <T>(work: () => Promise<T>): Promise<T> => {
    await setPath(`pg_catalog, ${rolesPath || '""'}`);
    try {
      return await work();
    } finally {
      await setPath('pg_catalog');
    }
  };
  return {
    query: (text, values) => query(text, values),
    prepared: (text, values) => query(text, values, nameOf(text)),
    page: ({ text, values, isUsers }) =>
      isUsers === true ? asUsers(() => query(text, values, nameOf(text))) : query(text, values, nameOf(text)),
    copyPage: (text) => answered(copy(text)),
    explain: ({ text, values, isUsers }) => (isUsers === true ? asUsers(() => query(text, values)) : query(text, values)),
    async describe(text) {
      const { fields } = await asUsers(() => answered(client.query({ text, rowMode: 'array' })));
      return fields.map(({ name, dataTypeID, dataTypeModifier }) => ({
        name,
        typeOid: dataTypeID.toString(),
        modifier: dataTypeModifier,
      }));
    },
    async observe(watch = 'NULL', settled = '') {
      // statement_timestamp() is when the server received the query: before it looked at the locks.
      const [seen = []] = await query(observationQuery, [], 'observe', observeMs);
      const watchQuery = `SELECT s.text, CASE WHEN s.text <> $1 THEN ${watch} END FROM (SELECT pg_current_snapshot()::text) AS s (text)`;
      const [snapshot = []] = await query(watchQuery, [settled], nameOf(watchQuery), observeMs);
      const [clock, open, log = null, pid] = seen;
      if (pid !== backend) throw poolerBetween(place);
      return {
        clock: BigInt(clock ?? ''),
        open: new Set((open ?? '').split(' ').filter((text) => text !== '')),
        snapshot: parseSnapshot(snapshot[0] ?? ''),
        watched: snapshot[1] ?? null,
        log,
      };
    },
    [Symbol.asyncDispose]: () => endConnection(client),
  };
}

const observationQuery = `
  SELECT trunc(extract(epoch FROM statement_timestamp()) * 1000000)::bigint,
         (SELECT coalesce(string_agg(virtualxid, ' '), '') FROM pg_locks WHERE locktype = 'virtualxid' AND pid IS DISTINCT FROM pg_backend_pid()),
         ${flushedSql}, pg_backend_pid()`;

const backendQuery = `SELECT ${backendSql}, pg_catalog.current_setting('search_path')`;

function settingsOf(statementTimeoutMs: number): Readonly<Record<string, string>> {
  return {
    ...sessionSettings,
    default_transaction_read_only: 'on',
    // Compiling a query of a catalogue or a page takes longer than running it.
    jit: 'off',
    statement_timeout: `${statementTimeoutMs}ms`,
    lock_timeout: `${statementTimeoutMs}ms`,
  };
}

/** 42P05, 26000: a prepared statement is there that this session has not made, or is not there that it has. */
function isOtherBackends(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '42P05' || error.code === '26000');
}

function connectionError(error: unknown, place: string, role: string): CdcError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (lacksPassword(error)) {
    const text = `the legacy database ${place} asks role ${role} for a password, and none is set`;
    return new CdcError('LEGACY_LOGIN_REFUSED', text, { cause: error });
  }
  const problem = `the legacy database ${place} ${code === '' ? 'did not answer' : 'refused'} role ${role} (${describeError(error)})`;
  // 3D000: no such database. Class 28: authentication; 42501: no CONNECT. All else: not there, or not ready.
  if (code === '3D000') return new CdcError('LEGACY_DB_MISSING', problem, { cause: error });
  if (code.startsWith('28') || code === '42501') return new CdcError('LEGACY_LOGIN_REFUSED', problem, { cause: error });
  return new CdcError('LEGACY_DB_UNREACHABLE', problem, { cause: error });
}
