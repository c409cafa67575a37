import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { stringifyLossless } from '#change-events/index.ts';
import { readToEnd } from '#kafka/index.ts';
import { deleteTopicsOf } from '#test/support/kafka.ts';
import { createMariadbScene, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { mariadbSamples } from '#test/support/mariadb-samples.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { rawMember } from '#test/support/raw-json.ts';
import { eventually } from '#test/support/read-database.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { readEvents } from '#test/support/schema-scene.ts';

const types = Object.entries(mariadbSamples);
const depth = Math.max(...types.map(([, samples]) => samples.length));
/** The id and the JSON text of each column's value: the last one again where a column has fewer. */
const expected = Array.from({ length: depth }, (_, at) => types.map(([, samples]) => samples[Math.min(at, samples.length - 1)]?.[1] ?? ''));

/** A poller of the same tables in Avro: what is read from it is what JSON has, but for numbers that no long holds. */
async function assertAvro(scene: MariadbScene): Promise<void> {
  const { config, kafka, name, database } = scene;
  const { poller } = config;
  assert.ok(poller !== undefined);
  const avro = {
    ...config,
    schemaRegistry: await testRegistryConfig(),
    poller: { ...poller, name: `${name}-avro`, topicPrefix: `${name}-avro`, format: 'avro' as const },
  };
  await using running = startTestPoller(avro);
  for (const table of ['samples', 'shown', 'chosen']) {
    const events = await eventually(
      () => readEvents(kafka, `${name}-avro.${database}.${table}`),
      (found) => found.length >= depth,
    );
    const plain = new Map((await readEvents(kafka, scene.topic(table))).map(({ key, event }) => [key?.['id'], event?.after]));
    assert.equal(plain.size, depth);
    for (const { key, event } of events) {
      const row = plain.get(key?.['id']);
      for (const [index, [type]] of types.entries()) {
        const [is, json] = [event?.after?.[`c${index}`], row?.[`c${index}`]];
        const expectedValue = type === 'bigint unsigned' ? stringifyLossless(json ?? null) : json;
        assert.deepEqual(is, expectedValue, `${table}: ${type}, row ${stringifyLossless(key)}`);
      }
    }
  }
  await running.stop();
  await deleteTopicsOf(`${name}-avro`);
}

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('every type: no digit is lost, and values have the forms of Debezium, from a table, a view and a query', async () => {
    const columns = types.map(([type], index) => `c${index} ${type}`).join(', ');
    await using scene = await createMariadbScene(
      // Zero dates want a session that lets them in; its time zone is not the poller's.
      [
        "SET sql_mode = ''",
        "SET time_zone = '+03:00'",
        'SET NAMES utf8mb4',
        `CREATE TABLE samples (id int PRIMARY KEY AUTO_INCREMENT, ${columns})`,
        'CREATE VIEW shown AS SELECT * FROM samples',
      ],
      {
        tables: [
          { table: 'samples', mode: 'incrementing' },
          { table: 'shown', mode: 'bulk', key: ['id'], pollIntervalMs: 60_000 },
          { table: 'chosen', mode: 'bulk', query: 'SELECT * FROM samples', key: ['id'], pollIntervalMs: 60_000 },
        ],
      },
    );
    for (let at = 0; at < depth; at += 1) {
      const values = types.map(([, samples]) => samples[Math.min(at, samples.length - 1)]?.[0] ?? 'NULL');
      await scene.query(`INSERT INTO samples VALUES (DEFAULT, ${values.join(', ')})`);
    }
    await using poller = startTestPoller(scene.config);
    for (const table of ['samples', 'shown', 'chosen']) {
      await scene.until(table, (events) => events.length >= depth, `${depth} rows`);
      const found: string[][] = [];
      await readToEnd(scene.kafka, scene.topic(table), ({ value }) => {
        const after = value === null ? undefined : rawMember(value.toString(), 'after');
        if (after === undefined) return;
        found[Number(rawMember(after, 'id')) - 1] = types.map((_, index) => rawMember(after, `c${index}`) ?? 'missing');
      });
      for (const [at, row] of expected.entries()) {
        for (const [index, json] of row.entries()) {
          const [type = ''] = types[index] ?? [];
          // What a query gives has no NOT NULL, and so null for a date that is none.
          const is = table === 'chosen' && type.includes('not null') ? 'null' : json;
          assert.equal(found[at]?.[index], is, `${table}: ${type}, value ${at + 1}`);
        }
      }
    }
    await poller.stop();
    await assertAvro(scene);
  });
});
