import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder, frameOf, type ChangeEvent } from '#change-events/index.ts';
import { readToEnd } from '#kafka/index.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { avroOrders, schemasOfOrders } from '#test/support/avro-orders.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { customer, order, remove, upsert } from '#test/support/order-events.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { registryProxy, testRegistry, testRegistryConfig } from '#test/support/registry.ts';
import { repeat } from '#test/support/repeat.ts';
import { assertMirror, createSamples, insertSamples, lostByContract, lostByDebezium, sampleRows } from '#test/support/samples-table.ts';
import { uniqueName } from '#test/support/stack.ts';
import { typeSamples } from '#test/support/value-samples.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

async function statuses(model: ReadModelFixture): Promise<Readonly<Record<string, string | null>>> {
  const rows = await model.read.query('SELECT id, status FROM model.orders ORDER BY id');
  return Object.fromEntries(rows.map(({ id, status }) => [id, status]));
}

async function untilStatuses(model: ReadModelFixture, expected: Readonly<Record<string, string>>): Promise<void> {
  const found = await eventually(
    () => statuses(model),
    (now) => JSON.stringify(now) === JSON.stringify(expected),
  );
  assert.deepEqual(found, expected);
}

function select(schema: string): string {
  return `SELECT id, name, price::text, note FROM ${schema}.wares ORDER BY id`;
}

/** SQL that changes wares so that a poll sees it. */
function change(what: string, ids: string): string {
  return `UPDATE wares SET name = name || ' ${what}', updated_at = clock_timestamp() WHERE id IN (${ids})`;
}

test('a topic of JSON, of Avro before and after a column came, and of JSON Schema: the mirror is the source, live and read anew', async () => {
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
  await using anew = await mirrored();
  await using again = await anew.start();
  await untilEqual(anew);
  assert.deepEqual(await anew.read.query('SELECT cause FROM model.parked_events'), []);
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
    const rows = messages.map(({ value }) => decoder.decodeRowChange(value, { topic, partition: 0, offset: '' })?.after ?? null);
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

type HaltedPartition = { readonly partition: number; readonly halted: { readonly code: string; readonly cause: string } };

/** The partitions that stand still, as the status tells them. */
async function halted(model: ReadModelFixture): Promise<readonly HaltedPartition[]> {
  const found: (Omit<HaltedPartition, 'halted'> & { readonly halted: HaltedPartition['halted'] | null })[] = JSON.parse(
    await cdcReadModel(model.config, 'status', '--json'),
  );
  return found.flatMap(({ partition, halted: halt }) => (halt === null ? [] : [{ partition, halted: halt }]));
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
  for (let round = 2; round <= 6; round += 1) {
    for (let id = round; id <= 20; id += 7) {
      await db.query(
        `BEGIN; UPDATE order_items SET quantity = ${round} WHERE order_id = ${id}; UPDATE orders SET note = '${round * 150}' WHERE id = ${id}; COMMIT`,
      );
    }
  }
  const source = await db.query('SELECT id, note FROM orders ORDER BY id');
  const mirror = await eventually(
    () => model.read.query('SELECT id, note FROM model.orders ORDER BY id'),
    (rows) => JSON.stringify(rows) === JSON.stringify(source),
  );
  await watching.stop();
  assert.deepEqual(mirror, source);
  assert.equal(seenTorn, 0);
  assert.ok(states.size > 2, `saw ${states.size} states`);
  // The connector's heartbeats are Avro too.
  await eventually(
    async () => await cdcReadModel(model.config, 'status'),
    (said) => said.includes('model: complete up to'),
  );
  assert.deepEqual(await model.read.query('SELECT torn_transactions FROM model.model_version'), [{ torn_transactions: '0' }]);
  void running;
});

test('the registry is away: what is known serves, a new id waits in its partition and is told, nothing is lost or parked; at the start too', async () => {
  await using way = await registryProxy();
  const { schemaRegistry } = way;
  await using model = await createReadModel({ partitions: 2, schemaRegistry });
  const [first, second] = [await avroOrders(uniqueName('known')), await avroOrders(uniqueName('later'))];
  const at = (partition: number, message: ReturnType<typeof first.upsert>) => ({ ...message, partition });
  const waiting = (): Promise<readonly HaltedPartition[]> => halted(model);

  {
    await using running = await model.start();
    await model.send('orders', [at(0, first.upsert(1, 'one')), at(1, first.upsert(2, 'two'))]);
    await untilStatuses(model, { 1: 'one', 2: 'two' });
    way.mute();
    await model.send('orders', [
      at(0, first.upsert(1, 'known', 'u')),
      at(0, second.upsert(3, 'waits')),
      at(1, first.upsert(2, 'serves', 'u')),
    ]);
    await model.send('customers', [upsert('customers', customer(1))]);
    await eventually(waiting, (found) => found.length > 0);
    await model.send('orders', [at(1, upsert('orders', order(4, 1, 'json goes on'))), at(1, first.upsert(2, 'still serves', 'u'))]);
    await eventually(
      () => statuses(model),
      (now) => now['4'] === 'json goes on' && now['2'] === 'still serves',
    );
    const [halt, ...others] = await waiting();
    assert.deepEqual([halt?.partition, halt?.halted.code, others], [0, 'REGISTRY_UNREACHABLE', []]);
    assert.match(halt?.halted.cause ?? '', new RegExp(`//127.0.0.1:${way.port}`));
    assert.equal((await statuses(model))['3'], undefined);
    way.unmute();
    await untilStatuses(model, { 1: 'known', 2: 'still serves', 3: 'waits', 4: 'json goes on' });
    assert.deepEqual(await waiting(), []);
    void running;
  }

  way.mute();
  await model.send('orders', [at(0, second.upsert(3, 'after a restart', 'u')), ...second.remove(1).map((message) => at(0, message))]);
  {
    await using restarted = await model.start();
    await eventually(waiting, (found) => found.some(({ partition }) => partition === 0));
    void restarted;
  }
  // What another process left behind as waiting is no reason for other partitions of the table to stand.
  await using again = await model.start();
  await model.send('orders', [at(1, upsert('orders', order(4, 1, 'json after a restart'), 'u'))]);
  await eventually(
    () => statuses(model),
    (now) => now['4'] === 'json after a restart',
  );
  assert.equal((await statuses(model))['3'], 'waits');
  way.unmute();
  await untilStatuses(model, { 2: 'still serves', 3: 'after a restart', 4: 'json after a restart' });
  assert.deepEqual(await model.read.query('SELECT cause FROM model.parked_events'), []);
  void again;
});

test('an id that the registry does not know is parked with its cause and a readable key, later events of the row in any format wait, a retry drains', async () => {
  const schemaRegistry = await testRegistryConfig();
  const registry = await testRegistry();
  await using model = await createReadModel({ partitions: 1, schemaRegistry });
  const unlike = uniqueName('unknown');
  const known = await avroOrders(unlike);
  // Ids are given one after the other, to other tests as well: one that will be given soon.
  const unknown = await avroOrders(unlike, { key: known.ids.key, value: known.ids.value + 12 });
  await using running = await model.start();
  await model.send('orders', [unknown.upsert(1, 'first'), known.upsert(2, 'other')]);
  await untilStatuses(model, { 2: 'other' });
  await model.send('orders', [known.upsert(1, 'second', 'u'), upsert('orders', order(1, 1, 'third'), 'u'), ...remove('orders', 2)]);
  await untilStatuses(model, {});
  const listed: { key: string; code: string; cause: string }[] = JSON.parse(await cdcReadModel(model.config, 'parked', 'list', '--json'));
  assert.deepEqual(
    listed.map(({ key, code }) => [key, code]),
    [
      ['{"id":1}', 'EVENT_UNDECODABLE'],
      ['{"id":1}', 'BEHIND'],
      ['{"id":1}', 'BEHIND'],
    ],
  );
  assert.match(
    listed[0]?.cause ?? '',
    new RegExp(`knows no schema .* topic ${model.topic('orders')}, partition 0, offset 0, schema id ${unknown.ids.value}`),
  );
  assert.match(await cdcReadModel(model.config, 'parked', 'list'), /\{"id":1\}/);

  const [, value] = schemasOfOrders(unlike);
  for (let id = 0, turn = 0; id < unknown.ids.value; turn += 1) {
    id = await registry.register(`${unlike}-more`, { schemaType: 'AVRO', schema: JSON.stringify({ ...value, doc: `${turn}` }) });
  }
  assert.match(await cdcReadModel(model.config, 'parked', 'retry'), /Applied 3 events of 1 keys/);
  await untilStatuses(model, { 1: 'third' });
  void running;
});
