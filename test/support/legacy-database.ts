import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, escapeIdentifier, type ClientConfig } from 'pg';
import { migrate } from '#legacy-db/migrate.ts';
import { seed, type SeedOptions } from '#legacy-db/seed.ts';
import { sqlFiles } from '#legacy-db/sql-files.ts';
import { postgresClientConfig, type DatabaseLocation, type LegacyDbConfig } from '#pipeline/index.ts';
import type { StackState } from '#stack/state/state.ts';
import { testStack, uniqueName } from './stack.ts';
import { rawText } from './raw-text.ts';

/** A row as Postgres prints it: every value is text or null, so nothing loses digits on the way into an assertion. */
export type TextRow = Record<string, string | null>;

export type LegacyDatabaseOptions = {
  /** With the ledger of truth on the four tables. */
  readonly ledger?: boolean;
  /** No tables at all; the owner may create its own in schema public. */
  readonly empty?: boolean;
  /** Rows to start with. */
  readonly seed?: SeedOptions;
};

export type LegacyDatabase = AsyncDisposable & {
  readonly name: string;
  readonly location: DatabaseLocation;
  /** As in pipeline.yaml: the location with the stack's roles. */
  readonly config: LegacyDbConfig & { readonly roles: StackState['roles'] };
  readonly owner: ClientConfig;
  readonly application: ClientConfig;
  readonly poller: ClientConfig;
  readonly replicator: ClientConfig;
  readonly superuser: ClientConfig;
  /** Runs SQL as the owner on one kept connection; values come as text. */
  readonly query: (sql: string, values?: readonly unknown[]) => Promise<TextRow[]>;
  /** Runs SQL on a connection of its own, for a role or for a session that must not be shared. */
  readonly queryAs: (config: ClientConfig, sql: string, values?: readonly unknown[]) => Promise<TextRow[]>;
};

const maintenanceName = 'test legacy-database';

/**
 * A database of the order system of its own, cloned from a template that the first caller makes (test files run side by side, so it
 * is made under a lock). Disposing it drops it, and fails when a connection other than a walsender was left open, naming its
 * application_name: a part that leaks connections shall not pass.
 */
export async function createLegacyDatabase(options: LegacyDatabaseOptions = {}): Promise<LegacyDatabase> {
  const stack = await testStack();
  const name = uniqueName('legacy');
  const template = options.empty === true ? 'template1' : await ensureTemplate(stack, options.ledger === true);
  const { owner, application, poller, replicator } = stack.roles;
  await maintain(stack, 'postgres', async (client) => {
    const database = escapeIdentifier(name);
    await client.query(`CREATE DATABASE ${database} TEMPLATE ${escapeIdentifier(template)} OWNER ${escapeIdentifier(owner.user)}`);
    // Rights on the database itself are not cloned.
    const readers = [application, poller, replicator].map(({ user }) => escapeIdentifier(user));
    await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${readers.join(', ')}`);
  });
  const { host, port, superuser } = stack.legacyServer;
  const location = { host, port, database: name };
  const ownerConfig = postgresClientConfig(location, owner, 'test owner');
  if (options.seed !== undefined) await seed(ownerConfig, options.seed);
  let helper: Promise<Client> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return {
    name,
    location,
    config: { ...location, roles: stack.roles },
    owner: ownerConfig,
    application: postgresClientConfig(location, application, 'test application'),
    poller: postgresClientConfig(location, poller, 'test poller'),
    replicator: postgresClientConfig(location, replicator, 'test replicator'),
    superuser: postgresClientConfig(location, superuser, 'test superuser'),
    query: async (sql, values = []) => {
      helper ??= connect({ ...ownerConfig, application_name: maintenanceName });
      const client = await helper;
      // One after the other: pg deprecates queries that overlap on a client.
      const rows = last.then(() => textRows(client, sql, values));
      last = rows.catch(() => undefined);
      return rows;
    },
    queryAs: async (config, sql, values = []) => {
      const client = await connect(config);
      try {
        return await textRows(client, sql, values);
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await (await helper)?.end();
      await dropDatabase(stack, name);
    },
  };
}

async function textRows(client: Client, sql: string, values: readonly unknown[]): Promise<TextRow[]> {
  const result = await client.query<TextRow>({ text: sql, values: [...values], types: rawText });
  return result.rows;
}

async function ensureTemplate(stack: StackState, ledger: boolean): Promise<string> {
  const files = [...(await sqlFiles('.')), ...(ledger ? await sqlFiles('ledger') : [])];
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12);
  const template = `legacy_template_${ledger ? 'ledger_' : ''}${hash}`;
  await maintain(stack, 'postgres', async (client) => {
    await client.query("SELECT pg_advisory_lock(hashtextextended('legacy template', 0))");
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    if (found.rowCount !== 0) return;
    const draft = `${template}_draft`;
    const { owner, application, poller, replicator } = stack.roles;
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${draft} OWNER ${escapeIdentifier(owner.user)}`);
    const { host, port } = stack.legacyServer;
    await migrate(postgresClientConfig({ host, port, database: draft }, owner, maintenanceName), {
      ledger,
      roles: { application: application.user, poller: poller.user, replicator: replicator.user },
    });
    await waitForNoClients(client, draft);
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${template}`);
    // Nobody can connect, so nobody can be in the way of a clone.
    await client.query(`ALTER DATABASE ${template} WITH ALLOW_CONNECTIONS false`);
  });
  return template;
}

async function dropDatabase(stack: StackState, name: string): Promise<void> {
  const leaked = await maintain(stack, 'postgres', async (client) => {
    const left = await waitForNoClients(client, name);
    await maintain(stack, name, async (inside) => {
      const { rows } = await inside.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
      for (const { gid } of rows) await inside.query(`ROLLBACK PREPARED '${gid.replaceAll("'", "''")}'`);
    });
    await dropSlots(client, name);
    await client.query(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
    return left;
  });
  assert.deepEqual(leaked, [], `connections to ${name} were left open`);
}

/** An active slot keeps its database from being dropped; an ended walsender lets go of its slot a moment later. */
async function dropSlots(client: Client, database: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    await client.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active', [database]);
    const { rowCount } = await client.query('SELECT FROM pg_replication_slots WHERE database = $1 AND active', [database]);
    if (rowCount === 0 || Date.now() > deadline) return;
    await delay(20);
  }
}

/** Waits for closed connections to vanish from pg_stat_activity (a moment after the socket); says which ones stayed. */
async function waitForNoClients(client: Client, database: string): Promise<string[]> {
  const deadline = Date.now() + 1_500;
  for (;;) {
    const { rows } = await client.query<{ what: string }>(
      `SELECT format('%s (%s, %s): %s', coalesce(nullif(application_name, ''), 'without application_name'), usename, state, left(query, 100)) AS what
         FROM pg_stat_activity
        WHERE datname = $1 AND backend_type = 'client backend'`,
      [database],
    );
    if (rows.length === 0 || Date.now() > deadline) return rows.map(({ what }) => what);
    await delay(20);
  }
}

async function maintain<T>(stack: StackState, database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const { host, port, superuser } = stack.legacyServer;
  const client = await connect(postgresClientConfig({ host, port, database }, superuser, maintenanceName));
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function connect(config: ClientConfig): Promise<Client> {
  const client = new Client(config);
  // A test may drop the connection on purpose; the next query reports it.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
