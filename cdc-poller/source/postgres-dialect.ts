import * as z from 'zod';
import { postgresAvroValue } from '../encoding/avro-values.ts';
import { encodePostgresColumn } from '../encoding/event-encoder.ts';
import { postgresDeclared, postgresFieldType } from '../schemas/postgres-fields.ts';
import { readCatalog, readServerIdentity } from './catalog.ts';
import { readColumnDetails } from './column-details.ts';
import type { Dialect } from './dialect.ts';
import { highestIdQuery, pageQuery } from './page-query.ts';
import { openSourceSession } from './source-session.ts';
import { readWatch, watchSql } from './table-watch.ts';
import { postgresWords } from './words.ts';

export const postgres: Dialect = {
  openSession: async (...where) => ({ ...(await openSourceSession(...where)), dialect: postgres }),
  readIdentity: ({ query }) => readServerIdentity(query),
  readCatalog,
  listTables: ({ query }) => query(tablesQuery),
  pageQuery,
  highestIdQuery,
  watchSql,
  readWatch,
  estimateRows,
  encodeColumn: encodePostgresColumn,
  readColumnDetails,
  fieldTypes: {
    typeOf: postgresFieldType,
    declaredAs: postgresDeclared,
    avroValue: ({ type }, field) => postgresAvroValue(type, field),
  },
  words: postgresWords,
};

/** Names with a dot cannot be written as schema.table. */
const tablesQuery = `
  SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND strpos(n.nspname || c.relname, '.') = 0
  ORDER BY 1, 2`;

/** The plan of a page: below its LIMIT are subqueries of its own and, as `Outer`, all that it is cut from. */
const planSchema = z.tuple([
  z.object({ Plan: z.object({ Plans: z.array(z.object({ 'Parent Relationship': z.string(), 'Plan Rows': z.number() })) }) }),
]);

/** EXPLAIN runs nothing: the planner says how many rows the load would give without its LIMIT. Null when it does not. */
async function estimateRows(...[{ query }, shape, pass, pageRows]: Parameters<Dialect['estimateRows']>): Promise<number | null> {
  const { text, values } = pageQuery(shape, pass, pageRows);
  const lines = await query(`EXPLAIN (FORMAT JSON) ${text}`, values);
  const plan = planSchema.safeParse(JSON.parse(lines[0]?.[0] ?? 'null'));
  if (!plan.success) return null;
  return plan.data[0].Plan.Plans.find((part) => part['Parent Relationship'] === 'Outer')?.['Plan Rows'] ?? null;
}
