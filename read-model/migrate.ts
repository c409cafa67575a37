import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { Client, escapeIdentifier, type ClientConfig } from 'pg';
import { CdcError, describeError } from '#pipeline/index.ts';
import { queryText, qualified, type Database } from './database.ts';
import { fingerprint } from './projections.ts';

export type MigrateOptions = {
  readonly schema: string;
  /** The schema is a version to be filled by a rebuild: views come last. */
  readonly rebuild?: { readonly version: number } | undefined;
};

const sqlFolder = new URL('./sql/', import.meta.url);

/**
 * Brings one model's schema up to date: applies the files of read-model/sql that it has not seen, in order, in one transaction. Names in
 * the files are unqualified, so that any number of models (and versions of a model) can live in one database. Harmless to repeat; two at
 * once queue up. Gives the names of the files that were applied.
 *
 * @throws CdcError READ_DB_UNREACHABLE, READ_MODEL_MIGRATION_CHANGED
 */
export async function migrate(config: ClientConfig, { schema, rebuild }: MigrateOptions): Promise<readonly string[]> {
  const client = new Client(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw unreachable(config, error);
  }
  try {
    await client.query('BEGIN');
    const applied = await applyMissing(client, schema);
    await client.query('INSERT INTO model_version (version, projections, views_filled) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
      rebuild?.version ?? 1,
      fingerprint(),
      rebuild === undefined,
    ]);
    // Numbers of their own, so that what was decoded for another version is never taken for this one's.
    if (rebuild !== undefined && applied.length > 0)
      await client.query('UPDATE mirrored_tables SET columns_version = $1', [rebuild.version * 100_000]);
    await client.query('COMMIT');
    return applied;
  } finally {
    await client.end();
  }
}

/** @throws CdcError READ_MODEL_NOT_MIGRATED when `schema` lacks a file of read-model/sql */
export async function requireMigrated(database: Database, schema: string): Promise<void> {
  const missing = new CdcError('READ_MODEL_NOT_MIGRATED', `schema ${schema} of the read database is not up to date`);
  const [found] = await queryText(database, 'SELECT to_regclass($1)', [qualified(schema, 'schema_migrations')]);
  if (found?.[0] === null) throw missing;
  const seen = new Set((await queryText(database, `SELECT file FROM ${qualified(schema, 'schema_migrations')}`)).map(([file]) => file));
  if ((await sqlFiles()).some((file) => !seen.has(file))) throw missing;
}

export function unreachable(config: ClientConfig, error: unknown): CdcError {
  const place = `${config.host}:${config.port}/${config.database} as ${config.user}`;
  return new CdcError('READ_DB_UNREACHABLE', `the read database ${place} does not answer: ${describeError(error)}`, { cause: error });
}

async function applyMissing(client: Client, schema: string): Promise<string[]> {
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`read-model migrate ${schema}`]);
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(schema)}`);
  await client.query(`SET LOCAL search_path = ${escapeIdentifier(schema)}`);
  await client.query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (file text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const seen = new Map((await queryText(client, 'SELECT file, hash FROM schema_migrations')).map(([file, hash]) => [file, hash]));
  const applied: string[] = [];
  for (const file of await sqlFiles()) {
    const sql = await readFile(new URL(file, sqlFolder), 'utf8');
    const hash = createHash('sha256').update(sql).digest('hex');
    const before = seen.get(file);
    if (before === hash) continue;
    if (before !== undefined) throw new CdcError('READ_MODEL_MIGRATION_CHANGED', `${file} is not what schema ${schema} was made with`);
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (file, hash) VALUES ($1, $2)', [file, hash]);
    applied.push(file);
  }
  return applied;
}

async function sqlFiles(): Promise<readonly string[]> {
  const files = await readdir(sqlFolder);
  return files.filter((file) => file.endsWith('.sql')).toSorted();
}
