import { CdcError } from '#pipeline/index.ts';
import { queryText, text, type Database } from '../database.ts';

/**
 * What users have made on a version's schema: a drop of the schema would take it along without a word. Outside the schema that is a view, a
 * foreign key, a function, a default, a column; inside it all but tables, which are the version's. What is part of a table (an index, a
 * trigger, a policy) goes with it and is not named. In Postgres' own words: `view public.totals`.
 */
export async function dependantsOf(database: Database, schema: string): Promise<readonly string[]> {
  const rows = await queryText(database, dependantsQuery, [schema, null]);
  return rows.map((row) => text(row, 0));
}

/** What users have made on tables of a schema, and how to take it away. */
export type Dependant = {
  /** In Postgres' own words, with schema: `view public.totals`. */
  readonly name: string;
  /** SQL; null for what is no view, constraint or function. */
  readonly drop: string | null;
};

/**
 * What a drop of single tables would be refused for, what was made last first. Within a transaction: names are given with their schema, whatever its search path.
 */
export async function dependantsOfTables(database: Database, schema: string, tables: readonly string[]): Promise<readonly Dependant[]> {
  const [path] = await queryText(database, "SELECT current_setting('search_path')");
  await database.query("SET LOCAL search_path = ''");
  const rows = await queryText(database, dependantsQuery, [schema, tables]);
  await database.query("SELECT set_config('search_path', $1, true)", [path?.[0] ?? '']);
  return rows.map((row) => ({ name: text(row, 0), drop: row[1] ?? null }));
}

const namedAtMost = 20;

/** `view public.totals, function public.f() and 3 more` */
export function inWords(dependants: readonly string[]): string {
  const more = dependants.length - namedAtMost;
  return dependants.slice(0, namedAtMost).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** @throws CdcError READ_MODEL_VERSION_IN_USE when there are any */
export function refuseDependants(schema: string, dependants: readonly string[]): void {
  if (dependants.length === 0) return;
  throw new CdcError('READ_MODEL_VERSION_IN_USE', `schema ${schema} cannot be dropped without ${inWords(dependants)}`);
}

/**
 * Down from the schema (or from tables of it, where `$2` names some) to all that a cascade would reach, as the server does it: from an object to what depends on it, and from an internal part (the rule of
 * a view) to what it is a part of. Of a table one column may be meant alone.
 */
const dependantsQuery = `
  WITH RECURSIVE doomed AS (
    SELECT 'pg_namespace'::regclass::oid AS class, oid AS object, 0 AS part FROM pg_namespace WHERE nspname = $1 AND $2::name[] IS NULL
    UNION
    SELECT 'pg_class'::regclass, c.oid, 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY ($2::name[])
    UNION
    SELECT reached.* FROM doomed o, LATERAL (
      SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
       WHERE d.refclassid = o.class AND d.refobjid = o.object AND o.part IN (0, d.refobjsubid)
      UNION ALL
      SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
       WHERE d.classid = o.class AND d.objid = o.object AND o.part IN (0, d.objsubid) AND d.deptype = 'i'
    ) AS reached
  )
  SELECT described, dropped FROM (
    SELECT DISTINCT pg_describe_object(o.class, o.object, o.part) COLLATE "C" AS described, o.object, CASE
        WHEN i.type IN ('view', 'materialized view', 'function', 'procedure', 'aggregate') THEN format('DROP %s %s', upper(i.type), i.identity)
        WHEN i.type = 'table constraint'
          THEN (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', x.conrelid::regclass, x.conname) FROM pg_constraint x WHERE x.oid = o.object)
      END AS dropped
      FROM doomed o, pg_identify_object(o.class, o.object, o.part) AS i
   WHERE o.class <> 'pg_namespace'::regclass
     AND NOT EXISTS (
       SELECT FROM pg_depend d JOIN doomed whole ON (whole.class, whole.object) = (d.refclassid, d.refobjid) AND whole.part IN (0, d.refobjsubid)
        WHERE d.classid = o.class AND d.objid = o.object AND o.part IN (0, d.objsubid) AND d.deptype IN ('a', 'i', 'P', 'S')
     )
     AND NOT EXISTS (
       SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE o.class = 'pg_class'::regclass AND c.oid = o.object AND n.nspname = $1 AND c.relkind IN ('r', 'p', 'S')
          AND ($2::name[] IS NULL OR c.relname = ANY ($2::name[]))
     )
  ) AS found
   ORDER BY CASE WHEN $2::name[] IS NOT NULL THEN object END DESC, described`;
