import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parseLossless } from '#change-events/index.ts';
import { applyConnector, deleteConnector, readConnectorFile } from '#connectors/index.ts';
import { comparable, member, rowOf } from '#test/support/comparable-schemas.ts';
import { removeTopics, testConnect } from '#test/support/connect.ts';
import { deleteTopicsOf } from '#test/support/kafka.ts';
import { mariadbSamples } from '#test/support/mariadb-samples.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { prepareMariadbConnector } from '#test/support/mariadb-connector.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { testRegistry, testRegistryConfig } from '#test/support/registry.ts';
import { readEvents } from '#test/support/schema-scene.ts';

const folder = join(import.meta.dirname, '..', '..', 'connectors');

/** What a connector file needs to write Avro: what legacy-orders-avro.json has over legacy-orders.json. */
async function avroSettings(): Promise<Readonly<Record<string, string>>> {
  const [plain, avro] = await Promise.all(
    ['legacy-orders.json', 'legacy-orders-avro.json'].map((file) => readConnectorFile(join(folder, file))),
  );
  return Object.fromEntries(Object.entries(avro?.config ?? {}).filter(([name, value]) => plain?.config[name] !== value));
}

/** Debezium cannot read a table that has an inet6. */
const types = Object.keys(mariadbSamples).filter((type) => type !== 'inet6');

/** Where the poller has what JSON has: digits in place of a decimal's bytes, the server's bytes in place of a struct. */
const otherwise = ['bigint unsigned', 'point'];

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('key and row of every type have the schemas that Debezium’s connector registers, but for two that are reported: names, order, types, parameters', async () => {
    const columns = types.map((type, index) => `c${index} ${type}${/null/.test(type) ? '' : `, n${index} ${type} NOT NULL`}`).join(', ');
    await using scene = await createMariadbScene(
      [
        "SET sql_mode = ''",
        'SET NAMES utf8mb4',
        `CREATE TABLE samples (id bigint AUTO_INCREMENT, code varchar(9), ${columns}, \`größe-1\` text,
          odd enum('it''s','a\\\\b',''',''','(5)'), several set('x','(1)'), PRIMARY KEY (id, code))`,
      ],
      { tables: [{ table: 'samples', mode: 'incrementing', incrementingColumn: 'id' }] },
    );
    const required = types.flatMap((type, index) => (/null/.test(type) ? [] : [[`n${index}`, mariadbSamples[type]?.[0]?.[0] ?? '']]));
    await scene.query(
      `INSERT INTO samples (code, ${required.map(([column]) => column).join(', ')}) VALUES ('a', ${required.map(([, value]) => value).join(', ')})`,
    );
    await using prepared = await prepareMariadbConnector(scene.database, ['samples'], await avroSettings());
    const [client, registry] = [await testConnect(), await testRegistry()];
    const { name } = prepared.file;
    assert.ok(scene.config.poller);
    const config = {
      ...scene.config,
      schemaRegistry: await testRegistryConfig(),
      poller: { ...scene.config.poller, format: 'avro' as const },
    };
    try {
      await applyConnector(client, prepared.file, { timeoutMs: 60_000 });
      await using poller = startTestPoller(config);
      const [ours, theirs] = [scene.topic('samples'), `${name}.${scene.database}.samples`];
      for (const topic of [ours, theirs]) {
        await eventually(
          () => readEvents(scene.kafka, topic),
          (events) => events.length > 0,
        );
      }
      await poller.stop();
      for (const kind of ['key', 'value'] as const) {
        const [our, their] = await Promise.all([ours, theirs].map((topic) => registry.version(`${topic}-${kind}`, 1)));
        assert.ok(our && their);
        const [a, b] = [parseLossless(our.schema), parseLossless(their.schema)];
        const [found, expected] = kind === 'key' ? [a, b] : [rowOf(a), rowOf(b)];
        const [ourFields, theirFields] = [member(comparable(found, ours), 'fields'), member(comparable(expected, theirs), 'fields')];
        assert.ok(Array.isArray(ourFields) && Array.isArray(theirFields));
        assert.equal(ourFields.length, theirFields.length);
        const differences = theirFields.flatMap((field, index) =>
          isDeepStrictEqual(ourFields[index], field) ? [] : [ourFields[index], field],
        );
        const others = kind === 'key' ? [] : otherwise.flatMap((type) => [`c${types.indexOf(type)}`, `n${types.indexOf(type)}`]);
        assert.deepEqual(
          differences.filter((field) => !others.some((column) => member(field, 'name') === column)),
          [],
        );
        assert.equal(differences.length, 2 * others.length, 'what is different on purpose is different');
      }
    } finally {
      if ((await client.config(name)) !== null) await deleteConnector(client, name, undefined, { forgetPosition: true });
      await removeTopics(name);
      await deleteTopicsOf(scene.name);
    }
  });
});
