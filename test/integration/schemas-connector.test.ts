import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder, type ChangeEvent } from '#change-events/index.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka, type TopicObserver } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { askRegistry } from '#test/support/registry.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

type Message = TopicObserver['messages'][number];

test('the connector of legacy-orders-avro.json writes Confluent’s wire format, its schemas under <topic>-key and <topic>-value', async (t) => {
  const registry = (await testStack()).schemaRegistry?.url;
  await using db = await createLegacyDatabase();
  await db.query(`INSERT INTO customers (email, name, tier, created_at) VALUES ('a@example.org', 'A', 'gold', now())`);
  await using connector = await startTestConnector({
    database: db,
    file: 'legacy-orders-avro.json',
    overrides: { 'heartbeat.interval.ms': '500' },
  });
  await connector.streaming();
  const topic = connector.topic('public.customers');
  const transactions = `${connector.prefix}.transaction`;
  const heartbeats = `__debezium-heartbeat.${connector.prefix}`;
  await db.query(`INSERT INTO customers (email, name, tier, created_at) VALUES ('b@example.org', 'B', 'gold', now())`);
  await db.query('DELETE FROM customers WHERE id = 2');
  const kafka = await testKafka();
  await using admin = await kafka.admin();
  const wanted = [topic, transactions, heartbeats];
  // The connector makes each with its first message.
  const exist = async (): Promise<boolean> => {
    const existing = new Set(await admin.listTopics());
    return wanted.every((name) => existing.has(name));
  };
  await waitFor(exist, {
    signal: t.signal,
    timeoutMs: 30_000,
    describe: 'the connector’s topics',
  });
  await using topics = await observeTopics(kafka, wanted, uniqueName('observer'));
  const of = (name: string): Message[] => topics.messages.filter((message) => message.topic === name);
  await topics.until(
    () => of(topic).length >= 4 && of(transactions).length >= 4 && of(heartbeats).length >= 1,
    () => `${of(topic).length} events, ${of(transactions).length} of transactions, ${of(heartbeats).length} heartbeats`,
    60_000,
  );

  const idsOf = async (name: string): Promise<readonly unknown[]> => {
    const newest = Number((await subject(name))['version']);
    const versions = Array.from({ length: newest }, (_, index) => askRegistry(registry, 'GET', `subjects/${name}/versions/${index + 1}`));
    return (await Promise.all(versions)).map((version) => version['id']);
  };
  const subject = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
    askRegistry(registry, 'GET', `subjects/${name}/versions/latest`);

  await t.test('a zero byte and the id of a version of its subject, in keys and values', async () => {
    const ids = { key: await idsOf(`${topic}-key`), value: await idsOf(`${topic}-value`) };
    for (const { key, value } of of(topic)) {
      assert.deepEqual([key?.[0], ids.key.includes(key?.readUInt32BE(1))], [0, true]);
      if (value !== null) assert.deepEqual([value[0], ids.value.includes(value.readUInt32BE(1))], [0, true]);
    }
    // The snapshot calls a serial column BIGSERIAL and the stream INT8, in a property that no reader minds.
    assert.deepEqual([ids.key.length, ids.value.length], [1, 2]);
  });

  await t.test('a tombstone stays null', () => {
    assert.equal(of(topic).filter(({ value }) => value === null).length, 1);
  });

  await t.test('schemas bear Avro names, and each field the type that its column has', async () => {
    const schema: unknown = JSON.parse(String((await subject(`${topic}-value`))['schema']));
    const before = fieldOf(schema, 'before');
    const tier = fieldOf(Array.isArray(before['type']) ? before['type'][1] : undefined, 'tier');
    assert.match(JSON.stringify(tier['type']), /"__debezium\.source\.column\.type":"TEXT"/);
    assert.deepEqual(
      [asRecord(schema)['name'], asRecord(schema)['namespace']],
      ['Envelope', topic],
      'the topic’s name is a namespace as it is',
    );
  });

  await t.test('what our decoder makes of it is an event like any other', async () => {
    const config = pipelineSchema.shape.schemaRegistry.parse({ url: registry });
    const decoder = eventDecoder(config);
    await decoder.prepare(topics.messages, AbortSignal.timeout(10_000));
    // The two keys may be in different partitions.
    const about = (id: number): (ChangeEvent | null)[] =>
      of(topic)
        .filter((message) => decoder.decodeKey(message.key, place(message))?.['id'] === id)
        .map((message) => decoder.decodeChangeEvent(message.value, place(message)));
    assert.deepEqual(ops(about(1)), ['r']);
    assert.deepEqual(ops(about(2)), ['c', 'd', 'tombstone']);
    const [created, deleted] = about(2);
    assert.equal(created?.after?.['email'], 'b@example.org');
    assert.equal(deleted?.before?.['email'], 'b@example.org');
    for (const message of of(transactions)) {
      assert.match(JSON.stringify(decoder.decodeValue(message.value, place(message))), /^\{"status":"(?:BEGIN|END)"/);
    }
    for (const message of of(heartbeats)) {
      assert.match(JSON.stringify(decoder.decodeValue(message.value, place(message)), integers), /^\{"ts_ms":\d+\}$/);
    }
  });
});

function place({ topic, partition, offset }: Message): { topic: string; partition: number; offset: string } {
  return { topic, partition, offset: offset.toString() };
}

function ops(events: readonly (ChangeEvent | null)[]): string[] {
  return events.map((event) => event?.op ?? 'tombstone');
}

function fieldOf(schema: unknown, name: string): Readonly<Record<string, unknown>> {
  const fields = asRecord(schema)['fields'];
  assert.ok(Array.isArray(fields), JSON.stringify(schema));
  return asRecord(fields.find((field: unknown) => asRecord(field)['name'] === name));
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  assert.ok(typeof value === 'object' && value !== null, JSON.stringify(value));
  return { ...value };
}

function integers(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
