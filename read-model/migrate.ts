import { createHash } from 'node:crypto';
import knex, { type Knex } from 'knex';
import { escapeIdentifier, type ClientConfig, type PoolClient } from 'pg';
import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import { connected, prepareForPool, queryText, qualified, type Database } from './database.ts';
import { holdersInSchema, lockWait, untilUnlocked } from './locks.ts';
import { lockName, makeModel, nothing, type ModelAsked, type ModelPlan } from './make-model.ts';
import { ageOfSchema, ownSql, ownSqlFiles, superseded } from './own-sql.ts';
import { fingerprintOf } from './views/stored-projections.ts';

export type MigrateOptions = {
  readonly schema: string;
  /** The schema is a version to be filled by a rebuild: views come last. */
  readonly rebuild?: { readonly version: number } | undefined;
  /** What its mirrors and views are to be; left out, they stay as they are. */
  readonly asked?: ModelAsked | undefined;
  /** Called once for each try that finds a table in use. */
  readonly onWait?: ((what: string) => void) | undefined;
  /** Ends the wait for a table. */
  readonly signal?: AbortSignal | undefined;
};

export type Migrated = {
  /** Files of read-model/sql that were applied. */
  readonly files: readonly string[];
  readonly plan: ModelPlan;
};

/** Some ten minutes of tries. */
const triesMost = 300;

/** Knex's list of what was applied, in the model's schema. */
const migrationsTable = 'knex_migrations';

/** Knex would ask for it before the session is ours; nothing of ours depends on it. */
const anyVersion = '13';

/**
 * Brings one model's schema up to date: knex's migrator applies the files of read-model/sql that it has not seen, in order, in one
 * transaction. Names in the files are unqualified, so that any number of models (and versions of a model) can live in one database. Harmless to repeat; two at
 * once queue up. Then its mirrors are made what `asked` says, in a transaction of their own.
 *
 * It waits for a table that is in use a moment at a time, so that no reader waits behind it, and gives up after some minutes.
 *
 * @throws CdcError READ_DB_UNREACHABLE, READ_MODEL_MIGRATION_CHANGED, READ_MODEL_NEWER, READ_MODEL_LOCKED
 */
export async function migrate(config: ClientConfig, options: MigrateOptions): Promise<Migrated> {
  const client = await connected(config);
  const onWait = waiting(options.schema, options.onWait);
  const builder = knex({
    client: 'pg',
    version: anyVersion,
    connection: connectionOf(config),
    pool: { min: 0, max: 1, afterCreate: prepared },
  });
  try {
    const signal = options.signal ?? AbortSignal.any([]);
    const holders = (): Promise<string> => holdersInSchema(client, options.schema);
    const files = await untilUnlocked({ holders, onWait, signal }, () => migrateOnce(builder, options));
    const { asked } = options;
    if (asked === undefined) return { files, plan: nothing };
    const plan = await untilUnlocked({ holders, onWait, signal }, () => makeModel(client, options.schema, asked));
    return { files, plan };
  } finally {
    await Promise.all([client.end(), builder.destroy()]);
  }
}

function prepared(client: PoolClient, done: (error: Error | null, client: PoolClient) => void): void {
  prepareForPool(client, (error) => done(error ?? null, client));
}

function migrateOnce(builder: Knex, { schema, rebuild }: MigrateOptions): Promise<readonly string[]> {
  return builder.transaction(async (transaction) => {
    const run = async (sql: string, values: readonly (string | number | boolean)[] = []): Promise<void> => {
      await transaction.raw(sql, [...values]);
    };
    await run('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [lockName(schema)]);
    await run(`SET LOCAL lock_timeout = ${lockWait.readersMs}`);
    await run(asRaw(`CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(schema)}`));
    await run(asRaw(`SET LOCAL search_path = ${escapeIdentifier(schema)}`));
    const applied = await applyMissing(transaction, schema);
    await run('INSERT INTO model_version (version, projections, views_filled) VALUES (?, ?, ?) ON CONFLICT DO NOTHING', [
      rebuild?.version ?? 1,
      // Of no views: those of files come after the mirrors.
      fingerprintOf([]),
      rebuild === undefined,
    ]);
    return applied;
  });
}

/** What hears of each try in vain. @throws CdcError READ_MODEL_LOCKED */
function waiting(schema: string, onWait: MigrateOptions['onWait']): (holders: string, tries: number) => void {
  return (holders, tries) => {
    const what = `schema ${schema} waits to be altered: ${holders}`;
    if (tries === triesMost) throw new CdcError('READ_MODEL_LOCKED', what);
    onWait?.(what);
  };
}

/** Of a `pg` client, as knex takes it. */
function connectionOf({ host, port, database, user, password, ssl, ...more }: ClientConfig): Knex.PgConnectionConfig {
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(database === undefined ? {} : { database }),
    ...(user === undefined ? {} : { user }),
    ...(typeof password === 'string' ? { password } : {}),
    ...(ssl === undefined ? {} : { ssl }),
    application_name: more.application_name ?? 'cdc read-model migrate',
    connectionTimeoutMillis: more.connectionTimeoutMillis ?? 10_000,
  };
}

/** @throws CdcError READ_MODEL_NOT_MIGRATED when `schema` lacks a file of read-model/sql, READ_MODEL_NEWER when it has one that is not there */
export async function requireMigrated(database: Database, schema: string): Promise<void> {
  const missing = new CdcError('READ_MODEL_NOT_MIGRATED', `schema ${schema} of the read database is not up to date`);
  const [found] = await queryText(database, 'SELECT to_regclass($1)', [qualified(schema, migrationsTable)]);
  if (found?.[0] === null) throw missing;
  const rows = await queryText(database, `SELECT name FROM ${qualified(schema, migrationsTable)}`);
  const own = await ownSqlFiles();
  const applied = rows.map(([file]) => file ?? '');
  const age = ageOfSchema(applied, own);
  if (age === 'newer')
    throw newer(
      schema,
      applied.filter((file) => !own.includes(file)),
    );
  if (age === 'older') throw missing;
}

function newer(schema: string, files: readonly string[], cause?: unknown): CdcError {
  const which = files.length === 0 ? '' : ` (it has ${files.join(', ')})`;
  return new CdcError('READ_MODEL_NEWER', `schema ${schema} of the read database was made by a newer version of this program${which}`, {
    cause,
  });
}

/** Knex's migrator, with the SQL files as its source. Gives the files that it applied. */
async function applyMissing(transaction: Knex.Transaction, schema: string): Promise<readonly string[]> {
  const files = await ownSqlFiles();
  const contents = new Map(await Promise.all(files.map(async (file) => [file, await ownSql(file)] as const)));
  const migrationSource: Knex.MigrationSource<string> = {
    getMigrations: () => Promise.resolve([...files]),
    getMigrationName: (file) => file,
    getMigration: (file) =>
      Promise.resolve({ up: (within) => within.raw(asRaw(contents.get(file) ?? '')), down: () => Promise.reject(new Error('not undone')) }),
  };
  await adoptOlder(transaction, schema, migrationSource);
  await renameSuperseded(transaction, schema);
  try {
    const [, applied] = z
      .tuple([z.number(), z.array(z.string())])
      .parse(await transaction.migrate.latest({ migrationSource, schemaName: schema, tableName: migrationsTable }));
    await checkHashes(transaction, contents);
    return applied;
  } catch (error) {
    // A file that was applied is not there any more: a newer program has made the schema.
    if (error instanceof Error && error.message.startsWith('The migration directory is corrupt')) throw newer(schema, [], error);
    throw error;
  }
}

/** A schema that was migrated before knex's migrator did it has its list in a table of ours: it goes on from there. */
async function adoptOlder(transaction: Knex.Transaction, schema: string, migrationSource: Knex.MigrationSource<string>): Promise<void> {
  const had = await transaction.schema.withSchema(schema).hasTable('schema_migrations');
  if (!had) return;
  // Makes knex's tables, and applies nothing.
  await transaction.migrate.list({ migrationSource, schemaName: schema, tableName: migrationsTable });
  await transaction.raw(
    `INSERT INTO ${migrationsTable} (name, batch, migration_time) SELECT file, 1, applied_at FROM schema_migrations ORDER BY file`,
  );
  await transaction.raw(`${hashColumn}; UPDATE ${migrationsTable} m SET hash = s.hash FROM schema_migrations s WHERE s.file = m.name`);
  await transaction.raw('DROP TABLE schema_migrations');
}

async function renameSuperseded(transaction: Knex.Transaction, schema: string): Promise<void> {
  const known = await transaction.schema.withSchema(schema).hasTable(migrationsTable);
  if (!known) return;
  await transaction.raw(hashColumn);
  for (const [name, now] of Object.entries(superseded)) {
    const listed = transaction(migrationsTable).where({ name });
    await (now === null ? listed.delete() : listed.update({ name: now, hash: null }));
  }
}

const hashColumn = `ALTER TABLE ${migrationsTable} ADD COLUMN IF NOT EXISTS hash text`;

/** Knex goes by a file's name alone; what it was is kept beside, so that a file that was changed since is refused. */
async function checkHashes(transaction: Knex.Transaction, contents: ReadonlyMap<string, string>): Promise<void> {
  await transaction.raw(hashColumn);
  for (const { name, hash } of appliedFiles.parse(await transaction(migrationsTable).select('name', 'hash'))) {
    const now = createHash('sha256')
      .update(contents.get(name) ?? '')
      .digest('hex');
    if (hash === null) await transaction(migrationsTable).where({ name }).update({ hash: now });
    else if (hash !== now) throw new CdcError('READ_MODEL_MIGRATION_CHANGED', `${name} is not what the schema was made with`);
  }
}

const appliedFiles = z.array(z.object({ name: z.string(), hash: z.string().nullable() }));

/** SQL that is no template: knex takes a question mark for the place of a value. */
function asRaw(sql: string): string {
  return sql.replaceAll('?', String.raw`\?`);
}
