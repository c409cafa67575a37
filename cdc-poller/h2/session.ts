import { Client, type QueryArrayResult } from 'pg';
import { CdcError, describeError, postgresClientConfig, type LegacyDbConfig } from '#pipeline/index.ts';
import type { OpenSession, TextRows } from '../source/dialect.ts';
import { endConnection, lostConnection, rawTypes } from '../source/pg-connection.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import { isGone } from './catalog.ts';
import { h2Filled } from './names.ts';

/**
 * Opens a session as the poller's user, through H2's server of Postgres' protocol. Each query is a transaction of its own, of one statement. Statements use
 * the simple protocol, with their values in them: after an error in the extended protocol H2's server answers no more.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING or LEGACY_LOGIN_REFUSED, naming host, database and user, never the password
 */
export async function openH2Session(config: LegacyDbConfig, applicationName: string, statementTimeoutMs: number): Promise<OpenSession> {
  const { host, port, database } = config;
  const place = `${host}:${port}/${database}`;
  const client = await connect(config, place, applicationName, statementTimeoutMs);
  const run = async (text: string): Promise<QueryArrayResult<(string | null)[]>> => {
    try {
      return await client.query<(string | null)[]>({ text, rowMode: 'array', types: rawTypes });
    } catch (error) {
      throw lostConnection(error, place);
    }
  };
  const query = async (text: string, values: readonly string[] = []): Promise<TextRows> =>
    (await run(values.length === 0 ? text : h2Filled(text, values))).rows;
  try {
    for (const statement of sessionSetup(statementTimeoutMs)) await query(statement);
    const [[isAdmin, toLower, tables] = []] = await query(whoQuery);
    if (isAdmin === 't') throw adminRefused(place, config.roles.poller.user);
    if (toLower === 'true' && tables === '0') throw emptyDatabase(place);
  } catch (error) {
    await endConnection(client);
    throw error instanceof CdcError
      ? error
      : new CdcError('LEGACY_DB_UNREACHABLE', `at ${place} no H2 answers (${describeError(error)})`, { cause: error });
  }
  return {
    query,
    async page({ text }) {
      try {
        return await query(text);
      } catch (error) {
        throw isGone(error) ? new TableReshaped() : error;
      }
    },
    async describe(text) {
      const { fields } = await run(text);
      return fields.map(({ name, dataTypeID }) => ({ name, typeOid: dataTypeID.toString(), modifier: -1 }));
    },
    async observe(watch = 'NULL') {
      // The clock is that of the statement's beginning.
      const [[micros, watched = null] = []] = await query(
        `SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP(6)) * 1000000 AS BIGINT), ${watch}`,
      );
      const clock = BigInt(micros ?? '');
      // H2 does not show what is committed: no two observations are alike.
      return { clock, open: new Set(), snapshot: { xmin: 0n, xmax: 0n, text: clock.toString() }, watched, log: null };
    },
    [Symbol.asyncDispose]: () => endConnection(client),
  };
}

async function connect(config: LegacyDbConfig, place: string, applicationName: string, statementTimeoutMs: number): Promise<Client> {
  const { host, port, database, roles } = config;
  const { user, password } = roles.poller;
  let isAsked = false;
  const client = new Client({
    ...postgresClientConfig({ host, port, database }, roles.poller, applicationName),
    // H2 closes the connection of a refused login without a reason: how far the login came is all that is known.
    password: () => {
      isAsked = true;
      return password;
    },
    // The server's own limit cannot end a wait for a server that the network has lost: on a dead connection nothing ever comes.
    query_timeout: statementTimeoutMs + 5000,
  });
  // A connection that breaks between queries says so by this event; the next query reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await endConnection(client);
    const what = isAsked ? 'closed the connection of' : 'did not answer';
    const problem = `the legacy database ${place} ${what} user ${user} (${describeError(error)})`;
    if (!isAsked) throw new CdcError('LEGACY_DB_UNREACHABLE', problem, { cause: error });
    throw new CdcError('LEGACY_LOGIN_REFUSED', problem, { cause: error, remedy: loginRemedy });
  }
}

const loginRemedy =
  'H2 does not say why; its own output does. Correct user and password in legacyDb.roles.poller, or legacyDb.database; and let the application open the database with MODE=PostgreSQL;DEFAULT_NULL_ORDERING=HIGH in its URL: without these H2 refuses ordinary users (docs/h2.md).';

function sessionSetup(statementTimeoutMs: number): readonly string[] {
  return [`SET QUERY_TIMEOUT ${statementTimeoutMs}`, `SET LOCK_TIMEOUT ${statementTimeoutMs}`, "SET TIME ZONE 'UTC'"];
}

const whoQuery = `
  SELECT (SELECT u.is_admin FROM information_schema.users u WHERE u.user_name = CURRENT_USER),
    (SELECT s.setting_value FROM information_schema.settings s WHERE s.setting_name = 'DATABASE_TO_LOWER'),
    (SELECT COUNT(*) FROM information_schema.tables t WHERE LOWER(t.table_schema) NOT IN ('information_schema', 'pg_catalog')), H2VERSION()`;

/** The rights of a user are all that makes a session read-only: H2 has no such transactions. */
function adminRefused(place: string, user: string): CdcError {
  return new CdcError(
    'LEGACY_LOGIN_REFUSED',
    `user ${user} of the legacy database ${place} is an administrator, which may do more than read`,
    {
      remedy:
        'Create a user for the poller (CREATE USER … PASSWORD …), GRANT it SELECT and nothing else, and name it in legacyDb.roles.poller. If the application had opened the database with another MODE or DEFAULT_NULL_ORDERING, this login has changed them for the application too: restart it.',
    },
  );
}

/**
 * Whoever opens a database first decides how names are written, and this protocol asks for lower case: nobody who connects then finds tables
 * that were made in upper case. So the session ends at once, and the database closes with it.
 */
function emptyDatabase(place: string): CdcError {
  return new CdcError('LEGACY_DB_MISSING', `the legacy database ${place} shows no table at all`, {
    remedy:
      'Start the application before the poller: a database whose names are in upper case must be open already, by the application (docs/h2.md). Or correct legacyDb.database.',
  });
}
