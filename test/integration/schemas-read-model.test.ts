import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder, frameOf, type ChangeEvent } from '#change-events/index.ts';
import { readToEnd } from '#kafka/index.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { upsert } from '#test/support/order-events.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { halted } from '#test/support/read-model-orders.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { registryProxy, testRegistry, testRegistryConfig } from '#test/support/registry.ts';
import { repeat } from '#test/support/repeat.ts';
import { assertMirror, createSamples, insertSamples, lostByContract, lostByDebezium, sampleRows } from '#test/support/samples-table.ts';
import { uniqueName } from '#test/support/stack.ts';
import { typeSamples } from '#test/support/value-samples.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

function select(schema: string): string {
  return `SELECT id, name, price::text, note FROM ${schema}.wares ORDER BY id`;
}

/** SQL that changes wares so that a poll sees it. */
function change(what: string, ids: string): string {
  return `UPDATE wares SET name = name || ' ${what}', updated_at = clock_timestamp() WHERE id IN (${ids})`;
}

test('a topic of JSON, of Avro before and after a column came, and of JSON Schema: the mirror is the source, live and read again', async () => {
  const schemaRegistry = await testRegistryConfig();
  const registry = await testRegistry();
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE wares (id bigserial PRIMARY KEY, name text NOT NULL, price numeric(20,4), updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    GRANT SELECT ON wares TO cdc_poller`);
  const name = uniqueName('mixed');
  const topic = `${name}.public.wares`;
  const publish = async (format: string, sql: string): Promise<void> => {
    await database.query(sql);
    const config = await testPipelineConfig(database, { name, format, tables: [{ table: 'public.wares' }] });
    await using poller = startTestPoller(config);
    await Promise.race([untilPublished(kafka, config, database), poller.ended]);
    await poller.stop();
  };
  const mirrored = async (): Promise<ReadModelFixture> => {
    const model = await createReadModel({ prefix: name, topics: false, schemaRegistry });
    await model.read.query(`
      CREATE TABLE model.wares (id bigint PRIMARY KEY, name text, price numeric, updated_at timestamptz, _lsn bigint);
      INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('wares', 'public', 'wares')`);
    return model;
  };
  const untilEqual = async (model: ReadModelFixture): Promise<void> => {
    const source = await database.query(select('public'));
    const mirror = await eventually(
      () => model.read.query(select('model')).catch(() => []),
      (rows) => JSON.stringify(rows) === JSON.stringify(source),
    );
    assert.deepEqual(mirror, source);
  };

  await using live = await mirrored();
  await using running = await live.start();
  await publish('json', `INSERT INTO wares (name, price) SELECT 'ware ' || i, i + 0.1234 FROM generate_series(1, 12) i`);
  await publish('avro', `${change('avro', '1, 2, 3, 4, 5, 6')}; INSERT INTO wares (name, price) VALUES ('new in avro', NULL)`);
  await publish(
    'avro',
    `ALTER TABLE wares ADD COLUMN note text; UPDATE wares SET note = 'v2', updated_at = clock_timestamp() WHERE id IN (3, 4, 7)`,
  );
  // Avro and JSON Schema do not go together under one subject: another writer's JSON Schema has its own.
  const id = await registry.register(`${topic}-other`, {
    schemaType: 'JSON',
    schema: JSON.stringify({ $schema: 'http://json-schema.org/draft-07/schema#', title: topic, type: 'object' }),
  });
  const [row] = await database.query(`${change('json schema', '5')} RETURNING id::text, name, price::text, note`);
  const framed = (message: { key: unknown; value: unknown }) => ({
    key: Buffer.concat([frameOf(id), Buffer.from(String(message.key))]),
    partitionKey: String(message.key),
    value: Buffer.concat([frameOf(id), Buffer.from(String(message.value))]),
  });
  await live.send('wares', [framed(upsert('wares', { id: 5, name: row?.['name'] ?? '', price: row?.['price'] ?? '', note: null }, 'u'))]);
  await untilEqual(live);
  await running[Symbol.asyncDispose]();

  assert.equal((await registry.versions(`${topic}-value`)).length, 2, 'two schemas under contract');
  await using fresh = await mirrored();
  await using again = await fresh.start();
  await untilEqual(fresh);
  assert.deepEqual(await fresh.read.query('SELECT cause FROM model.parked_events'), []);
  void again;
});

test('every type and edge value in Avro, by the connector (in whole source transactions) and by the poller: mirrors hold what the source holds', async () => {
  const schemaRegistry = await testRegistryConfig();
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createSamples(database);
  await insertSamples(database, 'loaded');
  const name = uniqueName('avro_parity');
  const config = await testPipelineConfig(database, { name, format: 'avro', tables: [{ table: 'public.samples' }] });
  await using connector = await startTestConnector({ database, file: 'legacy-orders-avro.json', tables: ['public.samples'] });
  await using poller = startTestPoller(config);
  await connector.streaming();
  await untilPublished(kafka, config, database);
  await insertSamples(database, 'streamed');
  await untilPublished(kafka, config, database);
  await poller.stop();
  await assertMirror(database, name, lostByContract, { schemaRegistry });
  await assertMirror(
    database,
    connector.prefix,
    { ...lostByContract, ...lostByDebezium },
    { schemaRegistry, settings: { consistency: 'transaction' } },
  );

  const decoder = eventDecoder(pipelineSchema.shape.schemaRegistry.parse(schemaRegistry));
  const afterByName = async (topic: string): Promise<ReadonlyMap<string, ChangeEvent['after']>> => {
    const messages: { readonly value: Buffer | null; readonly key: Buffer | null }[] = [];
    await readToEnd(kafka, topic, (message) => messages.push(message));
    await decoder.prepare(messages);
    const rows = messages.map(({ value }) => decoder.decodeChangeEvent(value, { topic, partition: 0, offset: '' })?.after ?? null);
    return new Map(rows.map((row) => [typeof row?.['name'] === 'string' ? row['name'] : '', row]));
  };
  const [log, query] = [await afterByName(connector.topic('public.samples')), await afterByName(`${name}.public.samples`)];
  assert.equal(query.size, 2 * sampleRows.length);
  const differences: unknown[] = [];
  for (const [row, ours] of query) {
    const theirs = log.get(row) ?? {};
    assert.deepEqual(Object.keys(ours ?? {}), Object.keys(theirs), 'the columns and their order');
    for (const [index, { type, exceptions = {} }] of typeSamples.entries()) {
      const sample = sampleRows[Number(/\d+/.exec(row)?.[0])]?.[index] ?? '';
      const [one, other] = [ours?.[`c${index}`], theirs[`c${index}`]];
      if (!Object.is(JSON.stringify(one, bigints), JSON.stringify(other, bigints)) && exceptions[sample] === undefined) {
        differences.push({ row, type, sample, query: one, log: other });
      }
    }
  }
  assert.deepEqual(differences, []);
});

function bigints(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

async function seedOrders(db: LegacyDatabase): Promise<void> {
  await db.query(
    `INSERT INTO customers (email, name, tier) VALUES ('a@example.test', 'Ada', 'basic');
     INSERT INTO products (sku, name, description, price, active) VALUES ('S', 'P', 'd', 1, true);
     INSERT INTO orders (customer_id, status, note) SELECT 1, 'new', '150' FROM generate_series(1, 20);
     INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT o, 1, 1, 1 FROM generate_series(1, 20) o, generate_series(1, 150)`,
  );
}

test('the connector’s transactions in Avro become visible whole, also after a start without the registry', async () => {
  await using way = await registryProxy();
  const { schemaRegistry } = way;
  await using db = await createLegacyDatabase();
  await seedOrders(db);
  await using connector = await startTestConnector({
    database: db,
    file: 'legacy-orders-avro.json',
    overrides: { 'heartbeat.interval.ms': '500' },
  });
  await connector.streaming();
  await using model = await createReadModel({
    topics: false,
    prefix: connector.prefix,
    schemaRegistry,
    settings: { consistency: 'transaction' },
  });
  way.mute();
  await using running = await model.start();
  await eventually(
    () => halted(model),
    (found) => found.some(({ halted: { code } }) => code === 'REGISTRY_UNREACHABLE'),
  );
  way.unmute();
  const torn = `SELECT count(*) AS torn FROM model.orders o
     WHERE o.note::numeric IS DISTINCT FROM (SELECT sum(quantity) FROM model.order_items i WHERE i.order_id = o.id)`;
  await eventually(
    () => model.read.query(`SELECT (SELECT count(*) FROM model.orders) AS orders, (SELECT count(*) FROM model.order_items) AS items`),
    ([row]) => row?.['orders'] === '20' && row['items'] === '3000',
  );
  let seenTorn = 0;
  const states = new Set<string | null | undefined>();
  const watching = repeat(async () => {
    const [row] = await model.read.query(`SELECT (${torn}) AS torn, (SELECT string_agg(note, ',' ORDER BY id) FROM model.orders) AS state`);
    if (row?.['torn'] !== '0') seenTorn += 1;
    states.add(row?.['state']);
  });
  const writeRound = async (round: number): Promise<void> => {
    for (let id = 1 + (round % 7); id <= 20; id += 7) {
      await db.query(
        `BEGIN; UPDATE order_items SET quantity = ${round} WHERE order_id = ${id}; UPDATE orders SET note = '${round * 150}' WHERE id = ${id}; COMMIT`,
      );
    }
  };
  for (let round = 2; round <= 6; round += 1) await writeRound(round);
  // A reader that a busy machine lets look seldom may have seen all of it at once: on, until it has looked in between.
  for (let round = 7; states.size <= 2; round += 1) {
    const seen = states.size;
    await writeRound(round);
    await eventually(
      async () => states.size,
      (size) => size > seen,
    );
  }
  const source = await db.query('SELECT id, note FROM orders ORDER BY id');
  const mirror = await eventually(
    () => model.read.query('SELECT id, note FROM model.orders ORDER BY id'),
    (rows) => JSON.stringify(rows) === JSON.stringify(source),
  );
  await watching.stop();
  assert.deepEqual(mirror, source);
  assert.equal(seenTorn, 0);
  // The connector's heartbeats are Avro too.
  await eventually(
    async () => await cdcReadModel(model.config, 'status'),
    (said) => said.includes('model: complete up to'),
  );
  assert.deepEqual(await model.read.query('SELECT torn_transactions FROM model.model_version'), [{ torn_transactions: '0' }]);
  void running;
});
