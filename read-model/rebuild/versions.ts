import { escapeIdentifier, type Pool } from 'pg';
import type { Logger } from '#pipeline/index.ts';
import { inTransaction, queryText, qualified, text, type Database } from '../database.ts';
import { historyTable } from '../mirrors/own-columns.ts';
import { holdersInSchema, lockWait, untilUnlocked } from '../locks.ts';
import { dependantsOf, inWords, refuseDependants } from './dependants.ts';

/**
 * Versions of a model: the one that serves is the schema of the model's name; others are beside it as `<model>__v<number>`, a higher one
 * being filled (the candidate), lower ones kept for switching back.
 */
export type ModelVersion = {
  readonly schema: string;
  readonly version: number;
  readonly projections: string;
  readonly viewsFilled: boolean;
  /** See docs/read-model.md, source transactions. */
  readonly tornTransactions: bigint;
  /** Why no process applies it; null while one does, or none was ever given up. */
  readonly stopped: Stop | null;
  readonly serves: boolean;
};

/** The error of the catalogue that ended a model's process, or its part of one. */
export type Stop = { readonly code: string; readonly cause: string; readonly remedy: string; readonly stoppedAt: string };

export function versionSchema(model: string, version: number): string {
  return `${model}__v${version}`;
}

/** The versions of a model that exist, oldest first. */
export async function listVersions(pool: Pool, model: string): Promise<readonly ModelVersion[]> {
  const schemas = await queryText(
    pool,
    `SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'model_version'
      WHERE n.nspname = $1 OR (starts_with(n.nspname, $1 || '__v') AND substr(n.nspname, length($1) + 4) ~ '^[0-9]+$')`,
    [model],
  );
  const versions: ModelVersion[] = [];
  for (const row of schemas) {
    const schema = text(row, 0);
    const found = await readVersion(pool, schema);
    versions.push({ ...found, serves: schema === model });
  }
  return versions.toSorted((a, b) => a.version - b.version);
}

/** What version a schema holds. */
export async function readVersion(database: Database, schema: string): Promise<Omit<ModelVersion, 'serves'>> {
  const [row] = await queryText(
    database,
    // As JSON: a version that another program filled may not have all of them.
    `SELECT version, projections, views_filled, torn_transactions, to_jsonb(v) ->> 'stopped_code', to_jsonb(v) ->> 'stopped_cause',
            to_jsonb(v) ->> 'stopped_remedy', to_jsonb(v) ->> 'stopped_at'
       FROM ${qualified(schema, 'model_version')} v`,
  );
  if (row === undefined) throw new TypeError(`schema ${schema} has no version`);
  return {
    schema,
    version: Number(row[0]),
    projections: text(row, 1),
    viewsFilled: row[2] === 't',
    tornTransactions: BigInt(text(row, 3)),
    stopped: typeof row[4] === 'string' ? { code: row[4], cause: row[5] ?? '', remedy: row[6] ?? '', stoppedAt: row[7] ?? '' } : null,
  };
}

/** Gives a new version's schema and tables the rights that the serving one's of the same names have: readers keep theirs across a switch. */
export async function copyGrants(pool: Pool, from: string, to: string): Promise<void> {
  const rows = await queryText(
    pool,
    `SELECT format('GRANT %s ON SCHEMA %I TO %s', a.privilege_type, $2::text, coalesce(quote_ident(r.rolname), 'PUBLIC'))
       FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE n.nspname = $1 AND a.grantee <> n.nspowner
     UNION ALL
     SELECT format('GRANT %s ON %I.%I TO %s', a.privilege_type, $2::text, c.relname, coalesce(quote_ident(r.rolname), 'PUBLIC'))
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class other ON other.relname = c.relname AND other.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2)
            AND other.relkind = c.relkind,
            aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'm', 'p') AND a.grantee <> c.relowner`,
    [from, to],
  );
  for (const row of rows) await pool.query(text(row, 0));
}

/** Mirrors and views that are made in a new version from now on get the rights that they would get in the serving one: those with a new name too. */
export async function copyDefaultGrants(pool: Pool, from: string, to: string): Promise<void> {
  const rows = await queryText(
    pool,
    `SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT %s ON TABLES TO %s', $2::text, a.privilege_type, coalesce(quote_ident(r.rolname), 'PUBLIC'))
       FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace,
            aclexplode(d.defaclacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE n.nspname = $1 AND d.defaclobjtype = 'r' AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)`,
    [from, to],
  );
  for (const row of rows) await pool.query(text(row, 0));
}

/**
 * A next version has the mirrors of the one that serves, with their histories and indexes, empty. The versions of their columns have numbers of their own, so that what
 * was decoded for another version is never taken for this one's.
 */
export async function copyMirrors(pool: Pool, from: string, to: string): Promise<void> {
  const rows = await queryText(
    pool,
    `SELECT m.mirror_table, m.history FROM ${qualified(from, 'mirrored_tables')} m
      WHERE NOT EXISTS (SELECT FROM ${qualified(to, 'mirrored_tables')} n WHERE n.mirror_table = m.mirror_table)`,
  );
  for (const row of rows) {
    const table = text(row, 0);
    await inTransaction(pool, to, async (client) => {
      for (const name of [table, ...(row[1] === 't' ? [historyTable(table)] : [])])
        await client.query(`CREATE TABLE ${qualified(to, name)} (LIKE ${qualified(from, name)} INCLUDING ALL)`);
      await client.query(
        `INSERT INTO mirrored_tables (mirror_table, source_schema, source_table, deletes, history, follows, configured, made_at, columns_version)
         SELECT mirror_table, source_schema, source_table, deletes, history, follows, configured, made_at, (SELECT version * 100000 FROM model_version)
           FROM ${qualified(from, 'mirrored_tables')} WHERE mirror_table = $1`,
        [table],
      );
    });
  }
}

type DropOptions = {
  /** What users have made on it may be dropped with it. */
  readonly force?: boolean | undefined;
  readonly logger: Logger;
  readonly onWait?: ((what: string) => void) | undefined;
  readonly signal: AbortSignal;
};

/**
 * Its tables may be read still, by whoever began before it was switched away from: nobody else waits while that lasts.
 *
 * @throws CdcError READ_MODEL_VERSION_IN_USE, without `force`
 */
export async function dropVersion(pool: Pool, schema: string, { force = false, logger, onWait, signal }: DropOptions): Promise<void> {
  const waiting = (holders: string): void => {
    const what = `schema ${schema} waits to be dropped: ${holders}`;
    logger.info(what);
    onWait?.(what);
  };
  await untilUnlocked({ holders: () => holdersInSchema(pool, schema), onWait: waiting, signal }, async () => {
    // Names need their schemas: the transaction's own would be left out.
    const dependants = await dependantsOf(pool, schema);
    if (!force) refuseDependants(schema, dependants);
    await inTransaction(pool, schema, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${lockWait.readersMs}`);
      await client.query(`DROP SCHEMA ${escapeIdentifier(schema)} CASCADE`);
    });
    if (dependants.length > 0) logger.warn({ schema }, `dropped with the version: ${inWords(dependants)}`);
  });
}
