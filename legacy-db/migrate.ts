import type { ClientConfig } from 'pg';
import { explainError, openClient, roleMissing, type OpenClient } from './connect.ts';
import { sqlFiles } from './sql-files.ts';

/** The tables of the order system, parents first. */
export const legacyTables = ['public.customers', 'public.products', 'public.orders', 'public.order_items'] as const;

/** Who is granted what: DML for the application, SELECT for the other two. A role that is left out gets nothing. */
export type GrantedRoles = {
  readonly application?: string | undefined;
  readonly poller?: string | undefined;
  readonly replicator?: string | undefined;
};

export type MigrateOptions = {
  readonly roles: GrantedRoles;
  /** Also install the ledger of truth on the four tables (tests and comparison only). */
  readonly ledger?: boolean;
};

/**
 * Makes the order system: tables, triggers, indexes, grants, and the ledger if asked for. One transaction; running it again changes
 * nothing, and two at once queue up. `owner` is the role that shall own the tables; it needs CREATE on schema public.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_DB_MISSING, LEGACY_ROLE_MISSING, LEGACY_LOGIN_REFUSED, LEGACY_PRIVILEGE_MISSING
 */
export async function migrate(owner: ClientConfig, options: MigrateOptions): Promise<void> {
  const files = await sqlFiles('.');
  await inTransaction(owner, async (client) => {
    await requireRoles(client, options.roles, owner);
    for (const duty of ['application', 'poller', 'replicator'] as const) {
      await client.query('SELECT set_config($1, $2, true)', [`legacy_db.${duty}`, options.roles[duty] ?? '']);
    }
    await run(client, files);
    if (options.ledger === true) await installLedger(client);
  });
}

async function installLedger(client: OpenClient): Promise<void> {
  await run(client, await sqlFiles('ledger'));
  for (const table of legacyTables) await client.query('SELECT ledger.watch($1::text::regclass)', [table]);
}

async function run(client: OpenClient, files: readonly string[]): Promise<void> {
  for (const file of files) await client.query(file);
}

async function requireRoles(client: OpenClient, roles: GrantedRoles, owner: ClientConfig): Promise<void> {
  const named = Object.values(roles).filter((role) => role !== undefined);
  const { rows } = await client.query<{ role: string }>(
    'SELECT role FROM unnest($1::text[]) role WHERE role NOT IN (SELECT rolname FROM pg_catalog.pg_roles)',
    [named],
  );
  const [missing] = rows;
  if (missing !== undefined) throw roleMissing(missing.role, `${owner.host ?? 'localhost'}:${owner.port ?? 5432}`);
}

async function inTransaction(owner: ClientConfig, work: (client: OpenClient) => Promise<void>): Promise<void> {
  await using client = await openClient(owner);
  try {
    await client.query('BEGIN');
    // Two migrations at once would both find a table missing.
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('legacy-db migrate', 0))");
    await work(client);
    await client.query('COMMIT');
  } catch (error) {
    throw explainError(error, owner);
  }
}
