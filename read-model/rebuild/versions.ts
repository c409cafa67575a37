import { escapeLiteral, type Pool } from 'pg';
import { queryText, qualified, text, type Database } from '../database.ts';

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
  readonly serves: boolean;
};

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
    `SELECT version, projections, views_filled, torn_transactions FROM ${qualified(schema, 'model_version')}`,
  );
  if (row === undefined) throw new TypeError(`schema ${schema} has no version`);
  return {
    schema,
    version: Number(row[0]),
    projections: text(row, 1),
    viewsFilled: row[2] === 't',
    tornTransactions: BigInt(text(row, 3)),
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

/** Mirrors that were added beside those of sql/ (a table and its row in mirrored_tables) are part of the next version too, empty. */
export async function copyOwnMirrors(pool: Pool, from: string, to: string): Promise<void> {
  const rows = await queryText(
    pool,
    `SELECT format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', quote_ident(${escapeLiteral(to)}) || '.' || quote_ident(m.mirror_table),
                   quote_ident(${escapeLiteral(from)}) || '.' || quote_ident(m.mirror_table)), m.mirror_table
       FROM ${qualified(from, 'mirrored_tables')} m
      WHERE NOT EXISTS (SELECT FROM ${qualified(to, 'mirrored_tables')} n WHERE n.mirror_table = m.mirror_table)`,
  );
  for (const row of rows) {
    await pool.query(text(row, 0));
    await pool.query(
      `INSERT INTO ${qualified(to, 'mirrored_tables')} (mirror_table, source_schema, source_table, columns_version)
       SELECT mirror_table, source_schema, source_table, (SELECT version * 100000 FROM ${qualified(to, 'model_version')})
         FROM ${qualified(from, 'mirrored_tables')} WHERE mirror_table = $1`,
      [text(row, 1)],
    );
  }
}
