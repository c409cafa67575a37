import { atMost, CdcError, describeError, lacksPassword, postgresClientConfig, type LegacyDbConfig } from '#pipeline/index.ts';
import { escapeIdentifier, escapeLiteral, Client, DatabaseError } from 'pg';
import { sessionSettings } from '../encoding/value-encoders.ts';
import { parseSnapshot, type Snapshot } from '../fence/xid.ts';
import type { Observation } from '../fence/floor.ts';
import type { DescribedColumn } from './catalog.ts';
import type { Dialect } from './dialect.ts';
import type { PageQuery } from './page-query.ts';

/** Rows as Postgres's own texts: no parser touches them. */
export type TextRows = readonly (readonly (string | null)[])[];

export type SourceSession = OpenSession & { readonly dialect: Dialect };

/** One connection to the legacy database, read-only in every sense: it never takes more than ACCESS SHARE. */
export type OpenSession = AsyncDisposable & {
  /** `rowsOf`: how many of the table's rows the server read for the answer, where its load is to be governed; none by default. */
  query(text: string, values?: readonly string[], rowsOf?: (rows: TextRows) => number): Promise<TextRows>;
  /** A page, as a prepared statement. */
  page(query: PageQuery): Promise<TextRows>;
  /** The columns that a SELECT gives. */
  describe(text: string): Promise<readonly DescribedColumn[]>;
  /**
   * Clock and open transactions first, then the snapshot: the order that the fence needs. `watch` is a scalar (SQL, text) that is read in that
   * very snapshot: what it does not show yet is of a transaction at or past the snapshot's xmin. It is not read, and null, where the snapshot is `settled`.
   */
  observe(watch?: string, settled?: string): Promise<WatchedObservation>;
};

export type WatchedObservation = Observation & {
  readonly snapshot: Snapshot;
  readonly watched: string | null;
  /** How far the server's log is, where it tells; only ever compared with itself. */
  readonly log: string | null;
};

/** An observation reads no table: a server that has not answered it in this time, in ms, counts as lost. */
const observeTimeoutMs = 15_000;
/** To say goodbye takes a server that still listens. */
const endGraceMs = 2000;

const rawTypes = { getTypeParser: () => (value: string) => value };

/**
 * Opens a session as the poller's role.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING or LEGACY_LOGIN_REFUSED, naming host, database and role, never the password
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
  try {
    await client.connect();
    await client.query(sessionSetup(statementTimeoutMs));
  } catch (error) {
    await end(client);
    throw connectionError(error, place, role.user);
  }
  const answered = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw lostConnection(error, place);
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
  const nameOf = (text: string): string => {
    const name = names.get(text) ?? `statement_${names.size}`;
    names.set(text, name);
    return name;
  };
  return {
    query: (text, values) => query(text, values),
    page: ({ text, values }) => query(text, values, nameOf(text)),
    async describe(text) {
      const { fields } = await answered(client.query({ text, rowMode: 'array' }));
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
      const [clock, open] = seen;
      return {
        clock: BigInt(clock ?? ''),
        open: new Set((open ?? '').split(' ').filter((text) => text !== '')),
        snapshot: parseSnapshot(snapshot[0] ?? ''),
        watched: snapshot[1] ?? null,
        log: null,
      };
    },
    [Symbol.asyncDispose]: () => end(client),
  };
}

const observationQuery = `
  SELECT trunc(extract(epoch FROM statement_timestamp()) * 1000000)::bigint,
         (SELECT coalesce(string_agg(virtualxid, ' '), '') FROM pg_locks WHERE locktype = 'virtualxid' AND pid IS DISTINCT FROM pg_backend_pid())`;

function sessionSetup(statementTimeoutMs: number): string {
  const settings = {
    ...sessionSettings,
    default_transaction_read_only: 'on',
    // Compiling a query of a catalogue or a page takes longer than running it.
    jit: 'off',
    statement_timeout: `${statementTimeoutMs}ms`,
    lock_timeout: `${statementTimeoutMs}ms`,
  };
  return Object.entries(settings)
    .map(([name, value]) => `SET ${escapeIdentifier(name)} = ${escapeLiteral(value)}`)
    .join('; ');
}

/** Ends a connection, also one that the network has lost. */
async function end(client: Client): Promise<void> {
  await atMost(endGraceMs, client.end());
  client.connection.stream.destroy();
}

/** What the server did not say itself is about the way to it. */
function lostConnection(error: unknown, place: string): unknown {
  if (error instanceof DatabaseError) return error;
  return new CdcError('LEGACY_DB_UNREACHABLE', `the connection to the legacy database ${place} is lost (${describeError(error)})`, {
    cause: error,
  });
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
