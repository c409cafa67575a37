import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewSchema } from '#change-events/index.ts';
import { avroValueSchema } from '#cdc-poller/schemas/avro-schema.ts';
import { jsonValueSchema } from '#cdc-poller/schemas/json-schema.ts';
import { tableFields } from '#cdc-poller/schemas/table-fields.ts';
import { readCatalog } from '#cdc-poller/postgres/catalog.ts';
import { readColumnDetails } from '#cdc-poller/postgres/column-details.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { openSourceSession } from '#cdc-poller/postgres/session.ts';
import { shapeOf } from '#cdc-poller/source/table/table-shape.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testRegistry } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';

/** The table of docs/schemas.md, How to evolve a table: the change, and whether Avro and JSON Schema take it at the level BACKWARD. */
const changes: readonly (readonly [sql: string, avro: boolean, json: boolean])[] = [
  ['ADD COLUMN a text', true, true],
  ["ADD COLUMN a text DEFAULT 'x'", true, true],
  ["ADD COLUMN a text NOT NULL DEFAULT 'x'", true, true],
  ["ADD COLUMN a numeric(10,2) NOT NULL DEFAULT 'NaN'", true, true],
  ["ADD COLUMN a bytea NOT NULL DEFAULT '\\x01ff'", true, true],
  ["ADD COLUMN a int[] NOT NULL DEFAULT '{}'", true, true],
  ['ADD COLUMN a timestamptz NOT NULL DEFAULT now()', false, false],
  ['DROP COLUMN note', true, false],
  ['RENAME COLUMN note TO remark', true, false],
  ['RENAME COLUMN name TO title', false, false],
  ['ALTER COLUMN name DROP NOT NULL', true, true],
  // A quirk of Apicurio's comparison of numbers.
  ['ALTER COLUMN number DROP NOT NULL', true, false],
  ['ALTER COLUMN note SET NOT NULL', false, false],
  ['ALTER COLUMN number TYPE bigint', true, true],
  ['ALTER COLUMN half TYPE double precision', true, true],
  ['ALTER COLUMN short TYPE text', true, true],
  ['ALTER COLUMN price TYPE numeric(20,4)', true, true],
  ['ALTER COLUMN code TYPE uuid USING code::uuid', true, true],
  ['ALTER COLUMN number TYPE text', false, false],
  ['ALTER COLUMN wide TYPE int', false, true],
  ["ALTER COLUMN name SET DEFAULT 'x'", true, true],
];

test('what a subject at the level BACKWARD takes of the changes of a table, as docs/schemas.md says', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const made = `CREATE TABLE things (id bigserial PRIMARY KEY, name text NOT NULL, note text, number int NOT NULL, half real, short varchar(10), price numeric(10,2), code text,
    wide bigint NOT NULL, updated_at timestamptz NOT NULL); GRANT SELECT ON things TO cdc_poller`;
  await database.query(made);
  await using session = await openSourceSession(database.config, 'test evolution', 10_000);
  const table = pollerTableSchema.parse({ table: 'public.things' });
  const registry = await testRegistry();
  const subject = uniqueName('evolution');
  const derive = async (): Promise<Readonly<Record<'avro' | 'json', NewSchema>>> => {
    const shape = shapeOf(await readCatalog(session, table), table, '', postgres.words);
    const details = await readColumnDetails(session, shape);
    const fields = tableFields(shape, details, postgres.fieldTypes, postgres.encodeColumn).row.map(({ field }) => field);
    return {
      avro: { schemaType: 'AVRO', schema: avroValueSchema(subject, fields) },
      json: { schemaType: 'JSON', schema: jsonValueSchema(subject, fields) },
    };
  };
  for (const [format, schema] of Object.entries(await derive())) {
    await registry.register(`${subject}-${format}`, schema);
    await registry.setCompatibility(`${subject}-${format}`, 'BACKWARD');
  }
  const found: unknown[] = [];
  for (const [sql] of changes) {
    await database.query(`ALTER TABLE things ${sql}`);
    const { avro, json } = await derive();
    const [refusedAvro, refusedJson] = [await registry.check(`${subject}-avro`, avro), await registry.check(`${subject}-json`, json)];
    found.push([sql, refusedAvro.length === 0, refusedJson.length === 0]);
    await database.query(`DROP TABLE things; ${made}`);
  }
  assert.deepEqual(found, changes);
});
