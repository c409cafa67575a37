import { readFile } from 'node:fs/promises';
import { escapeIdentifier, escapeLiteral, type Pool } from 'pg';
import { CdcError, describeError } from '#pipeline/index.ts';
import { beginning, fingerprintOf, ownSql, qualified, queryText, text, transaction, type Database } from '#read-model/engine/index.ts';

/** The engine's own tables, of read-model/sql, in the order in which they are made; what is of mirrors and views alone is left out. */
export const engineFiles: readonly string[] = [
  '002-positions.sql',
  '004-parked-events.sql',
  '006-version.sql',
  '007-freshness.sql',
  '008-halted-partitions.sql',
  '009-heard.sql',
  '009-topic-identity.sql',
];
const ownFiles: readonly string[] = ['consumer-001.sql', 'consumer-002.sql'];
const files = [...engineFiles, ...ownFiles];

const listTable = 'consumer_files';

/** The SQL of a file's tables, which it names without schema. */
async function sqlOf(file: string): Promise<string> {
  if (engineFiles.includes(file)) return ownSql(file);
  return readFile(new URL(`./sql/${file}`, import.meta.url), 'utf8');
}

/**
 * The SQL that makes a consumer's own tables, or what is missing of them, for an owner of the database to look at and to run.
 *
 * @param options.schema default `cdc_consumer`
 * @param options.database the service's: only what is missing there is given; left out, all
 * @param options.role who consumes, if that is not who runs the SQL: gets the rights that it needs
 */
export async function migrationSql({
  schema = 'cdc_consumer',
  database,
  role,
}: { readonly schema?: string; readonly database?: Pool; readonly role?: string } = {}): Promise<string> {
  const missing = database === undefined ? files : await missingFiles(database, schema);
  const made = await statements(schema, missing, missing.length === files.length);
  const rights = role === undefined ? [] : grants(schema, role);
  return ['BEGIN;', ...made, ...rights, 'COMMIT;', ''].join('\n');
}

function grants(schema: string, role: string): readonly string[] {
  const [inSchema, to] = [escapeIdentifier(schema), escapeIdentifier(role)];
  return [
    `GRANT USAGE ON SCHEMA ${inSchema} TO ${to};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${inSchema} TO ${to};`,
  ];
}

async function statements(schema: string, missing: readonly string[], isNew: boolean): Promise<readonly string[]> {
  const begin = isNew ? [`CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(schema)};`] : [];
  const list = `CREATE TABLE IF NOT EXISTS ${listTable} (file text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT clock_timestamp());`;
  const made = await Promise.all(
    missing.map(
      async (file) => `-- ${file}\n${(await sqlOf(file)).trim()}\nINSERT INTO ${listTable} (file) VALUES (${escapeLiteral(file)});`,
    ),
  );
  const version = `INSERT INTO model_version (version, projections) VALUES (1, ${escapeLiteral(fingerprintOf([]))}) ON CONFLICT DO NOTHING;`;
  return [...begin, `SET LOCAL search_path = ${escapeIdentifier(schema)};`, ...(isNew ? [list] : []), ...made, version];
}

/** @throws CdcError CONSUMER_SCHEMA_NEWER */
async function missingFiles(database: Database, schema: string): Promise<readonly string[]> {
  const [found] = await queryText(database, 'SELECT to_regclass($1)', [qualified(schema, listTable)]);
  if ((found?.[0] ?? null) === null) return files;
  const seen = new Set((await queryText(database, `SELECT file FROM ${qualified(schema, listTable)}`)).map((row) => text(row, 0)));
  const newer = [...seen].filter((file) => !files.includes(file));
  if (newer.length > 0)
    throw new CdcError(
      'CONSUMER_SCHEMA_NEWER',
      `schema ${schema} has ${newer.join(', ')}, which this version of the package does not know`,
    );
  return files.filter((file) => !seen.has(file));
}

export type Migration = { readonly schema: string; readonly group: string; readonly migrate: 'auto' | 'require' };

/**
 * Sees to it that the consumer's tables are there, and are this group's. Harmless to repeat; two at once queue up.
 *
 * @throws CdcError CONSUMER_NOT_MIGRATED, CONSUMER_SCHEMA_NEWER, CONSUMER_SCHEMA_TAKEN
 */
export async function ensureTables(pool: Pool, { schema, group, migrate }: Migration): Promise<void> {
  if ((await missingFiles(pool, schema)).length > 0) {
    if (migrate === 'require') throw notMigrated(schema, 'migrate is set to require');
    try {
      await transaction(pool, beginning, async (client) => {
        await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`cdc consumer ${schema}`]);
        const missing = await missingFiles(client, schema);
        if (missing.length > 0) await client.query((await statements(schema, missing, missing.length === files.length)).join('\n'));
      });
    } catch (error) {
      if (isRefused(error)) throw notMigrated(schema, describeError(error), error);
      throw error;
    }
  }
  const [taken] = await queryText(
    pool,
    `UPDATE ${qualified(schema, 'model_version')} SET group_id = coalesce(group_id, $1) RETURNING group_id`,
    [group],
  );
  if (taken?.[0] !== group)
    throw new CdcError('CONSUMER_SCHEMA_TAKEN', `schema ${schema} holds the positions of group ${taken?.[0]}, not of ${group}`);
}

/** insufficient_privilege, or a database that only reads. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '42501' || error.code === '25006');
}

function notMigrated(schema: string, why: string, cause?: unknown): CdcError {
  return new CdcError('CONSUMER_NOT_MIGRATED', `schema ${schema} lacks tables of the consumer, and they were not made: ${why}`, { cause });
}
