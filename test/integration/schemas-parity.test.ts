import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLossless } from '#change-events/index.ts';
import { comparable, member, rowOf } from '#test/support/comparable-schemas.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteTopicsOf, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { testRegistry } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';
import { typeSamples } from '#test/support/value-samples.ts';

test('key and row of every type have the schemas that the connector registers through the Avro converter: names, order, types, parameters', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const columns = typeSamples.map(({ type }, index) => `c${index} ${type}, n${index} ${type} NOT NULL`).join(', ');
  await database.query(`
    CREATE TYPE mood AS ENUM ('happy', 'so so'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE samples (id bigserial, code uuid, kind mood, price numeric(8,2), ${columns}, at timestamptz NOT NULL DEFAULT now(), "größe-1" text, "2nd" xml, label text DEFAULT 'none',
      total int NOT NULL DEFAULT 3, short varchar(7) NOT NULL DEFAULT 'a', clock time(2), span interval, wide timestamp(0), moods text[] NOT NULL DEFAULT '{}', PRIMARY KEY (code, id, kind, price));
    INSERT INTO samples (code, kind, price, ${typeSamples.map((_, index) => `n${index}`).join(', ')})
      VALUES (gen_random_uuid(), 'happy', 1, ${typeSamples.map(({ values }) => values[0]).join(', ')});
    GRANT SELECT ON samples TO cdc_poller;`);
  const [kafka, registry] = [await testKafka(), await testRegistry()];
  const name = uniqueName('parity');
  const tables = [{ table: 'public.samples', timestampColumn: 'at', incrementingColumn: 'id' }];
  const config = await testPipelineConfig(database, { name, format: 'avro', tables });
  await using connector = await startTestConnector({ database, tables: ['public.samples'], file: 'legacy-orders-avro.json' });
  {
    await using poller = startTestPoller(config);
    await untilPublished(kafka, config, database);
    await poller.stop();
  }
  await connector.streaming();
  const [ours, theirs] = [`${name}.public.samples`, connector.topic('public.samples')];
  for (const kind of ['key', 'value'] as const) {
    // The snapshot's: the stream calls a serial by its plain type.
    const [our, their] = [await registry.version(`${ours}-${kind}`, 1), await registry.version(`${theirs}-${kind}`, 1)];
    assert.ok(our !== null && their !== null);
    const [a, b] = [parseLossless(our.schema), parseLossless(their.schema)];
    const [rowA, rowB] = kind === 'key' ? [a, b] : [rowOf(a), rowOf(b)];
    const [found, expected] = [comparable(rowA, ours), comparable(rowB, theirs)];
    const [ourFields, theirFields] = [member(found, 'fields'), member(expected, 'fields')];
    assert.ok(Array.isArray(ourFields) && Array.isArray(theirFields) && theirFields.length > 3);
    for (const [index, field] of theirFields.entries()) assert.deepEqual(ourFields[index], field);
    assert.deepEqual(found, expected);
  }
  await deleteTopicsOf(name);
});
