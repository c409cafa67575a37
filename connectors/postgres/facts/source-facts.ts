import * as z from 'zod';
import type { Client } from 'pg';
import { publishableQuery, publishableTables, type PublishableTable, type RelationName } from './published-facts.ts';
import type { SourceRequest } from '../source-change.ts';

const publication = z.object({
  viaRoot: z.boolean(),
  stored: z.boolean(),
  updates: z.boolean(),
  deletes: z.boolean(),
  everything: z.boolean(),
});
const helper = z.object({ exists: z.boolean(), published: z.boolean() });
const factsSchema = z.object({
  version: z.number(),
  database: z.string(),
  role: z.boolean(),
  publication: publication.nullable(),
  schema: z.boolean(),
  heartbeat: helper,
  signal: helper,
});
const rightsSchema = z.object({
  connects: z.boolean(),
  schemas: z.array(z.object({ name: z.string(), used: z.boolean() })),
  tables: z.array(z.object({ schema: z.string(), table: z.string(), read: z.boolean() })),
  beats: z.boolean(),
  signals: z.boolean(),
});

/** What prepare has to know of a source. */
export type SourceFacts = z.output<typeof factsSchema> & {
  readonly tables: readonly PublishableTable[];
  /** Null: the replicator's role does not exist. */
  readonly rights: z.output<typeof rightsSchema> | null;
};

const helperOf = (name: string): string => `json_build_object('exists', to_regclass('cdc.${name}') IS NOT NULL,
  'published', EXISTS (SELECT FROM pg_publication_tables WHERE pubname = $1 AND schemaname = 'cdc' AND tablename = '${name}'))`;

const factsQuery = `SELECT json_build_object(
  'version', current_setting('server_version_num')::int / 10000, 'database', current_database(),
  'role', EXISTS (SELECT FROM pg_roles WHERE rolname = $2),
  'publication', (SELECT json_build_object('viaRoot', pubviaroot, 'stored', coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's', 'updates', pubupdate,
    'deletes', pubdelete, 'everything', puballtables) FROM pg_publication p WHERE pubname = $1),
  'schema', to_regnamespace('cdc') IS NOT NULL, 'heartbeat', ${helperOf('heartbeat')}, 'signal', ${helperOf('signal')}) AS facts`;

const rightsQuery = `SELECT json_build_object(
  'connects', has_database_privilege($2::name, current_database(), 'CONNECT'),
  'schemas', (SELECT coalesce(json_agg(json_build_object('name', nspname, 'used', has_schema_privilege($2::name, oid, 'USAGE')) ORDER BY nspname), '[]')
    FROM pg_namespace WHERE nspname = 'cdc' OR nspname IN (SELECT schema FROM json_to_recordset($1::json) AS w(schema text))),
  'tables', (SELECT coalesce(json_agg(json_build_object('schema', nspname, 'table', relname, 'read', has_table_privilege($2::name, c.oid, 'SELECT'))), '[]')
    FROM json_to_recordset($1::json) AS w(schema text, "table" text) JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w."table"),
  'beats', coalesce(has_column_privilege($2::name, to_regclass('cdc.heartbeat')::oid, 'beat_at', 'UPDATE'), false),
  'signals', coalesce(has_table_privilege($2::name, to_regclass('cdc.signal')::oid, 'INSERT'), false)) AS facts`;

const heartbeat: RelationName = { schema: 'cdc', table: 'heartbeat' };

/** As the owner, in a session whose search_path is empty. Changes nothing. */
export async function readSourceFacts(
  client: Client,
  { tables, publication: name, replicator }: SourceRequest,
  role: string,
): Promise<SourceFacts> {
  const ask = async (sql: string, values: readonly unknown[]): Promise<unknown> => {
    const { rows } = await client.query<unknown[]>({ text: sql, values: [...values], rowMode: 'array' });
    return rows[0]?.[0];
  };
  const { rows } = await client.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version");
  const facts = factsSchema.parse(await ask(factsQuery, [name, replicator]));
  const found = publishableTables.parse(await ask(publishableQuery(rows[0]?.version ?? 0), [JSON.stringify(tables), [], role]));
  const rights = facts.role ? rightsSchema.parse(await ask(rightsQuery, [JSON.stringify([...tables, heartbeat]), replicator])) : null;
  return { ...facts, tables: found, rights };
}
