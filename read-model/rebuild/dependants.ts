import { CdcError } from '#pipeline/index.ts';
import { queryText, text, type Database } from '../database.ts';

/**
 * What users have made on a version's schema: a drop of the schema would take it along without a word. Outside the schema that is a view, a
 * foreign key, a function, a default, a column; inside it all but tables, which are the version's. What is part of a table (an index, a
 * trigger, a policy) goes with it and is not named. In Postgres' own words: `view public.totals`.
 */
export async function dependantsOf(database: Database, schema: string): Promise<readonly string[]> {
  const rows = await queryText(database, dependantsQuery, [schema]);
  return rows.map((row) => text(row, 0));
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
 * Down from the schema to all that a cascade would reach, as the server does it: from an object to what depends on it, and from an internal part (the rule of
 * a view) to what it is a part of. Of a table one column may be meant alone.
 */
const dependantsQuery = `
  WITH RECURSIVE doomed AS (
    SELECT 'pg_namespace'::regclass::oid AS class, oid AS object, 0 AS part FROM pg_namespace WHERE nspname = $1
    UNION
    SELECT reached.* FROM doomed o, LATERAL (
      SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
       WHERE d.refclassid = o.class AND d.refobjid = o.object AND o.part IN (0, d.refobjsubid)
      UNION ALL
      SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
       WHERE d.classid = o.class AND d.objid = o.object AND o.part IN (0, d.objsubid) AND d.deptype = 'i'
    ) AS reached
  )
  SELECT DISTINCT pg_describe_object(o.class, o.object, o.part) COLLATE "C" AS described FROM doomed o
   WHERE o.class <> 'pg_namespace'::regclass
     AND NOT EXISTS (
       SELECT FROM pg_depend d JOIN doomed whole ON (whole.class, whole.object) = (d.refclassid, d.refobjid) AND whole.part IN (0, d.refobjsubid)
        WHERE d.classid = o.class AND d.objid = o.object AND o.part IN (0, d.objsubid) AND d.deptype IN ('a', 'i', 'P', 'S')
     )
     AND NOT EXISTS (
       SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE o.class = 'pg_class'::regclass AND c.oid = o.object AND n.nspname = $1 AND c.relkind IN ('r', 'p', 'S')
     )
   ORDER BY 1`;
