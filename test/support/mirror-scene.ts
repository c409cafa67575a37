import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';
import { testPipelineConfig } from './pipeline-config.ts';
import type { ReadDatabase } from './read-database.ts';
import { uniqueName } from './stack.ts';

/** A folder without projections. */
export const nowhere = '/nowhere';

/** A schema of somebody's own, with what schemas have. */
export const ddl = `
  CREATE SCHEMA "Sales Dept"; CREATE TYPE mood AS ENUM ('so so', 'good'); CREATE DOMAIN percent AS numeric(5,2);
  CREATE TABLE "Sales Dept"."Order Lines" ("Order No" integer, "Line" smallint, price percent, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("Order No", "Line"));
  CREATE TABLE people (id uuid PRIMARY KEY, name varchar(20), mood mood, tags text[], moods mood[], doubled int GENERATED ALWAYS AS (2 * age) STORED, age int,
                       secret text, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE parts (id bigint, day date, note text, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE TABLE later (id bigserial PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
  GRANT USAGE ON SCHEMA "Sales Dept" TO cdc_poller; GRANT SELECT ON ALL TABLES IN SCHEMA "Sales Dept", public TO cdc_poller;
  INSERT INTO "Sales Dept"."Order Lines" VALUES (1, 1, 12.5), (1, 2, NULL);
  INSERT INTO people (id, name, mood, tags, moods, age, secret) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'Zoë', 'so so', '{a,NULL}', '{good,"so so"}', 21, 'x');
  INSERT INTO parts VALUES (1, '2026-05-01', 'p'); INSERT INTO later (note) VALUES ('early'), ('bird');`;

export const timed = (table: string, incrementingColumn: string, more: object = {}): { table: string; [setting: string]: unknown } => ({
  table,
  mode: 'timestamp',
  incrementingColumn,
  ...more,
});

export async function configOf(
  database: LegacyDatabase,
  read: ReadDatabase,
  tables: readonly { table: string }[],
  model: object = {},
): Promise<PipelineConfig> {
  const name = uniqueName('mirrors');
  const config = await testPipelineConfig(database, { name, pollIntervalMs: 50, tables });
  return pipelineSchema.parse({ ...config, readModel: { ...read.config, models: { m: { topicPrefix: name, groupId: name, ...model } } } });
}

export const people = timed('public.people', 'id', { excludeColumns: ['secret'], mask: { name: 'null' } });

export const reading = (config: PipelineConfig): ReturnType<typeof startReadModel> =>
  startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
