import { escapeLiteral } from 'pg';
import * as z from 'zod';
import { avroByteValueOf } from './values/avro-byte-values.ts';
import { byteValueOf } from './values/byte-values.ts';
import { postgresAvroValue } from './values/avro-values.ts';
import { encoderFor } from './values/value-encoders.ts';
import { keyText } from './values/key-text.ts';
import { postgresDeclared, postgresFieldType } from './values/schema-fields.ts';
import { readCatalog, readServerIdentity } from './catalog.ts';
import { readColumnDetails } from './column-details.ts';
import type { Dialect, PageQuery } from '../source/dialect.ts';
import { extensionType, postgresMirrorType, writtenAsBytes, writtenAsStructure } from './mirror-type.ts';
import { copyQuery, endsQuery, highestIdQuery, pageQuery } from './page-query.ts';
import { openSourceSession } from './session.ts';
import { readWatch, watchSql } from './table-watch.ts';
import { postgresWords } from './words.ts';

export const postgres: Dialect = {
  openSession: async (...where) => ({ ...(await openSourceSession(...where)), dialect: postgres }),
  readIdentity: ({ query }) => readServerIdentity(query),
  readCatalog,
  listTables: ({ query }) => query(tablesQuery),
  pageQuery: usersPageQuery,
  bytes: { copyQuery, endsQuery, valueOf: ({ type }) => byteValueOf(type), avroValueOf: ({ type }, field) => avroByteValueOf(type, field) },
  highestIdQuery,
  watchSql,
  readWatch,
  estimateRows,
  encodeColumn: ({ type }) => encoderFor(type),
  keyText: ({ type }) => keyText(type),
  readColumnDetails,
  fieldTypes: {
    typeOf: postgresFieldType,
    declaredAs: postgresDeclared,
    avroValue: ({ type }, field) => postgresAvroValue(type, field),
  },
  mirrorType: postgresMirrorType,
  writtenAsBytes,
  writtenAsStructure,
  extensionType,
  literal: ({ sqlType }, text) => `${escapeLiteral(text)}::${sqlType}`,
  words: postgresWords,
};

function usersPageQuery(...[shape, pass, limit]: Parameters<Dialect['pageQuery']>): PageQuery {
  return { ...pageQuery(shape, pass, limit), isUsers: shape.query !== null };
}

const tablesQuery = `
  SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  ORDER BY 1, 2`;

/** The plan of a page: below its LIMIT are subqueries of its own and, as `Outer`, all that it is cut from. */
const planSchema = z.tuple([
  z.object({ Plan: z.object({ Plans: z.array(z.object({ 'Parent Relationship': z.string(), 'Plan Rows': z.number() })) }) }),
]);

/** EXPLAIN runs nothing: the planner says how many rows the load would give without its LIMIT. Null when it does not. */
async function estimateRows(...[source, shape, pass, pageRows]: Parameters<Dialect['estimateRows']>): Promise<number | null> {
  const page = usersPageQuery(shape, pass, pageRows);
  const explained = { ...page, text: `EXPLAIN (FORMAT JSON) ${page.text}` };
  const lines = await (source.explain?.(explained) ?? source.query(explained.text, explained.values));
  const plan = planSchema.safeParse(JSON.parse(lines[0]?.[0] ?? 'null'));
  if (!plan.success) return null;
  return plan.data[0].Plan.Plans.find((part) => part['Parent Relationship'] === 'Outer')?.['Plan Rows'] ?? null;
}
